/** `bench idle`: processor time of emulators whose guest sleeps: between interrupts of a 1 kHz timer, and at a shell's prompt. */
import { BootLog } from './boot-log.ts';
import type { Command, Emulator, EmulatorName } from './emulators.ts';
import { GuestLog } from './guest-log.ts';
import { describeEnding, observe } from './observe.ts';

export interface IdleSample {
  readonly wallMs: number;
  readonly cpuMs: number;
}

export interface IdleCase {
  readonly name: string;
  readonly emulators: readonly Emulator[];
  command(emulator: Emulator): Command;
  /** Of the benchmark guest's own timer workload, or of the time after a prompt. */
  readonly kind: 'pit' | 'prompt';
}

export interface IdleRun {
  readonly cases: readonly { readonly name: string; readonly samples: ReadonlyMap<EmulatorName, IdleSample> }[];
  readonly failures: readonly string[];
}

/** After the prompt, what is left to do at boot is done. */
const SETTLE_MS = 2000;

export async function runIdle(
  cases: readonly IdleCase[],
  options: { readonly seconds: number; readonly silenceMs: number; note(text: string): void },
): Promise<IdleRun> {
  const failures: string[] = [];
  const done: { name: string; samples: Map<EmulatorName, IdleSample> }[] = [];
  for (const one of cases) {
    const samples = new Map<EmulatorName, IdleSample>();
    done.push({ name: one.name, samples });
    for (const emulator of one.emulators) {
      options.note(`${one.name}: ${emulator.name}`);
      try {
        const measure = one.kind === 'pit' ? timerSample : promptSample;
        samples.set(emulator.name, await measure(one.command(emulator), options));
      } catch (error) {
        failures.push(`${emulator.name}, ${one.name}: ${(error as Error).message}`);
      }
    }
  }
  return { cases: done, failures };
}

interface Limits {
  readonly seconds: number;
  readonly silenceMs: number;
}

async function timerSample(command: Command, { silenceMs }: Limits): Promise<IdleSample> {
  const log = new GuestLog();
  const ending = await observe(command, silenceMs, (text, wallMs, cpuMs) => {
    log.feed(text, wallMs, cpuMs);
    return log.done;
  });
  const sample = log.samples.get('pit');
  if (sample === undefined) throw new Error(describeEnding(ending, silenceMs));
  return sample;
}

async function promptSample(command: Command, { seconds, silenceMs }: Limits): Promise<IdleSample> {
  const log = new BootLog();
  let sample: IdleSample | undefined;
  let waiting = false;
  const ending = await observe(command, silenceMs, (text, wallMs, cpuMs, running) => {
    log.feed(text, wallMs, cpuMs);
    if (log.sample === undefined || waiting) return log.failure !== undefined;
    waiting = true;
    setTimeout(() => {
      const [wall, cpu] = [performance.now(), running.cpuMs()];
      setTimeout(() => {
        sample = { wallMs: performance.now() - wall, cpuMs: running.cpuMs() - cpu };
        running.enough();
      }, seconds * 1000);
    }, SETTLE_MS);
    return false;
  });
  if (sample === undefined) throw new Error(log.failure ?? describeEnding(ending, silenceMs));
  return sample;
}
