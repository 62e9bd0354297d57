/**
 * The three ways to torment a format, each from one seed: a shadow program, a power cut at every moment of a program, a fault at every
 * call of a program. A finding is an error that says how to repeat it.
 */
import { isBlockError } from '@emkit/storage';
import { ContentModel } from './content-model.ts';
import { Directory } from './directory.ts';
import type { Disk } from './disk.ts';
import { faultLoop, FaultPlan } from './fault-plan.ts';
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
  const run = new ShadowRun(setup, directory, { model: new ContentModel(await initialContent(setup, directory)) });
  await run.open();
  for (const step of program) await run.step(step);
  for (const op of ['verify', 'check', 'reopen', 'verify', 'check'] as const) await run.perform({ op });
  await run.close();
  return run.operations;
}

export interface CrashOptions extends ProgramOptions, CutOptions {
  /** Cuts of one program at most, about; spread over all of it. */
  readonly limit?: number;
  /** After every so many cuts the image is used on. @default 16 */
  readonly useEvery?: number;
  /** After every so many cuts the power is cut again while the image is opened, and perhaps repaired. @default 8 */
  readonly recoverEvery?: number;
}

/** Cuts during one recovery at most. */
const RECOVERY_CUTS = 12;

/** Records a program, cuts the power at every moment of it, and opens what is left. Gives the number of cuts. */
export async function runCrash(setup: ImageSetup, options: CrashOptions = {}): Promise<number> {
  const made = await createImage(setup);
  const log = new WriteLog();
  const directory = rewrap(made, (disk, name) => new Recorder(disk, log, name));
  const tick = (): number => log.tick();
  const initial = new ContentModel(await initialContent(setup, made));
  const run = new ShadowRun(setup, directory, { tick, model: initial });
  await run.open();
  for (const step of randomProgram({ operations: 30, ...options })) await run.step(step);
  await run.close();
  const history = new GuestHistory(initial, run.events);
  const { limit = Infinity, recoverEvery = 8, seed = 1 } = options;
  const step = Math.max(1, Math.floor((log.entries.length * CUTS_PER_ENTRY) / limit));
  let seen = seed % step;
  let cuts = 0;
  for (const cut of powerCuts(log, options)) {
    if (seen++ % step !== 0) continue;
    cuts++;
    const again = cuts % recoverEvery === 0 ? cut.disks.map((disk) => disk.fork()) : undefined;
    const state = { setup, options, log, model: history.at(cut.time), snapshots: history.snapshots() };
    try {
      await examine(state, cut, cuts);
      if (again !== undefined) cuts += await cutRecovery(state, again);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(
        `seed ${seed}, cut ${cuts} (${cut.kind} at ${cut.time}): ${text}\noperations:\n${describeEvents(run, cut.time)}\n` +
          `log:\n${describeLog(log, cut.time)}`,
        { cause: error },
      );
    }
  }
  return cuts;
}

const CUTS_PER_ENTRY = 4;

interface CutState {
  readonly setup: ImageSetup;
  readonly options: CrashOptions;
  readonly log: WriteLog;
  readonly model: ContentModel;
  readonly snapshots: ReadonlyMap<string, ContentModel>;
}

function directoryOf(
  { log }: CutState,
  disks: readonly Disk[],
  wrap?: (disk: Disk, name: string) => Recorder,
): Directory {
  const names = log.disks.map(({ name }) => name);
  return new Directory(
    disks.map((disk, i) => [names[i] as string, disk] as const),
    wrap,
  );
}

async function examine(state: CutState, cut: Cut, count: number): Promise<void> {
  const { setup, options, model, snapshots } = state;
  const run = new ShadowRun(setup, directoryOf(state, cut.disks), { model, snapshots, mayLeak: true });
  await run.open();
  await run.checkAfterCut();
  await run.perform({ op: 'verify' });
  if (count % (options.useEvery ?? 16) === 0) {
    for (const step of randomProgram({ seed: count, operations: 12 })) await run.step(step);
    await run.perform({ op: 'verify' });
    await run.perform({ op: 'check' });
  }
  await run.close();
}

/** Opening may repair, and that may be cut too. Gives the number of cuts. */
async function cutRecovery(state: CutState, disks: readonly Disk[]): Promise<number> {
  const log = new WriteLog();
  const directory = directoryOf(state, disks, (disk, name) => new Recorder(disk, log, name));
  const run = new ShadowRun(state.setup, directory, { model: state.model });
  await run.open();
  await run.close();
  if (log.entries.every(({ kind }) => kind === 'flush')) return 0;
  let cuts = 0;
  for (const cut of powerCuts(log, { seed: log.entries.length, subsets: 1 })) {
    if (++cuts > RECOVERY_CUTS) break;
    await examine(state, cut, cuts);
  }
  return Math.min(cuts, RECOVERY_CUTS);
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
  /** Positions at most, about; spread over all of the program. */
  readonly limit?: number;
}

/** Runs a program with a fault at every call in turn; afterwards the image opens and has what was acknowledged. Gives the faults injected. */
export async function runFaults(setup: ImageSetup, options: FaultRunOptions = {}): Promise<number> {
  const made = await createImage(setup);
  const initial = new ContentModel(await initialContent(setup, made));
  const program = randomProgram({ operations: 20, ...options });
  const scenario = async (plan: FaultPlan): Promise<void> => {
    const directory = rewrap(made, (disk) => plan.wrap(disk));
    let now = 0;
    const run = new ShadowRun(setup, directory, { mayFail: true, mayLeak: true, tick: () => ++now, model: initial });
    try {
      await runWithFaults(run, program);
      plan.disarm();
      const history = new GuestHistory(initial, run.events);
      const model = history.at(Infinity);
      const after = new ShadowRun(setup, new Directory(directory.fork()), {
        model,
        snapshots: history.snapshots(),
        mayLeak: true,
      });
      await after.open();
      await after.checkAfterCut();
      for (const op of ['verify', 'reopen', 'check'] as const) await after.perform({ op });
      await after.close();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(
        `seed ${options.seed ?? 1}, fault at call ${plan.calls} (${JSON.stringify(plan.options)}, ${plan.fired} fired): ${text}\n` +
          `operations:\n${run.describe()}`,
        { cause: error },
      );
    }
  };
  const { limit = Infinity } = options;
  const untouched = new FaultPlan(Infinity, options);
  await scenario(untouched);
  return faultLoop(scenario, { ...options, limit: Infinity, step: Math.max(1, Math.floor(untouched.calls / limit)) });
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
