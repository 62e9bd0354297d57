/**
 * The life of a job, the same for all kinds: status, progress, pause, speed, cancel, ready and complete, errors. What it does is the `JobBody`.
 *
 * Invariants: a body looks at `point` before every piece of work; `done` settles after the body and its clean-up; within `finish` nothing cancels.
 */
import { BlockError, checkAborted, isBlockError, type AbortSignal } from '@emkit/storage';
import type { Job, JobOptions, JobRequest, JobStatus } from './job.ts';
import { JobSignal } from './job-signal.ts';
import { LIMITS } from './limits.ts';
import { RateLimit } from './rate-limit.ts';

export interface JobRun {
  readonly signal: AbortSignal;
  readonly parallel: number;
  readonly bufferSize: number;
  /** `complete` was called. */
  readonly isCompleting: boolean;
  /** Where the job may stop: waits while paused and for its share of the speed limit; throws `aborted`. */
  point(bytes: number): Promise<void>;
  report(current: number, total: number): void;
  /** Returns if the work is to be tried again, throws the error if the job is to end. */
  failed(error: unknown): Promise<void>;
  becomeReady(): void;
  /** Resolves when `wake` or `complete` was called, or the job cancelled. */
  standBy(): Promise<void>;
  wake(): void;
  /** The last steps, which are done as a whole or not begun. */
  finish<T>(body: () => Promise<T>): Promise<T>;
}

export type JobBody = (run: JobRun) => Promise<void>;

const PARALLEL = 8;
const BUFFER_SIZE = 2 ** 20;

export class RunningJob implements Job, JobRun {
  readonly id: string;
  readonly type: JobRequest['type'];
  readonly done: Promise<void>;
  readonly signal = new JobSignal();
  readonly parallel: number;
  readonly bufferSize: number;
  isCompleting = false;
  #status: JobStatus = 'running';
  #current = 0;
  #total = 0;
  #isPaused = false;
  #isReady = false;
  #isFinishing = false;
  #ignored = 0;
  readonly #options: JobOptions;
  readonly #rate: RateLimit;
  /** Who waits for a change: of pause, of readiness, of cancellation. */
  #sleepers: (() => void)[] = [];

  constructor(id: string, type: JobRequest['type'], body: JobBody, cleanUp: () => Promise<void>, options: JobOptions) {
    const { parallel = PARALLEL, bufferSize = BUFFER_SIZE, speed = 0, signal } = options;
    const valid = (value: number, least: number, most: number): boolean =>
      Number.isSafeInteger(value) && value >= least && value <= most;
    if (!valid(parallel, 1, LIMITS.COPY_REQUESTS) || !valid(bufferSize, 512, LIMITS.COPY_BUFFER) || !(speed >= 0))
      throw new BlockError(
        'invalid-option',
        'a job has 1 to 64 requests of 512 bytes to 64 MiB, and a speed of 0 or more',
      );
    this.id = id;
    this.type = type;
    this.#options = options;
    this.parallel = parallel;
    this.bufferSize = bufferSize;
    this.#rate = new RateLimit(speed, options.clock);
    const onAbort = (): void => void this.cancel().catch(() => undefined);
    if (signal?.aborted === true) this.signal.abort();
    signal?.addEventListener('abort', onAbort);
    this.done = this.#run(body, cleanUp).finally(() => signal?.removeEventListener('abort', onAbort));
    // who does not look at `done` listens to events
    this.done.catch(() => undefined);
  }

  get status(): JobStatus {
    return this.#status;
  }
  get progress(): { readonly current: number; readonly total: number } {
    return { current: this.#current, total: this.#total };
  }

  report(current: number, total: number): void {
    this.#current = current;
    this.#total = total;
    this.#options.onEvent?.({ type: 'progress', job: this, current, total });
  }

  async #run(body: JobBody, cleanUp: () => Promise<void>): Promise<void> {
    // starts in a turn of its own, so that the caller has the job before its first event
    await Promise.resolve();
    try {
      await body(this);
    } catch (error) {
      if (!this.signal.aborted) throw error;
      throw new BlockError('aborted', 'the job was cancelled', { cause: error });
    } finally {
      await cleanUp().finally(() => this.#become('concluded'));
    }
  }

  #become(status: JobStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#options.onEvent?.({ type: 'status', job: this, status });
  }

  pause(): void {
    if (this.#status === 'concluded' || this.#isFinishing) return;
    this.#isPaused = true;
    this.#become('paused');
  }
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#become(this.#isReady ? 'ready' : 'running');
    this.wake();
  }
  setSpeed(bytesPerSecond: number): void {
    if (!(bytesPerSecond >= 0)) throw new BlockError('invalid-option', `a speed of ${bytesPerSecond} is none`);
    this.#rate.speed = bytesPerSecond;
  }

  async cancel(): Promise<void> {
    if (!this.#isFinishing) {
      this.signal.abort();
      this.wake();
    }
    await this.done.catch(() => undefined);
  }

  async complete(): Promise<void> {
    if (!this.#isReady || this.#status === 'concluded')
      throw new BlockError(
        'invalid-option',
        `Job '${this.id}' in state '${this.#status}' cannot accept command verb 'complete'`,
      );
    this.isCompleting = true;
    this.resume();
    this.wake();
    await this.done;
  }

  async point(bytes: number): Promise<void> {
    checkAborted(this.signal);
    while (this.#isPaused) {
      await this.#sleep();
      checkAborted(this.signal);
    }
    const wait = this.#rate.wait(bytes, this.signal);
    if (wait === undefined) return;
    await wait.catch((error: unknown) => {
      checkAborted(this.signal);
      throw error;
    });
    checkAborted(this.signal);
  }

  async failed(error: unknown): Promise<void> {
    checkAborted(this.signal);
    const wanted = this.#options.onError ?? 'report';
    const action = wanted === 'ignore' && ++this.#ignored > LIMITS.IGNORED_ERRORS ? 'report' : wanted;
    this.#options.onEvent?.({ type: 'error', job: this, error, action });
    if (action === 'report' || isBlockError(error, 'closed')) throw error;
    if (action === 'stop') {
      this.pause();
      await this.point(0);
    }
  }

  becomeReady(): void {
    this.#isReady = true;
    if (!this.#isPaused) this.#become('ready');
  }

  async standBy(): Promise<void> {
    checkAborted(this.signal);
    await this.#sleep();
    checkAborted(this.signal);
  }

  wake(): void {
    for (const wake of this.#sleepers.splice(0)) wake();
  }

  async finish<T>(body: () => Promise<T>): Promise<T> {
    checkAborted(this.signal);
    this.#isFinishing = true;
    return body();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => this.#sleepers.push(resolve));
  }
}
