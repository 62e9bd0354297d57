/**
 * Work done elsewhere (a worker, the host's own pool), with results delivered in the context. The executor is injected;
 * this class bounds what is queued and running, cancels what has not begun, and hands over results in `poll`, in the
 * order in which they arrived.
 */
import { AioError } from './aio-error.ts';
import type { BottomHalf } from './bottom-half.ts';
import { CoQueue } from './co-queue.ts';
import { coSelf, coYield } from './coroutine.ts';
import type { Co, CoContext, CoOutcome } from './coroutine.ts';
import { DEFAULT_MAX_QUEUED_WORK } from './limits.ts';

/** Does one piece of work; may be called for several at a time. */
export type Executor<W, R> = (work: W) => Promise<R>;

export interface ThreadPoolOptions {
  /** Pieces of work given to the executor at a time; default 4. */
  readonly maxRunning?: number;
  /** Pieces of work held at most, waiting and running; default `DEFAULT_MAX_QUEUED_WORK`. */
  readonly maxQueued?: number;
}

/** One submitted piece of work. */
export interface ThreadPoolJob {
  readonly state: 'queued' | 'running' | 'done' | 'cancelled';
  /** Take it back; possible only while queued. Its callback is then called (in the next poll) with a `cancelled` error. */
  cancel(): boolean;
}

class Job<W, R> implements ThreadPoolJob {
  state: ThreadPoolJob['state'] = 'queued';
  outcome: CoOutcome<R> | undefined = undefined;
  readonly work: W;
  readonly callback: (outcome: CoOutcome<R>) => void;
  private readonly pool: { withdraw(job: Job<W, R>): boolean };

  constructor(pool: { withdraw(job: Job<W, R>): boolean }, work: W, callback: (outcome: CoOutcome<R>) => void) {
    this.pool = pool;
    this.work = work;
    this.callback = callback;
  }

  cancel(): boolean {
    return this.pool.withdraw(this);
  }
}

export class ThreadPool<W, R> {
  private readonly executor: Executor<W, R>;
  private readonly maxRunning: number;
  private readonly maxQueued: number;
  private readonly delivery: BottomHalf;
  private readonly room = new CoQueue();
  private readonly queue: Job<W, R>[] = [];
  private readonly finished: Job<W, R>[] = [];
  private running = 0;
  /** Room promised to coroutines that are woken but have not submitted yet. */
  private promised = 0;

  constructor(context: CoContext, executor: Executor<W, R>, options: ThreadPoolOptions = {}) {
    this.executor = executor;
    this.maxRunning = options.maxRunning ?? 4;
    this.maxQueued = options.maxQueued ?? DEFAULT_MAX_QUEUED_WORK;
    this.delivery = context.bottomHalf(() => this.deliver(), 'thread pool');
  }

  /** Pieces of work held: queued, running, or finished and not yet delivered. */
  get size(): number {
    return this.queue.length + this.running + this.finished.length;
  }

  /** Queue `work`; `callback` gets its outcome from a poll. Throws `queue-full`. */
  submit(work: W, callback: (outcome: CoOutcome<R>) => void): ThreadPoolJob {
    if (this.isFull()) throw new AioError('queue-full', `thread pool holds ${this.size} pieces of work, its limit`);
    const job = new Job(this, work, callback);
    this.queue.push(job);
    this.startNext();
    return job;
  }

  /** Submit from a coroutine and wait for the result; waits for room, first come first served, when the pool is full. */
  *coSubmit(work: W): Co<R> {
    const self = yield* coSelf();
    if (this.isFull()) {
      yield* this.room.coWait();
      this.promised--;
    }
    let outcome: CoOutcome<R> | undefined;
    this.submit(work, (result) => {
      outcome = result;
      self.wake();
    });
    while (outcome === undefined) yield* coYield();
    // Assigned by the callback above, which the compiler does not see.
    const settled = outcome as CoOutcome<R>;
    if (!settled.ok) throw settled.error;
    return settled.value;
  }

  /** For jobs. */
  withdraw(job: Job<W, R>): boolean {
    if (job.state !== 'queued') return false;
    this.queue.splice(this.queue.indexOf(job), 1);
    this.complete(job, 'cancelled', {
      ok: false,
      error: new AioError('cancelled', 'the work was cancelled before it began'),
    });
    return true;
  }

  private isFull(): boolean {
    return this.size + this.promised >= this.maxQueued;
  }

  private startNext(): void {
    while (this.running < this.maxRunning) {
      const job = this.queue.shift();
      if (job === undefined) return;
      job.state = 'running';
      this.running++;
      this.execute(job.work).then(
        (value) => this.ended(job, { ok: true, value }),
        (error: unknown) => this.ended(job, { ok: false, error }),
      );
    }
  }

  /** As `async`, so that an executor that throws counts as one that rejects. */
  private async execute(work: W): Promise<R> {
    return this.executor(work);
  }

  private ended(job: Job<W, R>, outcome: CoOutcome<R>): void {
    this.running--;
    this.complete(job, 'done', outcome);
    this.startNext();
  }

  private complete(job: Job<W, R>, state: 'done' | 'cancelled', outcome: CoOutcome<R>): void {
    job.state = state;
    job.outcome = outcome;
    this.finished.push(job);
    this.delivery.schedule();
  }

  private deliver(): void {
    for (let left = this.finished.length; left > 0; left--) {
      const job = this.finished.shift();
      if (job === undefined) return;
      // Scheduled anew before each callback: one that throws or polls leaves nothing behind.
      if (this.finished.length > 0) this.delivery.schedule();
      else this.delivery.cancel();
      if (this.room.wakeOne()) this.promised++;
      if (job.outcome !== undefined) job.callback(job.outcome);
    }
  }
}
