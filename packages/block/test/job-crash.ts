/**
 * The power is cut at every moment of a job on real images, with the guest writing meanwhile: the disk reads as the guest may expect, no image is
 * corrupt, a copy that was reported done is whole, and the job can be done again.
 */
import {
  ContentModel,
  GuestHistory,
  powerCuts,
  Recorder,
  WriteLog,
  Directory,
  type Cut,
  type CutOptions,
} from '@emkit/storage-testbed';
import { startJob, type BlockEnvironment, type BlockNode } from '../src/index.ts';
import { JobGuest } from './job-guest.ts';
import { SCENARIOS, type Scenario } from './job-scenarios.ts';
import { contentOf, directoryOf, environment, makeChain, nameOfBase, openDisk, type ChainSetup } from './job-world.ts';

export interface JobCrashOptions extends CutOptions {
  /** Cuts at most, about; spread over all of the job. */
  readonly limit?: number;
  /** After every so many cuts the job is done again. @default 16 */
  readonly againEvery?: number;
}

/** Rough: what `powerCuts` makes of an entry. */
const CUTS_PER_ENTRY = 4;

interface Recording {
  readonly setup: ChainSetup;
  readonly scenario: Scenario;
  readonly log: WriteLog;
  readonly history: GuestHistory;
  /** Which image the guest uses from when on, the last that applies. */
  readonly moves: readonly { readonly time: number; readonly name: string }[];
  /** From then on the copy reads as this. */
  readonly copy: { readonly time: number; readonly content: ContentModel } | undefined;
}

/** Gives the number of cuts. */
export async function runJobCrash(setup: ChainSetup, name: string, options: JobCrashOptions = {}): Promise<number> {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`there is no job '${name}'`);
  const { seed = 1, limit = Infinity, againEvery = 16 } = options;
  const recording = await record(setup, scenario, seed);
  const { log } = recording;
  const step = Math.max(1, Math.floor((log.entries.length * CUTS_PER_ENTRY) / limit));
  let seen = seed % step;
  let cuts = 0;
  for (const cut of powerCuts(log, options)) {
    if (seen++ % step !== 0) continue;
    cuts++;
    try {
      await examine(recording, cut, cuts % againEvery === 0);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(
        `${name}, seed ${seed}, cut ${cuts} (${cut.kind} at ${cut.time}): ${text}\n${tail(log, cut.time)}`,
        {
          cause: error,
        },
      );
    }
  }
  return cuts;
}

async function record(setup: ChainSetup, scenario: Scenario, seed: number): Promise<Recording> {
  const made = await makeChain(setup, scenario.copy, seed);
  const log = new WriteLog();
  const directory = new Directory(made.fork(), (disk, name) => new Recorder(disk, log, name));
  const env = environment(directory);
  const disk = await openDisk(setup, 'top', env);
  const copy = scenario.copy === undefined ? undefined : await openDisk(setup, 'copy', env, disk.graph);
  const initial = new ContentModel(await contentOf(disk));
  const guest = new JobGuest(disk, initial, log, seed);
  const moves = [{ time: 0, name: 'top' }];
  let whole: Recording['copy'];
  const mid = disk.children.get('backing') as BlockNode;
  await scenario.play({
    disk,
    guest,
    mid,
    base: mid.children.get('backing') as BlockNode,
    copy,
    moved: (to) => moves.push({ time: log.tick(), name: to === 'base' ? nameOfBase(setup) : to }),
    whole: (content) => (whole = { time: log.tick(), content: content.fork() }),
    options: { bufferSize: 16384, parallel: 1 + (seed % 4) },
  });
  await copy?.close();
  await disk.close();
  return { setup, scenario, log, moves, copy: whole, history: new GuestHistory(initial, guest.events) };
}

async function examine(recording: Recording, cut: Cut, isAgain: boolean): Promise<void> {
  const { setup, log, history, copy, moves, scenario } = recording;
  const names = log.disks.map(({ name }) => name);
  const env = environment(directoryOf(names, cut.disks));
  const current = moves.filter(({ time }) => time <= cut.time).pop()?.name ?? 'top';
  const model = history.at(cut.time);
  const verify = async (node: BlockNode, wanted: ContentModel): Promise<void> => {
    if (node.size !== setup.size) throw new Error(`${node.filename} has ${node.size} bytes`);
    const wrong = wanted.check(0, await contentOf(node));
    if (wrong !== undefined) throw new Error(`${node.filename} ${wrong}`);
  };
  const disk = await openDisk(setup, current, env);
  await verify(disk, model);
  const request = isAgain && current === 'top' ? scenario.again?.(disk) : undefined;
  if (request !== undefined) {
    await startJob(request, { bufferSize: 65536 }).done;
    await verify(disk, model);
  }
  await disk.close();
  if (copy !== undefined && copy.time <= cut.time) {
    const target = await openDisk(setup, 'copy', env);
    await verify(target, copy.content);
    await target.close();
  }
  for (const name of names) await checkImage(setup, name, env);
}

async function checkImage(setup: ChainSetup, name: string, env: BlockEnvironment): Promise<void> {
  // open for writing, as a program would: lazy refcounts are put right then
  const node = await openDisk(setup, name, env);
  const lines: string[] = [];
  const found = await node.image.check?.({ report: (line) => void lines.push(line) });
  await node.close();
  if (found !== undefined && found.corruptions + found.checkErrors > 0)
    throw new Error(`check of ${name}: ${found.corruptions} corruptions\n${lines.slice(0, 10).join('\n')}`);
}

function tail(log: WriteLog, time: number): string {
  const part = new WriteLog();
  part.disks.push(...log.disks);
  part.entries.push(...log.entries.filter(({ started }) => started <= time));
  return part.describe();
}
