/**
 * One run of a Linux guest per emulator whose first program says START and END around each piece of work (guest-log.ts): the pieces of one
 * run are timed from outside. A piece named NAME.N is one of several in that run.
 */
import type { Emulator, EmulatorName, Guest } from './emulators.ts';
import { GuestLog } from './guest-log.ts';
import type { Sample } from './guest-log.ts';
import { describeEnding, observe } from './observe.ts';

export interface MarkedPlan {
  readonly emulators: readonly Emulator[];
  readonly guest: Guest;
  readonly silenceMs: number;
  note(text: string): void;
}

export interface MarkedRun {
  readonly samples: Map<EmulatorName, ReadonlyMap<string, Sample>>;
  readonly failures: Map<EmulatorName, string>;
}

export async function runMarked(plan: MarkedPlan): Promise<MarkedRun> {
  const run: MarkedRun = { samples: new Map(), failures: new Map() };
  for (const emulator of plan.emulators) {
    plan.note(emulator.name);
    const log = new GuestLog();
    let said = '';
    const ending = await observe(emulator.command(plan.guest), plan.silenceMs, (text, wallMs, cpuMs) => {
      log.feed(text, wallMs, cpuMs);
      if (log.running !== undefined && log.running !== said) plan.note(`${emulator.name}: ${(said = log.running)}`);
      return log.done;
    });
    run.samples.set(emulator.name, log.samples);
    if (log.done) continue;
    const where = log.running === undefined ? 'outside a workload' : `in ${log.running}`;
    run.failures.set(emulator.name, `${where}: ${describeEnding(ending, plan.silenceMs)}; ${log.remarks.at(-1) ?? ''}`);
  }
  return run;
}

/** `NAME.1`, `NAME.2`, ... of one run as rounds of NAME. */
export function asRounds(samples: ReadonlyMap<string, Sample>): Map<string, Sample>[] {
  const rounds: Map<string, Sample>[] = [];
  for (const [name, sample] of samples) {
    const [, base, number] = /^(.*)\.(\d+)$/.exec(name) ?? [];
    if (base === undefined) continue;
    (rounds[Number(number) - 1] ??= new Map<string, Sample>()).set(base, sample);
  }
  return Array.from(rounds, (round) => round ?? new Map<string, Sample>());
}
