/**
 * A disk format as somebody uses it: npm installs its tarball into an empty project, with the tarballs of what it names and without any registry; a program
 * (`consumers/`) is compiled there against the declarations, as strictly as can be, and does its work. Recorded images are opened if they are there.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The formats that have a consumer, and the recorded images that it opens. */
export const CONSUMERS: Readonly<Record<string, readonly string[]>> = {
  raw: ['odd.raw'],
  qcow2: ['z-zlib.qcow2', 'z-zstd.qcow2', 'snap.qcow2', 'extl2-16384.qcow2'],
  vmdk: ['monolithicSparse.vmdk', 'streamOptimized.vmdk'],
  qed: ['q65536-4.qed'],
};

const RECORDED = '../shared/conformance/disk-images';
/** No library but the language's own, and no types but those that the tarballs bring; these are checked too (no skipLibCheck). */
const COMPILER = '--strict --exactOptionalPropertyTypes --module nodenext --target es2022 --lib es2023'.split(' ');

export interface Outcome {
  readonly what: string;
  readonly problems: readonly string[];
}

/** `tarballs`: of all packages here, by name; those of other people's are made from what is installed. Stops at the first step that fails. */
export function useAlone(id: string, work: string, tarballs: Map<string, string>): Outcome[] {
  const project = join(work, 'alone', id);
  mkdirSync(project, { recursive: true });
  const steps: Readonly<Record<string, () => readonly string[]>> = {
    'alone: install': () => install(`@emkit/${id}`, project, tarballs, work),
    'alone: types': () => compile(id, project),
    'alone: works': () => run(id, project),
  };
  const outcomes: Outcome[] = [];
  for (const [what, step] of Object.entries(steps)) {
    const problems = step();
    outcomes.push({ what, problems });
    if (problems.length > 0) break;
  }
  return outcomes;
}

/** npm finds all that the package names in `overrides`, since nothing of it is published. What is then there must be that and no more. */
function install(name: string, project: string, tarballs: Map<string, string>, work: string): readonly string[] {
  const needed = closure(name);
  const spec = (of: string): string => `file:${tarballs.get(of) ?? packInstalled(of, tarballs, work)}`;
  const direct = [name, '@emkit/storage'];
  const manifest = {
    private: true,
    type: 'module',
    dependencies: Object.fromEntries(direct.map((of) => [of, spec(of)])),
    overrides: Object.fromEntries(needed.filter((of) => !direct.includes(of)).map((of) => [of, spec(of)])),
  };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  const failed = program('npm', ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=error'], project);
  if (failed.length > 0) return failed;
  const lock = JSON.parse(readFileSync(join(project, 'node_modules/.package-lock.json'), 'utf8')) as {
    packages: object;
  };
  const there = Object.keys(lock.packages).sort().join(' ');
  const wanted = needed
    .map((of) => `node_modules/${of}`)
    .sort()
    .join(' ');
  return there === wanted ? [] : [`installed: ${there}`, `expected: ${wanted}`];
}

/** The package and all that it needs, by name. */
function closure(name: string, found: string[] = []): readonly string[] {
  if (found.includes(name)) return found;
  found.push(name);
  const { dependencies } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as {
    dependencies?: Readonly<Record<string, string>>;
  };
  for (const dependency of Object.keys(dependencies ?? {})) closure(dependency, found);
  return found;
}

function packInstalled(name: string, tarballs: Map<string, string>, work: string): string {
  const args = ['pack', `./node_modules/${name}`, '--json', '--ignore-scripts', '--loglevel=error'];
  const report: unknown = JSON.parse(execFileSync('npm', [...args, '--pack-destination', work], { encoding: 'utf8' }));
  const [entry] = (Array.isArray(report) ? report : Object.values(report as object)) as { filename: string }[];
  const file = join(work, entry.filename);
  tarballs.set(name, file);
  return file;
}

function compile(id: string, project: string): readonly string[] {
  copyFileSync(`tools/packed-test/consumers/${id}.ts`, join(project, 'consumer.ts'));
  const tsc = resolve('node_modules/typescript/bin/tsc');
  return program(process.execPath, [tsc, ...COMPILER, 'consumer.ts'], project);
}

function run(id: string, project: string): readonly string[] {
  const args = [resolve('tools/packed-test/run-consumer.mjs'), join(project, 'consumer.js')];
  if (existsSync(`${RECORDED}/manifest.json`)) {
    const { images } = JSON.parse(readFileSync(`${RECORDED}/manifest.json`, 'utf8')) as {
      images: readonly { name: string; read?: { sha256: string } }[];
    };
    for (const name of CONSUMERS[id]) {
      const sha256 = images.find((image) => image.name === name)?.read?.sha256;
      args.push(resolve(`${RECORDED}/images/${name}.gz`), sha256 ?? 'not recorded');
    }
  }
  return program(process.execPath, args, project);
}

/** What it said, if it failed. */
function program(command: string, args: readonly string[], cwd: string): readonly string[] {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 60_000 });
  return status === 0 ? [] : [`${stdout}${stderr}`.trim() || `exit ${status}`];
}
