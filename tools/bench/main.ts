/**
 * npm run bench -- cpu | boot | programs | growth | idle | storage | report | profile: emkit's speed beside QEMU's TCG, v86 and qemu-img on
 * the same work (docs/performance).
 * Exit code: 0; 1 when a checksum differs, a guest does not finish or a peer is missing; 2 for a wrong command line.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { ensureKernel } from '../fetch-kernel/fetch-kernel.mjs';
import { runBoot } from './boot-bench.ts';
import { bootReport } from './boot-report.ts';
import { ROOT } from './bundle.ts';
import { runCpu } from './cpu-bench.ts';
import { cpuReport } from './cpu-report.ts';
import { MEMORY_MIB, MissingPeer } from './emulators.ts';
import { guestBits } from './guest-bits.ts';
import { gitCommit, hostFacts, isBusy } from './host.ts';
import { report } from './kept.ts';
import { growth, idle, programs } from './linux-benches.ts';
import { parseOptions, USAGE, UsageError } from './options.ts';
import type { BootOptions, CpuOptions, Options, StorageOptions } from './options.ts';
import { hottest } from './profile.ts';
import type { CpuProfile } from './profile.ts';
import { runStorage } from './storage-bench.ts';
import { emulatorsFor, finish, note, startFacts } from './session.ts';
import { storageReport } from './storage-report.ts';
import { STORAGE_WORK } from './storage-work.ts';
import { ms, textTable } from './table.ts';

async function cpu(options: CpuOptions): Promise<number> {
  const elf = resolve(options.elf ?? join(ROOT, '../shared/bench/bench32.elf'));
  if (!existsSync(elf)) throw new UsageError(`${elf} does not exist: name the benchmark guest with --elf FILE`);
  const bits = guestBits(readFileSync(elf), elf);
  const emulators = await emulatorsFor(options, bits);
  const facts = startFacts(emulators);
  const { scale, rounds, only } = options;
  const run = await runCpu({ emulators, elf, scale, rounds, only, silenceMs: options.limitSeconds * 1000, note });
  const report = cpuReport(run);
  const samples = Object.fromEntries(
    [...run.rounds].map(([name, list]) => [name, list.map((r) => Object.fromEntries(r))]),
  );
  const guest = bits === 64 ? '64-bit guest, scale' : 'Scale';
  const what = `${guest} ${scale}, ${rounds} round${rounds === 1 ? '' : 's'}, ${MEMORY_MIB} MiB`;
  return finish(options, bits === 64 ? 'cpu64' : 'cpu', what, facts, report, { samples, geomeans: report.geomeans });
}

async function boot(options: BootOptions): Promise<number> {
  let { kernel, initrd } = options;
  let guest = 'a kernel of your own';
  if (kernel === undefined || initrd === undefined) {
    const files = await ensureKernel({ arch: options.arch });
    ({ kernel, initramfs: initrd } = files);
    guest = `Debian's installer kernel ${files.version} (${options.arch}) and the initramfs of npm start`;
  }
  const bits = guestBits(readFileSync(kernel), kernel);
  const emulators = await emulatorsFor(options, bits, options.warm);
  const facts = startFacts(emulators);
  const { append, rounds } = options;
  const files = { kernel: resolve(kernel), initrd: resolve(initrd) };
  const plan = { emulators, ...files, append, rounds, silenceMs: options.limitSeconds * 1000, note };
  const first = emulators.filter(({ name }) => name === 'emkit-warm');
  if (first.length > 0) {
    note('an earlier boot, which leaves translations');
    await runBoot({ ...plan, emulators: first, rounds: 1 });
  }
  const run = await runBoot(plan);
  const report = bootReport(run);
  const what = `Boot of ${guest}, ${rounds} round${rounds === 1 ? '' : 's'}, ${MEMORY_MIB} MiB`;
  return finish(options, bits === 64 ? 'boot64' : 'boot', what, facts, report, {
    samples: Object.fromEntries(run.rounds),
    ratios: report.ratios,
  });
}

/** The peer is qemu-img, and emkit-img is the command that `npm run build` made. */
async function storage(options: StorageOptions): Promise<number> {
  const command = join(ROOT, 'apps/emkit-img/bin/emkit-img.cjs');
  if (!existsSync(join(ROOT, 'apps/emkit-img/dist/launch.cjs')))
    throw new UsageError('emkit-img is not built: npm run build');
  const version = spawnSync('qemu-img', ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0];
  if (version === undefined || version === '')
    throw new MissingPeer('qemu-img is not installed', 'apt-get install qemu-utils');
  const facts = hostFacts([
    { name: 'emkit', version: gitCommit() ?? '(unknown version)' },
    { name: 'qemu-img', version },
  ]);
  note(`${facts.machine}; ${facts.node}; ${facts.versions.join(', ')}`);
  if (isBusy(facts)) note(`the machine is busy (load average ${facts.load.toFixed(1)}): expect noise`);
  const { only, rounds, mib } = options;
  const work = STORAGE_WORK.filter(({ name }) => only === undefined || only.some((part) => name.includes(part)));
  if (work.length === 0)
    throw new UsageError(`no operation is called that; there are: ${STORAGE_WORK.map((w) => w.name).join(', ')}`);
  const folder = resolve(options.folder ?? join(ROOT, '.cache/bench', `storage-${mib}`));
  mkdirSync(folder, { recursive: true });
  const sides = [
    { name: 'emkit', command: [process.execPath, command] },
    { name: 'qemu-img', command: ['qemu-img'] },
  ] as const;
  const run = await runStorage({ sides, work, rounds, folder, mib, note });
  const what = `${mib} MiB image, ${rounds} round${rounds === 1 ? '' : 's'} of each operation after one that does not count, whole processes with their start`;
  return finish(options, 'storage', what, facts, storageReport(run, work), {
    samples: Object.fromEntries(run.samples),
  });
}

function profile(files: readonly string[]): number {
  for (const file of files) {
    const rows = hottest(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile, 30);
    if (files.length > 1) console.log(file);
    console.log(
      textTable({
        head: ['function', 'self ms', '%'],
        rows: rows.map(({ name, selfMs, share }) => [name, ms(selfMs), (share * 100).toFixed(1)]),
      }),
    );
  }
  return 0;
}

async function runCommand(options: Options): Promise<number> {
  switch (options.command) {
    case 'cpu':
      return cpu(options);
    case 'boot':
      return boot(options);
    case 'programs':
      return programs(options);
    case 'growth':
      return growth(options);
    case 'idle':
      return idle(options);
    case 'storage':
      return storage(options);
    case 'report':
      console.log((await report()).join('\n'));
      return 0;
    case 'profile':
      return profile(options.files);
  }
}

try {
  const words = process.argv.slice(2);
  if (words.some((word) => word === '--help' || word === '-h')) console.log(USAGE);
  else process.exitCode = await runCommand(parseOptions(words));
} catch (error) {
  if (!(error instanceof Error)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  if (error instanceof MissingPeer) process.stderr.write(`       try: ${error.hint}\n`);
  if (error instanceof UsageError) process.stderr.write(`${USAGE}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
