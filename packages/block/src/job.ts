/** Long work on a running graph: what all jobs have. As QEMU's jobs: created, run, be ready (mirror, active commit), conclude. */
import type { AbortSignal } from '@emkit/storage';
import type { BlockNode } from './block-node.ts';
import type { DirtyBitmap } from './dirty-bitmap.ts';
import type { BlockClock } from './environment.ts';

export type JobStatus = 'running' | 'paused' | 'ready' | 'concluded';

export type JobEvent =
  | { readonly type: 'status'; readonly job: Job; readonly status: JobStatus }
  | { readonly type: 'progress'; readonly job: Job; readonly current: number; readonly total: number }
  | {
      readonly type: 'error';
      readonly job: Job;
      readonly error: unknown;
      readonly action: 'report' | 'ignore' | 'stop';
    };

export interface JobOptions {
  /** Default: the type and a number. */
  readonly id?: string | undefined;
  /** Aborting is `cancel()`. */
  readonly signal?: AbortSignal | undefined;
  /** Bytes a second; 0 (default): no limit. */
  readonly speed?: number | undefined;
  readonly clock?: BlockClock | undefined;
  /** Requests in flight; default 8. */
  readonly parallel?: number | undefined;
  /** Bytes per request; default 1 MiB. */
  readonly bufferSize?: number | undefined;
  /** On an error of source or target: give up (`report`, default), go on and redo it later (`ignore`), pause (`stop`). */
  readonly onError?: 'report' | 'ignore' | 'stop' | undefined;
  readonly onEvent?: ((event: JobEvent) => void) | undefined;
}

export interface Job {
  readonly id: string;
  readonly type: JobRequest['type'];
  readonly status: JobStatus;
  /** Bytes; `total` can grow while a guest writes. */
  readonly progress: { readonly current: number; readonly total: number };
  /** Settles when nothing is in flight any more: resolves when the work is complete, rejects with the failure, `aborted` after `cancel`. */
  readonly done: Promise<void>;
  pause(): void;
  resume(): void;
  setSpeed(bytesPerSecond: number): void;
  /** Ends it at the next possible point; the graph is as before, the work done so far stays where it does no harm. Resolves with `done` settled. */
  cancel(): Promise<void>;
  /** Of a ready job: the last dirty parts are copied, and the graph changes over. Rejects with `invalid-option` when it is not ready. */
  complete(): Promise<void>;
}

/** Which work. Nodes are of one graph; jobs attach to them with permissions, so that two jobs that cannot both run are `locked`. */
export type JobRequest =
  /**
   * Writes what the images from `top` (default `node`) down to above `base` (default: the image below `top`) hold into `base`, then drops them from the chain.
   * With `top` the active node, it becomes ready and `complete` pivots the users of `node` to `base`, unless `automatic`.
   */
  | {
      readonly type: 'commit';
      readonly node: BlockNode;
      readonly top?: BlockNode | undefined;
      readonly base?: BlockNode | undefined;
      /** Complete by itself when first ready. */
      readonly automatic?: boolean | undefined;
      /** Leave the chain as it is: `qemu-img commit`. */
      readonly keepChain?: boolean | undefined;
    }
  /** Copies into `node` what its backing files down to above `base` hold; then `base` (default: none) is its backing file. */
  | {
      readonly type: 'stream';
      readonly node: BlockNode;
      readonly base?: BlockNode | undefined;
      /** Written into the header; default: `base`'s own name. */
      readonly backingName?: string | undefined;
    }
  /** Copies `node` to `target` and keeps it equal. `complete` pivots the users of `node` to `target`. */
  | {
      readonly type: 'mirror';
      readonly node: BlockNode;
      readonly target: BlockNode;
      /** Everything, the top image only, or only what is written from now on. */
      readonly sync: 'full' | 'top' | 'none';
      readonly automatic?: boolean | undefined;
      /** The target reads as zero. */
      readonly targetIsZero?: boolean | undefined;
      /** On completion leave users where they are. */
      readonly keepSource?: boolean | undefined;
    }
  /** Copies `node` as it is at the start to `target`, while writes to it go on (what they would overwrite is copied first). */
  | {
      readonly type: 'backup';
      readonly node: BlockNode;
      readonly target: BlockNode;
      readonly sync: 'full' | 'top' | 'none' | 'incremental';
      /** For `incremental`: what to copy. Cleared when it succeeds, and what was written meanwhile is in it. */
      readonly bitmap?: DirtyBitmap | undefined;
      readonly compressed?: boolean | undefined;
    };
