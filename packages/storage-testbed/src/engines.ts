/**
 * The three ways to torment a format, each from one seed: a shadow program, a power cut at every moment of a program, a fault at every
 * call of a program. A finding is an error that says how to repeat it.
 */
import { isBlockError } from '@emkit/storage';
import type { BlockImage } from '@emkit/storage';
import { ContentModel } from './content-model.ts';
import { Directory } from './directory.ts';
import { faultLoop } from './fault-plan.ts';
import type { FaultOptions } from './fault-plan.ts';
import { GuestHistory } from './guest-history.ts';
import { createImage, initialContent, rewrap } from './image-setup.ts';
import type { ImageSetup } from './image-setup.ts';
import { randomProgram } from './operation.ts';
import type { Draw, ProgramOptions } from './operation.ts';
import { powerCuts } from './power-cut.ts';
import type { Cut, CutOptions } from './power-cut.ts';
import { Recorder, WriteLog } from './recorder.ts';
import { ShadowRun } from './shadow-run.ts';

/** Runs a program on a new image: everything read is right, and so it is after the image was opened again. Gives the operations done. */
export async function runShadow(setup: ImageSetup, program: readonly (readonly Draw[])[]): Promise<number> {
  const directory = await createImage(setup);
  const run = new ShadowRun(setup, directory);
  await run.open();
  for (const step of program) await run.step(step);
  for (const op of ['verify', 'check', 'reopen', 'verify', 'check'] as const) await run.perform({ op });
  await run.close();
  return run.operations;
}

export interface CrashOptions extends ProgramOptions, CutOptions {
  /** Cuts of one program at most. */
  readonly limit?: number;
  /** After every so many cuts the image is used on. @default 16 */
  readonly useEvery?: number;
  /** In place of the default: `check` of the reopened image finds no corruption. Content is compared afterwards in any case. */
  readonly checkAfterCut?: (image: BlockImage, cut: Cut) => Promise<void>;
}

/** Records a program, cuts the power at every moment of it, and opens what is left. Gives the number of cuts. */
export async function runCrash(setup: ImageSetup, options: CrashOptions = {}): Promise<number> {
  const made = await createImage(setup);
  const log = new WriteLog();
  const directory = rewrap(made, (disk, name) => new Recorder(disk, log, name));
  const tick = (): number => log.tick();
  const run = new ShadowRun(setup, directory, { tick });
  await run.open();
  for (const step of randomProgram({ operations: 30, ...options })) await run.step(step);
  await run.close();
  const history = new GuestHistory(new ContentModel(initialContent(setup)), run.events);
  let cuts = 0;
  for (const cut of powerCuts(log, options)) {
    if (cuts >= (options.limit ?? Infinity)) break;
    cuts++;
    try {
      await examine(setup, options, log, cut, history, cuts);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(
        `seed ${options.seed ?? 1}, cut ${cuts} (${cut.kind} at ${cut.time}): ${text}\noperations:\n${describeEvents(run, cut.time)}\n` +
          `log:\n${describeLog(log, cut.time)}`,
        { cause: error },
      );
    }
  }
  return cuts;
}

async function examine(
  setup: ImageSetup,
  options: CrashOptions,
  log: WriteLog,
  cut: Cut,
  history: GuestHistory,
  count: number,
): Promise<void> {
  const names = log.disks.map(({ name }) => name);
  const directory = new Directory(cut.disks.map((disk, i) => [names[i] as string, disk] as const));
  const model = history.at(cut.time);
  const run = new ShadowRun(setup, directory, { model, snapshots: history.snapshots(), mayLeak: true });
  await run.open();
  if (options.checkAfterCut === undefined) await run.perform({ op: 'check' });
  else await options.checkAfterCut(run.image, cut);
  await run.perform({ op: 'verify' });
  if (count % (options.useEvery ?? 16) === 0) {
    for (const step of randomProgram({ seed: count, operations: 12 })) await run.step(step);
    await run.perform({ op: 'verify' });
    await run.perform({ op: 'check' });
  }
  await run.close();
}

function describeEvents(run: ShadowRun, time: number): string {
  return run.events
    .filter((e) => e.started <= time)
    .slice(-20)
    .map((e) => {
      const { started, done, kind } = e;
      const what = e.kind === 'change' ? `${e.change.offset}+${e.change.length}${e.isHint ? ' discard' : ''}` : '';
      return `${started}-${done} ${kind} ${what}`;
    })
    .join('\n');
}

function describeLog(log: WriteLog, time: number): string {
  const part = new WriteLog();
  part.disks.push(...log.disks);
  part.entries.push(...log.entries.filter((e) => e.started <= time));
  return part.describe();
}

export interface FaultRunOptions extends ProgramOptions, FaultOptions {
  /** Positions at most. */
  readonly limit?: number;
  /** Every so many-th position. @default 1 */
  readonly step?: number;
}

/** Runs a program with a fault at every call in turn; afterwards the image opens and has what was acknowledged. Gives the faults injected. */
export async function runFaults(setup: ImageSetup, options: FaultRunOptions = {}): Promise<number> {
  const made = await createImage(setup);
  const program = randomProgram({ operations: 20, ...options });
  return faultLoop(async (plan) => {
    const directory = rewrap(made, (disk) => plan.wrap(disk));
    let now = 0;
    const run = new ShadowRun(setup, directory, { mayFail: true, mayLeak: true, tick: () => ++now });
    try {
      await runWithFaults(run, program);
      plan.disarm();
      const history = new GuestHistory(new ContentModel(initialContent(setup)), run.events);
      const model = history.at(Infinity);
      const after = new ShadowRun(setup, new Directory(directory.fork()), {
        model,
        snapshots: history.snapshots(),
        mayLeak: true,
      });
      await after.open();
      for (const op of ['check', 'verify', 'reopen', 'check'] as const) await after.perform({ op });
      await after.close();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(
        `seed ${options.seed ?? 1}, fault at call ${plan.calls} (${JSON.stringify(plan.options)}, ${plan.fired} fired): ${text}\n` +
          `operations:\n${run.describe()}`,
        { cause: error },
      );
    }
  }, options);
}

/** To the end, or to where the image cannot be opened. */
async function runWithFaults(run: ShadowRun, program: readonly (readonly Draw[])[]): Promise<void> {
  try {
    await run.open();
  } catch (error) {
    if (!isBlockError(error)) throw error;
    return;
  }
  for (const step of program) {
    await run.step(step);
    if (!run.isOpen) return;
  }
  // what is not flushed when close fails may be lost: only a flush that succeeded makes it certain
  await run.perform({ op: 'flush' });
  try {
    await run.close();
  } catch (error) {
    if (!isBlockError(error)) throw error;
  }
}
