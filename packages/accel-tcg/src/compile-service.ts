/**
 * Where regions are compiled: at once by the caller's thread, or by another one, to which jobs go as messages and from which results are
 * fetched between slices. Makes no threads itself: who has them gives both ends of a channel (see README).
 */
import type { Optimisations } from '@emkit/ir';
import { RegionCompiler } from './region-compiler.ts';
import { decodeJobs, encodeJobs } from './region-job.ts';
import type { CompiledBatch, RegionJob } from './region-job.ts';
import type { TargetFrontend } from './target.ts';

/** Batches given to another thread before one has come back: what is waiting longer is chosen with what is known then. */
const IN_FLIGHT = 2;

export interface CompileService {
  /** Batches that it takes now. */
  readonly room: number;
  post(jobs: readonly RegionJob[], code: Uint8Array): void;
  /** What has been compiled since, in the order of `post`. */
  poll(): readonly CompiledBatch[];
}

/** Compiles in `post`. */
export class CompileHere implements CompileService {
  readonly room = 1;
  readonly #compiler: RegionCompiler;
  #done: CompiledBatch[] = [];

  constructor(frontend: TargetFrontend, optimisations: Optimisations) {
    this.#compiler = new RegionCompiler(frontend, optimisations);
  }
  post(jobs: readonly RegionJob[], code: Uint8Array): void {
    this.#done.push(this.#compiler.compile(jobs, code));
  }
  poll(): readonly CompiledBatch[] {
    if (this.#done.length === 0) return this.#done;
    const done = this.#done;
    this.#done = [];
    return done;
  }
}

/** The processor's end of a channel to a thread that runs `serveCompiler`. Messages arrive whole and in order. */
export interface CompileChannel {
  post(message: unknown): void;
  /** The next message that has arrived, undefined: none yet. Throws when the other end is gone. */
  receive(): unknown;
}

/** What the two ends send each other. */
interface JobMessage {
  readonly words: Int32Array;
  readonly code: Uint8Array;
}

export class CompileElsewhere implements CompileService {
  readonly #channel: CompileChannel;
  #posted = 0;

  constructor(channel: CompileChannel) {
    this.#channel = channel;
  }
  get room(): number {
    return IN_FLIGHT - this.#posted;
  }
  post(jobs: readonly RegionJob[], code: Uint8Array): void {
    const message: JobMessage = { words: encodeJobs(jobs), code };
    this.#posted++;
    this.#channel.post(message);
  }
  poll(): readonly CompiledBatch[] {
    if (this.#posted === 0) return [];
    const done: CompiledBatch[] = [];
    for (let message = this.#channel.receive(); message !== undefined; message = this.#channel.receive()) {
      this.#posted--;
      done.push(message as CompiledBatch);
    }
    return done;
  }
}

/** The other end: returns what answers a message of `CompileElsewhere`. */
export function serveCompiler(
  frontend: TargetFrontend,
  optimisations: Optimisations,
): (message: unknown) => CompiledBatch {
  const compiler = new RegionCompiler(frontend, optimisations);
  return (message) => {
    const { words, code } = message as JobMessage;
    return compiler.compile(decodeJobs(words), code);
  };
}
