/**
 * npm run conformance -- SUITE DIR [--tier cold|hot|both] [--filter GLOB] [--verbose N] [--causes N] [--mode M,M] [--every N]
 * Runs recorded tests of real processors against the emulated one. SUITE: native-vectors, 80286, test386. Prints a row
 * per file (passed of total, per tier), and last `N passed, N failed`; exit code 1 when any failed.
 * SUITE disk-images: recorded disk images against the storage libraries, see disk-images.ts.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { irRealRig, irUserRig } from './ir-rig.ts';
import { Causes } from './causes.ts';
import { formsIn, writeCoverage } from './coverage.ts';
import { buildHostGenerator, HOST_GROUPS, recordOnHost } from './host-vectors.ts';
import { failureText, runVectorFile } from './native-vectors.ts';
import type { FileResult } from './native-vectors.ts';
import { QemuBaseline } from './qemu-baseline.ts';
import { fail, parseOptions } from './options.ts';
import type { Options } from './options.ts';
import type { RealRig, Tier, UserMode, UserRig } from './rig.ts';
import { runMooFile } from './moo-suite.ts';
import type { MooMetadata } from './moo-suite.ts';
import { runTest386 } from './test386.ts';

/** Files of a folder that the filter keeps, sorted. */
function files(o: Options, folder: string, ext: string): string[] {
  const list = readdirSync(dataFolder(o, folder)).filter((f) => f.endsWith(ext));
  if (list.length === 0) fail(`no *${ext} files in ${dataFolder(o, folder)}`);
  return list.filter((f) => o.filter.test(f)).sort();
}
/** DIR is the suite's folder or its data folder itself. */
function dataFolder(o: Options, folder: string): string {
  if (!existsSync(o.dir)) fail(`${o.dir}: no such folder`);
  const inner = join(o.dir, folder);
  return existsSync(inner) ? inner : o.dir;
}
/** A file that the suite cannot do without. */
function need(path: string): Buffer {
  if (!existsSync(path)) fail(`${path} is missing: is this the folder of the suite?`);
  return readFileSync(path);
}
const load = (...path: string[]): Uint8Array => gunzipSync(need(join(...path)));

async function userRig(tier: Tier, mode: UserMode = '32'): Promise<UserRig> {
  if (tier !== 'ir') return (await import('./bench-rig.ts')).benchUserRig(tier, mode);
  if (mode !== '32') fail('--tier ir runs 32-bit code only');
  return irUserRig();
}
async function realRig(tier: Tier): Promise<RealRig> {
  if (tier === 'ir') return irRealRig();
  return (await import('./bench-rig.ts')).benchRealRig(tier);
}

/** A job per file: its name and how to run it in a tier. */
type Job = readonly [string, (tier: Tier, report: (text: string) => void) => Promise<FileResult>];

/** Rigs are made once: a tier's tests run one after another on one CPU. */
function once<K, R>(make: (key: K) => Promise<R>): (key: K) => Promise<R> {
  const made = new Map<K, Promise<R>>();
  return (key) => {
    const rig = made.get(key) ?? make(key);
    made.set(key, rig);
    return rig;
  };
}

function vectorJob(
  name: string,
  rig: (tier: Tier) => Promise<UserRig>,
  data: () => Uint8Array,
  o: Options,
  causes: Causes,
): Job {
  const run: Job[1] = async (tier, report) =>
    runVectorFile(await rig(tier), data(), o.every, (failure) => {
      causes.add(name, failure);
      report(failureText(failure));
    });
  return [name, run];
}

function nativeVectorJobs(o: Options, causes: Causes): Job[] {
  const all = files(o, 'data', '.nv.gz');
  const wide = all.filter((f) => f.startsWith('m64-'));
  // the IR evaluator knows no 64-bit code
  const modes = o.tiers.includes('ir') ? o.modes.filter((mode) => mode === '32') : o.modes;
  return modes.flatMap((mode) => {
    const rig = once((tier: Tier) => userRig(tier, mode));
    const list = mode === '64' ? wide : all.filter((f) => !wide.includes(f));
    return list.map((f) => {
      const name = f.replace('.nv.gz', '');
      return vectorJob(
        mode === 'compat' ? `${name} compat` : name,
        rig,
        () => load(dataFolder(o, 'data'), f),
        o,
        causes,
      );
    });
  });
}

/** Records are made once for all tiers. */
function hostVectorJobs(o: Options, causes: Causes): Job[] {
  const generator = buildHostGenerator();
  if ('missing' in generator) {
    process.stdout.write(`not run: ${HOST_GROUPS.join(' ')} (${generator.missing})\n`);
    return [];
  }
  return o.modes.flatMap((mode) => {
    const rig = once((tier: Tier) => userRig(tier, mode));
    const width = mode === '64' ? 64 : 32;
    return HOST_GROUPS.flatMap((group): Job[] => {
      const name = `h${width}-${group}`;
      if (!o.filter.test(name)) return [];
      const data = recordOnHost(generator.program, width, group, o.seed, o.count);
      if (typeof data === 'string') {
        process.stdout.write(`not run: ${name} (${data})\n`);
        return [];
      }
      return [vectorJob(mode === 'compat' ? `${name} compat` : name, rig, () => data, o, causes)];
    });
  });
}

function jobs(o: Options, causes: Causes): Job[] {
  if (o.suite === 'host-vectors') return hostVectorJobs(o, causes);
  if (o.suite === 'native-vectors') return nativeVectorJobs(o, causes);
  if (o.suite === '80286') {
    const rig = once(realRig);
    const list = files(o, 'moo', '.MOO.gz');
    const beside = join(o.dir, 'metadata.json');
    const metadata = JSON.parse(
      need(existsSync(beside) ? beside : join(o.dir, '..', 'metadata.json')).toString('utf8'),
    ) as MooMetadata;
    return list.map((f) => {
      const name = f.replace('.MOO.gz', '');
      return [
        name,
        async (tier, report) => runMooFile(await rig(tier), name, load(dataFolder(o, 'moo'), f), metadata, report),
      ];
    });
  }
  const rig = once((tier: Tier) => userRig(tier));
  return [
    [
      'EE-reference',
      async (tier, report) => runTest386(await rig(tier), load(o.dir, 'test386-EE-reference.txt.gz'), report),
    ],
  ];
}

async function diskImages(o: Options): Promise<void> {
  if (!existsSync(join(o.dir, 'manifest.json'))) fail(`${o.dir}/manifest.json: no such file`);
  const { runDiskImages } = await import('./disk-images.ts');
  const { passed, failed } = await runDiskImages(o.dir, o.filter, (line) => process.stdout.write(`${line}\n`));
  if (passed + failed === 0) fail(`nothing in ${o.dir} matches`);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

function coverage(o: Options): void {
  const generator = buildHostGenerator();
  const host: Uint8Array[] = [];
  if ('missing' in generator) process.stdout.write(`without host-vectors: ${generator.missing}\n`);
  else {
    for (const width of [32, 64] as const) {
      for (const group of HOST_GROUPS) {
        const data = recordOnHost(generator.program, width, group, o.seed, 4 * o.count);
        if (typeof data === 'string') process.stdout.write(`not run: h${width}-${group} (${data})\n`);
        else host.push(data);
      }
    }
  }
  const recorded = (width: number): Uint8Array[] =>
    files(o, 'data', '.nv.gz')
      .filter((f) => f.startsWith(`m${width}-`))
      .map((f) => load(dataFolder(o, 'data'), f));
  const forms = (list: readonly Uint8Array[]): Set<number> => new Set(list.flatMap((file) => [...formsIn(file)]));
  writeCoverage({ recorded32: forms(recorded(32)), recorded64: forms(recorded(64)), host: forms(host) });
}

async function main(): Promise<void> {
  const o = parseOptions(process.argv.slice(2));
  if (o.suite === 'coverage') return coverage(o);
  if (o.suite === 'disk-images') return diskImages(o);
  let passed = 0;
  let failed = 0;
  let shown = 0;
  const excluded = new Map<string, number>();
  const causes = new Causes();
  const baseline = new QemuBaseline(o.suite === 'native-vectors' ? o.dir : '');
  const list = jobs(o, causes);
  if (list.length === 0 && o.suite !== 'host-vectors') fail(`nothing in ${o.dir} matches`);
  process.stdout.write(`${'file'.padEnd(20)}${o.tiers.map((t) => t.padStart(20)).join('')}\n`);
  for (const [name, run] of list) {
    const cells: string[] = [];
    const failures: string[] = [];
    for (const tier of o.tiers) {
      const r = await run(tier, (text) => {
        if (shown++ < o.verbose) failures.push(`[${tier}] ${name} ${text}`);
      });
      const skipped = [...r.excluded.values()].reduce((a, b) => a + b, 0);
      passed += r.passed;
      failed += r.total - r.passed - skipped;
      for (const [why, n] of r.excluded) excluded.set(why, (excluded.get(why) ?? 0) + n);
      if (o.every === 1) baseline.compare(name.replace(' compat', ''), tier, r.passed);
      cells.push(`${r.passed}/${r.total - skipped}`.padStart(20));
    }
    process.stdout.write(`${name.padEnd(20)}${cells.join('')}\n`);
    for (const text of failures) process.stdout.write(`${text}\n`);
  }
  for (const [why, n] of excluded) process.stdout.write(`excluded ${n}: ${why}\n`);
  for (const line of [...causes.mostFrequent(o.causes), ...baseline.summary()]) process.stdout.write(`${line}\n`);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main();
