/** The benchmarks of Linux guests beside the boot: programs, growth, idle. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureKernel } from '../fetch-kernel/fetch-kernel.mjs';
import { ROOT } from './bundle.ts';
import type { Emulator, EmulatorName } from './emulators.ts';
import { CURVES, growthImage, GROWTH_MIB, GUEST_CURVES, runRam } from './growth-bench.ts';
import { growthReport } from './growth-report.ts';
import { runIdle } from './idle-bench.ts';
import type { IdleCase } from './idle-bench.ts';
import { idleReport } from './idle-report.ts';
import { runMarked } from './marked-bench.ts';
import type { MarkedRun } from './marked-bench.ts';
import type { GrowthOptions, IdleOptions, ProgramsOptions } from './options.ts';
import { programsImage, programWords, runNative } from './programs-bench.ts';
import { programsReport } from './programs-report.ts';
import { emulatorsFor, finish, note, startFacts } from './session.ts';

const PROGRAMS_MIB = 1024;
/** The guest's first program takes its words from between these two. */
const commandLine = (words: string): string => `console=ttyS0 quiet loglevel=0 rdinit=/init bench:${words} :end`;
const samplesOf = (run: MarkedRun): object =>
  Object.fromEntries([...run.samples].map(([name, samples]) => [name, Object.fromEntries(samples)]));

export async function programs(options: ProgramsOptions): Promise<number> {
  const initrd = programsImage();
  const { kernel, version } = await ensureKernel({ arch: 'x86_64' });
  const emulators = await emulatorsFor(options, 64);
  note('natively');
  const native = runNative(options);
  const facts = startFacts(emulators);
  const { cpu, rounds, scale, limitSeconds } = options;
  const run = await runMarked({
    emulators,
    guest: {
      kind: 'linux',
      kernel,
      initrd,
      commandLine: commandLine(programWords(options)),
      memoryMib: PROGRAMS_MIB,
      cpu,
    },
    silenceMs: limitSeconds * 1000,
    note,
  });
  const result = programsReport(run, native);
  const what = `Programs of Debian 12 under Debian's installer kernel ${version} (x86_64), -cpu ${cpu}, scale ${scale}, each ${rounds} times in one run, ${PROGRAMS_MIB} MiB`;
  return finish(options, 'programs', what, facts, result, { samples: samplesOf(run), ratios: result.ratios });
}

export async function growth(options: GrowthOptions): Promise<number> {
  const { only, scale, limitSeconds } = options;
  const silenceMs = limitSeconds * 1000;
  const inGuest = GUEST_CURVES.filter((curve) => only.includes(curve));
  const initrd = inGuest.length > 0 ? growthImage() : '';
  const small = await ensureKernel({ arch: 'i386' });
  const large = await ensureKernel({ arch: 'x86_64' });
  const emulators = await emulatorsFor(options, 64);
  const facts = startFacts(emulators);
  const none = { times: new Map<EmulatorName, Map<number, number>>(), failures: [] };
  const ram = only.includes('ram')
    ? await runRam({
        emulators: await emulatorsFor({ ...options, peers: options.peers?.filter((p) => p !== 'v86') ?? ['qemu'] }, 32),
        kernel: small.kernel,
        initrd: small.initramfs,
        silenceMs,
        note,
      })
    : none;
  const words = [`scale=${scale}`, ...inGuest.map((curve) => `${curve}=${CURVES[curve].join(',')}`)].join(' ');
  const guest = {
    kind: 'linux',
    kernel: large.kernel,
    initrd,
    commandLine: commandLine(words),
    memoryMib: GROWTH_MIB,
  } as const;
  const run =
    inGuest.length > 0
      ? await runMarked({ emulators, guest, silenceMs, note })
      : { samples: new Map(), failures: new Map() };
  const result = growthReport(only, ram.times, run, ram.failures);
  const what = `Growth under Debian's installer kernel ${large.version} (RAM: i386, to the prompt; else x86_64 with ${GROWTH_MIB} MiB), scale ${scale}, one run of each point`;
  return finish(options, 'growth', what, facts, result, { points: result.points });
}

export async function idle(options: IdleOptions): Promise<number> {
  const { seconds, limitSeconds } = options;
  const elf = join(ROOT, '../shared/bench/bench32.elf');
  const narrow = await emulatorsFor(options, 32);
  const wide = await emulatorsFor({ ...options, peers: options.peers?.filter((p) => p !== 'v86') }, 64);
  const facts = startFacts(narrow);
  const linux = async (arch: 'i386' | 'x86_64', emulators: readonly Emulator[]): Promise<IdleCase> => {
    const { kernel, initramfs } = await ensureKernel({ arch });
    const guest = { kind: 'linux', kernel, initrd: initramfs, commandLine: 'console=ttyS0' } as const;
    return { name: `Linux ${arch}, prompt`, kind: 'prompt', emulators, command: (e) => e.command(guest) };
  };
  const cases: IdleCase[] = [await linux('i386', narrow), await linux('x86_64', wide)];
  // its timer workload is half a second long at scale 50
  const timer = { kind: 'multiboot', elf, commandLine: `scale=${seconds * 100} only=pit` } as const;
  if (existsSync(elf))
    cases.unshift({ name: 'timer, 1 kHz', kind: 'pit', emulators: narrow, command: (e) => e.command(timer) });
  else note(`without the timer: ${elf} does not exist`);
  const run = await runIdle(cases, { seconds, silenceMs: limitSeconds * 1000, note });
  const what = `Idle guests, ${seconds} s each`;
  const samples = run.cases.map((c) => ({ name: c.name, samples: Object.fromEntries(c.samples) }));
  return finish(options, 'idle', what, facts, idleReport(run), { samples });
}
