/** What a program does with each kind of job while its guest goes on, and which disk it would open after a power cut. */
import type { ContentModel } from '@emkit/storage-testbed';
import { startJob, type BlockNode, type Job, type JobRequest } from '../src/index.ts';
import type { JobGuest } from './job-guest.ts';
import type { CopyKind } from './job-world.ts';

export interface Stage {
  readonly disk: BlockNode;
  readonly guest: JobGuest;
  readonly base: BlockNode;
  readonly mid: BlockNode;
  readonly copy: BlockNode | undefined;
  /** The guest's disk is another image from now on. */
  moved(to: 'base' | 'copy'): void;
  /** From now on `copy` must read as this. */
  whole(content: ContentModel): void;
  readonly options: { readonly bufferSize: number; readonly parallel: number };
}

export interface Scenario {
  readonly copy?: CopyKind;
  play(stage: Stage): Promise<void>;
  /** The same work again, after a cut before it was done. Absent: a copy is begun anew, which is nothing to look at. */
  readonly again?: (disk: BlockNode) => JobRequest | undefined;
}

const below = (node: BlockNode): BlockNode => node.children.get('backing') as BlockNode;

/** Requests of the guest at most while the job is not through: one that never rests dirties faster than a job copies. */
const MEANWHILE = 60;
/** Requests of the guest after the job. */
const AFTER = 12;

const begin = (stage: Stage, request: JobRequest): Job => startJob(request, stage.options);

async function becomesReady(job: Job): Promise<void> {
  while (job.status === 'running') await new Promise((resolve) => setTimeout(resolve, 0));
}

/** The guest writes from the start to the end of the job and a little longer. */
async function meanwhile(stage: Stage, request: JobRequest): Promise<void> {
  const job = begin(stage, request);
  stage.guest.start(MEANWHILE);
  await job.done;
  await stage.guest.pause();
  stage.guest.start(AFTER);
  await stage.guest.finished();
}

/** The guest writes until the job is ready and while it is, and after that on the disk that it was moved to. */
async function pivot(stage: Stage, request: JobRequest, onDone: () => void): Promise<void> {
  const job = begin(stage, request);
  stage.guest.start(MEANWHILE);
  await becomesReady(job);
  for (let turns = 0; turns < 40; turns++) await Promise.resolve();
  await stage.guest.pause();
  await job.complete();
  onDone();
  stage.guest.start(AFTER);
  await stage.guest.finished();
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'commit and empty': {
    async play(stage) {
      const { disk } = stage;
      await begin(stage, { type: 'commit', node: disk, automatic: true, keepChain: true }).done;
      await disk.image.makeEmpty?.();
      stage.guest.start(AFTER);
      await stage.guest.finished();
    },
    again: (node) => ({ type: 'commit', node, automatic: true, keepChain: true }),
  },
  'commit into the base': {
    async play(stage) {
      const { disk: node, base } = stage;
      await meanwhile(stage, { type: 'commit', node, base, automatic: true, keepChain: true });
    },
    again: (node) => ({ type: 'commit', node, base: below(below(node)), automatic: true, keepChain: true }),
  },
  'commit of the middle': {
    play: (stage) => meanwhile(stage, { type: 'commit', node: stage.disk, top: stage.mid }),
    // when the header has changed there is no middle any more
    again: (node) => (below(node).children.has('backing') ? { type: 'commit', node, top: below(node) } : undefined),
  },
  'commit of the active image': {
    play: (stage) => pivot(stage, { type: 'commit', node: stage.disk, base: stage.base }, () => stage.moved('base')),
    again: (node) =>
      node.children.has('backing') ? { type: 'commit', node, base: below(below(node)), automatic: true } : undefined,
  },
  stream: {
    play: (stage) => meanwhile(stage, { type: 'stream', node: stage.disk }),
    again: (node) => ({ type: 'stream', node }),
  },
  'stream to the base': {
    play: (stage) => meanwhile(stage, { type: 'stream', node: stage.disk, base: stage.base }),
    again: (node) => ({ type: 'stream', node }),
  },
  mirror: {
    copy: 'alone',
    play: (stage) =>
      pivot(
        stage,
        { type: 'mirror', node: stage.disk, target: stage.copy as BlockNode, sync: 'full', targetIsZero: true },
        () => stage.moved('copy'),
      ),
  },
  'mirror of the top': {
    copy: 'over mid',
    play: (stage) =>
      pivot(stage, { type: 'mirror', node: stage.disk, target: stage.copy as BlockNode, sync: 'top' }, () =>
        stage.moved('copy'),
      ),
  },
  'mirror that stays': {
    copy: 'alone',
    play: (stage) =>
      pivot(
        stage,
        { type: 'mirror', node: stage.disk, target: stage.copy as BlockNode, sync: 'full', keepSource: true },
        () => stage.whole(stage.guest.model),
      ),
  },
  backup: { copy: 'alone', play: (stage) => backUp(stage, false) },
  'backup, compressed': { copy: 'alone', play: (stage) => backUp(stage, true) },
};

async function backUp(stage: Stage, compressed: boolean): Promise<void> {
  const target = stage.copy as BlockNode;
  const before = stage.guest.model.fork();
  const job = begin(stage, { type: 'backup', node: stage.disk, target, sync: 'full', compressed });
  stage.guest.start(MEANWHILE);
  await job.done;
  stage.whole(before);
  await stage.guest.pause();
  stage.guest.start(AFTER);
  await stage.guest.finished();
}
