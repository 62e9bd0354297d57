/**
 * Rounds of the benchmark guest: in each round every emulator runs the whole guest once, in turn.
 *
 * An emulator that fails in a workload is started again for the remaining ones, so that one fault costs one row; the
 * workload is not tried again in later rounds.
 */
import type { Emulator, EmulatorName } from './emulators.ts';
import { GuestLog } from './guest-log.ts';
import type { Sample } from './guest-log.ts';
import { describeEnding, observe } from './observe.ts';

export interface CpuPlan {
  readonly emulators: readonly Emulator[];
  readonly elf: string;
  readonly scale: number;
  readonly rounds: number;
  readonly only: readonly string[] | undefined;
  readonly silenceMs: number;
  note(text: string): void;
}

export interface CpuRun {
  readonly rounds: Map<EmulatorName, Map<string, Sample>[]>;
  /** Workloads in the guest's order. */
  readonly ran: readonly string[];
  /** Per emulator: workload (or '' for a run without any) to what went wrong. */
  readonly failures: Map<EmulatorName, Map<string, string>>;
}

export async function runCpu(plan: CpuPlan): Promise<CpuRun> {
  const rounds: CpuRun['rounds'] = new Map(plan.emulators.map((e) => [e.name, []]));
  const failures: CpuRun['failures'] = new Map(plan.emulators.map((e) => [e.name, new Map<string, string>()]));
  const order: string[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    for (const emulator of plan.emulators) {
      plan.note(`round ${round} of ${plan.rounds}: ${emulator.name}`);
      const failed = failures.get(emulator.name)!;
      const samples = await runGuest(plan, emulator, failed);
      rounds.get(emulator.name)?.push(samples);
      order.push(...[...samples.keys(), ...failed.keys()].filter((name) => name !== '' && !order.includes(name)));
    }
  }
  return { rounds, ran: inGuestOrder(order, rounds), failures };
}

/** One whole pass over the guest's workloads; adds to `failed` what could not be finished. */
async function runGuest(plan: CpuPlan, emulator: Emulator, failed: Map<string, string>): Promise<Map<string, Sample>> {
  const samples = new Map<string, Sample>();
  for (;;) {
    const log = new GuestLog();
    const only = plan.only?.filter((name) => !samples.has(name) && !failed.has(name));
    if (only?.length === 0) return samples;
    const words = [`scale=${plan.scale}`];
    const skip = [...samples.keys(), ...failed.keys()].filter((name) => name !== '');
    if (only !== undefined) words.push(`only=${only.join(',')}`);
    else if (skip.length > 0) words.push(`skip=${skip.join(',')}`);
    const command = emulator.command({ kind: 'multiboot', elf: plan.elf, commandLine: words.join(' ') });
    const ending = await observe(command, plan.silenceMs, (text, wallMs, cpuMs) => {
      log.feed(text, wallMs, cpuMs);
      return log.done;
    });
    for (const [name, sample] of log.samples) samples.set(name, sample);
    if (log.done) return samples;
    const why =
      describeEnding(ending, plan.silenceMs) + (log.remarks.length > 1 ? `; guest: ${log.remarks.at(-1)}` : '');
    failed.set(log.running ?? '', why);
    plan.note(
      `${emulator.name} failed ${log.running === undefined ? 'outside a workload' : `in ${log.running}`}: ${why}`,
    );
    if (log.running === undefined) return samples;
  }
}

/** The order of the fullest run; what only others ran comes last. */
function inGuestOrder(names: readonly string[], rounds: CpuRun['rounds']): string[] {
  const runs = [...rounds.values()].flat().sort((a, b) => b.size - a.size);
  const order = [...(runs[0]?.keys() ?? [])];
  return [...order, ...names.filter((name) => !order.includes(name))];
}
