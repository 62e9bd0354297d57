/** Rounds of a kernel boot: in each round every emulator boots once, in turn, up to the shell's prompt. */
import { BootLog } from './boot-log.ts';
import type { BootSample } from './boot-log.ts';
import type { Emulator, EmulatorName } from './emulators.ts';
import { describeEnding, observe } from './observe.ts';

export interface BootPlan {
  readonly emulators: readonly Emulator[];
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly rounds: number;
  readonly silenceMs: number;
  note(text: string): void;
}

export interface BootRun {
  /** A boot that failed is missing; then the emulator is not tried again. */
  readonly rounds: Map<EmulatorName, BootSample[]>;
  readonly failures: Map<EmulatorName, string>;
}

export async function runBoot(plan: BootPlan): Promise<BootRun> {
  const rounds: BootRun['rounds'] = new Map(plan.emulators.map((e) => [e.name, []]));
  const failures: BootRun['failures'] = new Map();
  const { kernel, initrd } = plan;
  for (let round = 1; round <= plan.rounds; round++) {
    for (const emulator of plan.emulators) {
      if (failures.has(emulator.name)) continue;
      plan.note(`round ${round} of ${plan.rounds}: ${emulator.name}`);
      const log = new BootLog();
      const command = emulator.command({ kind: 'linux', kernel, initrd, commandLine: plan.append });
      const ending = await observe(command, plan.silenceMs, (text, wallMs, cpuMs) => {
        log.feed(text, wallMs, cpuMs);
        return log.sample !== undefined || log.failure !== undefined;
      });
      if (log.sample !== undefined) rounds.get(emulator.name)?.push(log.sample);
      else {
        const why = log.failure ?? `${describeEnding(ending, plan.silenceMs)}; last line: ${log.lastLine}`;
        failures.set(emulator.name, why);
        plan.note(`${emulator.name} failed: ${why}`);
      }
    }
  }
  return { rounds, failures };
}
