/**
 * A storage over a file descriptor, in one of three ways: calls that block the thread and give settled promises (fastest for one user: about 1 us for
 * 4 KiB), calls in libuv's threads, or reads on the thread while the page cache serves them and all else in libuv's threads. Holes, punching and reserving need `SystemCalls`; without them a file is all data unless it has no blocks at all,
 * and zeroes are written out.
 *
 * Invariants: the descriptor is closed only when nothing is in flight; after a failed flush every flush fails, since what the kernel dropped is not
 * known (fsync(2), "EIO"); growing never cuts off what another request has just written.
 */
import * as fs from 'node:fs';
import {
  BlockError,
  checkAborted,
  checkAligned,
  checkRange,
  type Extent,
  type IoOptions,
  type Storage,
  type ZeroOptions,
} from '@emkit/storage';
import { LIMITS } from './limits.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, type SystemCalls } from './system-calls.ts';
import { errnoError, systemError } from './system-error.ts';

export interface FileStorageParts {
  readonly fd: number;
  readonly path: string;
  readonly size: number;
  readonly readOnly: boolean;
  readonly blocking: Blocking;
  readonly isDevice: boolean;
  readonly locks: LockState;
  readonly calls: SystemCalls | undefined;
}

/**
 * Which calls block the thread. `quick-reads`: reads do while they are as quick as from memory, and go to libuv's threads for a while after one that
 * was not: for a copy, whose writes go on meanwhile in those threads.
 */
export type Blocking = boolean | 'quick-reads';

/** Of the advisory lock: taken, not asked for, or not possible here (no koffi, another system, a file system without locks). */
export type LockState = 'held' | 'off' | 'unavailable';

const DONE = Promise.resolve();
/** A read that took longer than from memory: these plus its share of bytes. */
const SLOW_MS = 0.5;
const SLOW_MS_PER_BYTE = 1 / 2 ** 20;
/** Reads that go to the threads after a slow one. */
const READS_AFTER_SLOW = 64;
const ZEROES = new Uint8Array(LIMITS.ZERO_BYTES);

/** ms. Not performance.now(), whose module takes 2 ms of a program's start. */
function now(): number {
  const time = process.hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

export class FileStorage implements Storage {
  readonly name: string;
  readonly mayBlock: boolean;
  readonly readOnly: boolean;
  readonly isDevice: boolean;
  readonly locks: LockState;
  size: number;
  declare write?: (offset: number, buffer: Uint8Array, options?: IoOptions) => Promise<void>;
  declare flush?: (options?: IoOptions) => Promise<void>;
  declare truncate?: (size: number, options?: IoOptions) => Promise<void>;
  declare writeZeroes?: (offset: number, length: number, options?: ZeroOptions) => Promise<void>;
  declare discard?: (offset: number, length: number, options?: IoOptions) => Promise<void>;
  /** Reserves space for the range, growing the file, without a change to what reads; zeroes are written where the file system cannot. */
  declare preallocate?: (offset: number, length: number, options?: IoOptions) => Promise<void>;
  readonly #calls: SystemCalls | undefined;
  readonly #blocking: Blocking;
  #fd: number;
  /** Reads still to go to the threads. */
  #slowReads = 0;
  #inFlight = 0;
  #idle: (() => void) | undefined;
  #flushFailure: BlockError | undefined;
  #canPunch = true;
  #canZero = true;

  constructor(parts: FileStorageParts) {
    this.#fd = parts.fd;
    this.#calls = parts.calls;
    this.name = parts.path;
    this.size = parts.size;
    this.#blocking = parts.blocking;
    this.mayBlock = parts.blocking !== false;
    this.readOnly = parts.readOnly;
    this.isDevice = parts.isDevice;
    this.locks = parts.locks;
    if (parts.readOnly) return;
    this.write = (offset, buffer, options) =>
      this.#blocking === true ? this.#writeNow(offset, buffer, options) : this.#writeLater(offset, buffer, options);
    this.flush = (options) =>
      this.#blocking === true ? this.#flushNow() : this.#later(() => this.#flushLater(), options);
    this.truncate = (size, options) => this.#later(() => this.#truncate(size), options);
    this.writeZeroes = (offset, length, options) => this.#later(() => this.#zero(offset, length, options), options);
    this.discard = (offset, length, options) => this.#later(() => this.#punch(offset, length), options);
    this.preallocate = (offset, length, options) => this.#later(() => this.#reserve(offset, length), options);
  }

  /** Hot path. */
  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    if (this.#blocking === true) return this.#readNow(offset, buffer, options);
    if (this.#blocking === false || this.#slowReads > 0) {
      if (this.#slowReads > 0) this.#slowReads--;
      return this.#readLater(offset, buffer, options);
    }
    const start = now();
    const done = this.#readNow(offset, buffer, options);
    if (now() - start > SLOW_MS + buffer.length * SLOW_MS_PER_BYTE) this.#slowReads = READS_AFTER_SLOW;
    return done;
  }

  #readNow(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    try {
      this.#check(offset, buffer.length, options);
      const { length } = buffer;
      let done = 0;
      while (done < length) {
        const count = fs.readSync(this.#fd, buffer, done, Math.min(length - done, LIMITS.CALL_BYTES), offset + done);
        if (count === 0) {
          buffer.fill(0, done);
          break;
        }
        done += count;
      }
      return DONE;
    } catch (error) {
      return Promise.reject(systemError(error, `Could not read ${buffer.length} bytes at ${offset} of '${this.name}'`));
    }
  }

  extent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    return this.#later(() => Promise.resolve(this.#extent(offset, length)), options);
  }

  async close(): Promise<void> {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    try {
      fs.closeSync(fd);
    } catch (error) {
      throw systemError(error, `Could not close '${this.name}'`);
    }
  }

  #check(offset: number, length: number, options: IoOptions | undefined): void {
    if (this.#fd < 0) throw new BlockError('closed', `'${this.name}' is closed`);
    if (options !== undefined) checkAborted(options.signal);
    checkAligned(offset, length, 1);
  }

  /** Counts a request in and out, so that the descriptor outlives it. */
  async #later<T>(work: () => Promise<T>, options: IoOptions | undefined): Promise<T> {
    this.#check(0, 0, options);
    this.#inFlight++;
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  /** Counts a request in, which counts itself out when it ends; one that cannot even begin is none. */
  #begin(request: () => void): void {
    this.#inFlight++;
    try {
      request();
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  #leave(): void {
    this.#inFlight--;
    if (this.#inFlight === 0) this.#idle?.();
  }

  /** Hot path: one promise a request. */
  #readLater(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#check(offset, buffer.length, options);
      const fd = this.#fd;
      const { length } = buffer;
      let done = 0;
      const next = (): void =>
        fs.read(fd, buffer, done, Math.min(length - done, LIMITS.CALL_BYTES), offset + done, (error, count) => {
          if (error === null) {
            if (count === 0) buffer.fill(0, done);
            else if ((done += count) < length) return next();
          }
          this.#leave();
          if (error === null) resolve();
          else reject(systemError(error, `Could not read ${length} bytes at ${offset} of '${this.name}'`));
        });
      if (length === 0) return resolve();
      this.#begin(next);
    });
  }

  #writeNow(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    try {
      this.#check(offset, buffer.length, options);
      for (let done = 0; done < buffer.length;)
        done += fs.writeSync(this.#fd, buffer, done, Math.min(buffer.length - done, LIMITS.CALL_BYTES), offset + done);
      this.#grown(offset + buffer.length);
      return DONE;
    } catch (error) {
      return Promise.reject(
        systemError(error, `Could not write ${buffer.length} bytes at ${offset} of '${this.name}'`),
      );
    }
  }

  /** Hot path: one promise a request. */
  #writeLater(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#check(offset, buffer.length, options);
      const fd = this.#fd;
      const { length } = buffer;
      let done = 0;
      const next = (): void =>
        fs.write(fd, buffer, done, Math.min(length - done, LIMITS.CALL_BYTES), offset + done, (error, count) => {
          if (error === null && (done += count) < length) return next();
          this.#leave();
          if (error !== null)
            return reject(systemError(error, `Could not write ${length} bytes at ${offset} of '${this.name}'`));
          this.#grown(offset + length);
          resolve();
        });
      if (length > 0) return this.#begin(next);
      this.#grown(offset);
      resolve();
    });
  }

  #flushNow(): Promise<void> {
    try {
      this.#check(0, 0, undefined);
      if (this.#flushFailure !== undefined) throw this.#flushFailure;
      fs.fdatasyncSync(this.#fd);
      return DONE;
    } catch (error) {
      return Promise.reject(this.#flushFailed(error));
    }
  }

  async #flushLater(): Promise<void> {
    if (this.#flushFailure !== undefined) throw this.#flushFailure;
    const fd = this.#descriptor();
    await new Promise<void>((resolve, reject) =>
      fs.fdatasync(fd, (error) => (error === null ? resolve() : reject(this.#flushFailed(error)))),
    );
  }

  #flushFailed(error: unknown): BlockError {
    if (error instanceof BlockError && error.kind === 'closed') return error;
    return (this.#flushFailure ??= systemError(error, `Could not flush '${this.name}'`));
  }

  async #truncate(size: number): Promise<void> {
    checkAligned(size, 0, 1);
    if (this.isDevice) {
      if (size > this.size) throw new BlockError('no-space', 'Cannot grow device files');
      return;
    }
    try {
      fs.ftruncateSync(this.#descriptor(), size);
    } catch (error) {
      throw systemError(error, `Could not resize '${this.name}' to ${size} bytes`);
    }
    this.size = size;
  }

  async #zero(offset: number, length: number, options: ZeroOptions | undefined): Promise<void> {
    checkAligned(offset, length, 1);
    const inside = Math.max(0, Math.min(length, this.size - offset));
    if (inside > 0 && !(await this.#zeroInside(offset, inside, options?.unmap === true)))
      await this.#writeZeroBytes(offset, inside, options);
    if (inside === length) return;
    if (options?.unmap === true) await this.#growTo(offset + length);
    else await this.#reserve(offset + inside, length - inside);
  }

  /** By the file system; false: it cannot. Device files are left to writes, since what a device makes of it differs. */
  async #zeroInside(offset: number, length: number, unmap: boolean): Promise<boolean> {
    if (this.#calls?.fallocate === undefined || this.isDevice) return false;
    if (unmap && this.#canPunch) {
      if ((await this.#fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)) === 0) return true;
      this.#canPunch = false;
    }
    if (this.#canZero) {
      if ((await this.#fallocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length)) === 0) return true;
      this.#canZero = false;
    }
    return false;
  }

  async #fallocate(mode: number, offset: number, length: number): Promise<number> {
    const fallocate = this.#calls?.fallocate;
    if (fallocate === undefined) return -1;
    const fd = this.#descriptor();
    return this.#blocking === true
      ? fallocate.run(mode, fd, offset, length)
      : fallocate.runAsync(mode, fd, offset, length);
  }

  async #writeZeroBytes(offset: number, length: number, options: IoOptions | undefined): Promise<void> {
    for (let done = 0; done < length; done += ZEROES.length) {
      checkAborted(options?.signal);
      const piece = ZEROES.subarray(0, Math.min(ZEROES.length, length - done));
      if (this.#blocking === true) await this.#writeNow(offset + done, piece, undefined);
      else await this.#writeLater(offset + done, piece, undefined);
    }
  }

  /** Grows the file with a hole. Alone, by its size; beside other requests, which may have grown it further meanwhile, by its last byte. */
  async #growTo(size: number): Promise<void> {
    if (size <= this.size) return;
    if (this.#inFlight <= 1) await this.#truncate(size);
    else await this.#writeLater(size - 1, ZEROES.subarray(0, 1), undefined);
  }

  async #punch(offset: number, length: number): Promise<void> {
    checkAligned(offset, length, 1);
    const inside = Math.min(length, this.size - offset);
    if (inside <= 0 || !this.#canPunch || this.isDevice || this.#calls?.fallocate === undefined) return;
    if ((await this.#fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, inside)) !== 0)
      this.#canPunch = false;
  }

  async #reserve(offset: number, length: number): Promise<void> {
    checkAligned(offset, length, 1);
    if (length === 0) return;
    if (this.isDevice) {
      // all of a device is there already, and no more
      if (offset + length > this.size) throw new BlockError('no-space', 'Cannot grow device files');
      return;
    }
    const fallocate = this.#calls?.fallocate;
    if (fallocate === undefined) {
      // what is there already keeps its bytes
      const from = Math.max(offset, this.size);
      return this.#writeZeroBytes(from, Math.max(0, offset + length - from), undefined);
    }
    const fd = this.#descriptor();
    const errno =
      this.#blocking === true
        ? fallocate.reserve(fd, offset, length)
        : await fallocate.reserveAsync(fd, offset, length);
    if (errno !== 0) throw errnoError(errno, `Could not preallocate '${this.name}'`);
    this.#grown(offset + length);
  }

  #extent(offset: number, length: number): Extent {
    checkRange(offset, length, this.size);
    const calls = this.#calls;
    const fd = this.#descriptor();
    const unknown: Extent = { length, data: true, zero: false };
    if (this.isDevice) return unknown;
    if (calls === undefined) return fs.fstatSync(fd).blocks === 0 ? { length, data: false, zero: true } : unknown;
    const data = calls.seek(fd, offset, 'data');
    if (data === -1) return unknown;
    if (data === undefined) return { length, data: false, zero: true };
    if (data > offset) return { length: Math.min(length, data - offset), data: false, zero: true };
    const hole = calls.seek(fd, offset, 'hole');
    if (hole === undefined || hole <= offset) return unknown;
    return { length: Math.min(length, hole - offset), data: true, zero: false };
  }

  #descriptor(): number {
    if (this.#fd < 0) throw new BlockError('closed', `'${this.name}' is closed`);
    return this.#fd;
  }

  #grown(end: number): void {
    if (end > this.size) this.size = end;
  }
}
