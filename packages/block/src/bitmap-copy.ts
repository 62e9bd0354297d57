/**
 * Copies what a bitmap says is to be copied, with several requests in flight, until it says nothing: the work of every job. Parts can become dirty
 * again meanwhile, and somebody else can ask for a part to be copied at once (`ensure`, before a guest's write).
 *
 * Invariants: a part is cleared before its copy begins and set again if the copy fails; copies of one place go one after the other, in order.
 */
import type { DirtyBitmap } from './dirty-bitmap.ts';
import type { JobRun } from './job-run.ts';
import { RangeLock } from './range-lock.ts';

export type PartKind = 'data' | 'zero' | 'skip';

export interface PartCopier {
  /** Bytes of the disk. */
  readonly size: number;
  /** `data` gets multiples of this, but for the end of the disk; default 1. Divides the bitmap's granularity. */
  readonly unit?: number;
  /** What is at `offset`, for at most `length` bytes. */
  look(offset: number, length: number): Promise<{ readonly length: number; readonly kind: PartKind }>;
  /** Copies data; `buffer` is scratch memory of that length. */
  data(offset: number, buffer: Uint8Array): Promise<void>;
  zero(offset: number, length: number): Promise<void>;
}

export class BitmapCopy {
  readonly #run: JobRun;
  readonly #todo: DirtyBitmap;
  readonly #copier: PartCopier;
  readonly #lock = new RangeLock();
  readonly #buffers: Uint8Array[] = [];
  /** What `ensure` is at; none of them rejects. */
  readonly #ensuring = new Set<Promise<void>>();
  #copied = 0;

  constructor(run: JobRun, todo: DirtyBitmap, copier: PartCopier) {
    this.#run = run;
    this.#todo = todo;
    this.#copier = copier;
  }

  /** Resolves when nothing is dirty; rejects, with nothing in flight, when the job has to end. `isDrained`: the end of a job, which nothing stops. */
  async drain(isDrained = false): Promise<void> {
    const failures: unknown[] = [];
    const work = async (): Promise<void> => {
      while (failures.length === 0 && !this.#todo.isEmpty) {
        if (!isDrained) await this.#run.point(0);
        const part = this.#todo.next(0, this.#run.bufferSize);
        if (part === undefined) return;
        if (!isDrained) await this.#run.point(part.length);
        // somebody else may have taken it while this one waited
        if (this.#todo.isDirty(part.offset)) await this.#part(part.offset, part.length, isDrained);
      }
    };
    const workers = Array.from({ length: this.#run.parallel }, () =>
      work().catch((error: unknown) => void failures.push(error)),
    );
    await Promise.all(workers);
    // what somebody else copies is not dirty any more, but not there yet either
    await this.settled();
    if (failures.length > 0) throw failures[0];
  }

  /** Resolves when no `ensure` is under way. */
  async settled(): Promise<void> {
    while (this.#ensuring.size > 0) await Promise.all(this.#ensuring);
  }

  /** Has copied what is dirty of the range when it resolves, also if somebody else was at it. */
  ensure(offset: number, length: number): Promise<void> {
    const { granularity, size } = this.#todo;
    const start = offset - (offset % granularity);
    const end = Math.min(size, Math.ceil((offset + length) / granularity) * granularity);
    const work = this.#lock.run(start, end - start, async () => {
      const next = () => this.#todo.next(start, this.#run.bufferSize);
      for (let part = next(); part !== undefined && part.offset < end; part = next()) {
        const count = Math.min(part.length, end - part.offset);
        this.#todo.clear(part.offset, count);
        await this.#copy(part.offset, count);
      }
    });
    const ended: Promise<void> = work.then(
      () => void this.#ensuring.delete(ended),
      () => void this.#ensuring.delete(ended),
    );
    this.#ensuring.add(ended);
    return work;
  }

  async #part(offset: number, length: number, isDrained: boolean): Promise<void> {
    this.#todo.clear(offset, length);
    try {
      const kind = await this.#lock.run(offset, length, () => this.#copy(offset, length));
      if (kind !== 'data') await this.#stretch(offset + length, kind);
    } catch (error) {
      if (isDrained) throw error;
      await this.#run.failed(error);
    }
    this.#report();
  }

  /** Where zeroes or nothing go on, all of that is one step. */
  async #stretch(offset: number, kind: PartKind): Promise<void> {
    if (offset >= this.#copier.size || !this.#todo.isDirty(offset)) return;
    const more = await this.#copier.look(offset, this.#copier.size - offset);
    if (more.kind !== kind || more.length <= this.#todo.granularity) return;
    const part = this.#todo.next(offset, more.length);
    if (part === undefined || part.offset !== offset) return;
    this.#todo.clear(part.offset, part.length);
    await this.#lock.run(part.offset, part.length, () => this.#copy(part.offset, part.length));
  }

  /** With the lock held. Looks at the source again, for it may have changed while we waited. Gives the kind of the last part. */
  async #copy(offset: number, length: number): Promise<PartKind> {
    let last: PartKind = 'skip';
    try {
      for (let at = offset; at < offset + length;) {
        const { length: known, kind } = await this.#copier.look(at, offset + length - at);
        if (kind === 'zero') await this.#copier.zero(at, known);
        else if (kind === 'data') await this.#copyData(at, known);
        at += known;
        last = kind;
      }
    } catch (error) {
      this.#todo.set(offset, length);
      throw error;
    }
    this.#copied += length;
    return last;
  }

  async #copyData(offset: number, length: number): Promise<void> {
    const { unit = 1 } = this.#copier;
    const bufferSize = Math.ceil(this.#run.bufferSize / unit) * unit;
    const buffer = this.#buffers.pop() ?? new Uint8Array(bufferSize);
    try {
      for (let done = 0; done < length; done += bufferSize)
        await this.#copier.data(offset + done, buffer.subarray(0, Math.min(bufferSize, length - done)));
    } finally {
      this.#buffers.push(buffer);
    }
  }

  #report(): void {
    this.#run.report(this.#copied, this.#copied + this.#todo.dirtyBytes);
  }
}
