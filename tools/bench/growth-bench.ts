/** `bench growth`: what more memory, a larger working set, more hot code and more processes cost, in runs of a guest of one program. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureRoot, GUEST } from '../debian-root/root.mjs';
import { S_IFREG, writeCpio } from '../fetch-kernel/cpio.mjs';
import { BootLog } from './boot-log.ts';
import { ROOT } from './bundle.ts';
import type { Emulator, EmulatorName } from './emulators.ts';
import { describeEnding, observe } from './observe.ts';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'guest/growth.c');

/** The points of each curve. */
export const CURVES = {
  ram: [64, 128, 256, 512, 1024, 2048, 3072],
  ws: [64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072, 262144],
  code: [16, 64, 256, 1024, 2048, 4096, 8192, 16384],
  procs: [2, 8, 32, 64, 128, 256, 512],
} as const;
export type Curve = keyof typeof CURVES;
export const GUEST_CURVES: readonly Exclude<Curve, 'ram'>[] = ['ws', 'code', 'procs'];
/** Memory of the guest of the other curves. */
export const GROWTH_MIB = 1024;

/** Compiles the guest's program in the Debian root and puts it into an initramfs: its path. */
export function growthImage(): string {
  ensureRoot();
  const source = join(GUEST, 'tmp/growth.c');
  const program = join(GUEST, 'tmp/growth');
  copyFileSync(SOURCE, source);
  const { status, stderr } = spawnSync(
    'chroot',
    [GUEST, 'gcc', '-O2', '-Wall', '-static', '-o', '/tmp/growth', '/tmp/growth.c'],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`growth.c does not compile: ${stderr}`);
  const folder = join(ROOT, '.cache/bench');
  mkdirSync(folder, { recursive: true });
  const image = join(folder, 'growth.cpio');
  writeFileSync(image, writeCpio([{ name: 'init', mode: S_IFREG | 0o755, data: readFileSync(program) }]));
  for (const file of [source, program]) rmSync(file);
  return image;
}

export interface RamPlan {
  readonly emulators: readonly Emulator[];
  readonly kernel: string;
  readonly initrd: string;
  readonly silenceMs: number;
  note(text: string): void;
}

/** Boots with each size of memory: ms to the prompt. */
export async function runRam(plan: RamPlan): Promise<{
  readonly times: Map<EmulatorName, Map<number, number>>;
  readonly failures: readonly string[];
}> {
  const times = new Map(plan.emulators.map((e) => [e.name, new Map<number, number>()]));
  const failures: string[] = [];
  for (const memoryMib of CURVES.ram)
    for (const emulator of plan.emulators) {
      plan.note(`${emulator.name}: boot with ${memoryMib} MiB`);
      const log = new BootLog();
      const { kernel, initrd } = plan;
      const command = emulator.command({ kind: 'linux', kernel, initrd, commandLine: 'console=ttyS0', memoryMib });
      const ending = await observe(command, plan.silenceMs, (text, wallMs, cpuMs) => {
        log.feed(text, wallMs, cpuMs);
        return log.sample !== undefined || log.failure !== undefined;
      });
      if (log.sample !== undefined) times.get(emulator.name)!.set(memoryMib, log.sample.promptMs);
      else
        failures.push(
          `${emulator.name} with ${memoryMib} MiB: ${log.failure ?? describeEnding(ending, plan.silenceMs)}`,
        );
    }
  return { times, failures };
}
