/**
 * Copies one disk to another, by what their images know of data and zeroes: `convert`, and the engine of the jobs.
 *
 * Several workers, each with one buffer, take pieces from a plan; reads run side by side, writes begin in the order of the disk unless told otherwise.
 * Memory is workers times buffer. Invariant: when it rejects, nothing of it is in flight. Options are those of man qemu-img(1), "convert".
 */
import {
  BlockError,
  checkAborted,
  settleAll,
  writable,
  zeroRange,
  type BlockImage,
  type IoOptions,
  type Storage,
  type WritableStorage,
} from '@emkit/storage';
import { CopyPlan, type CopyPiece } from './copy-plan.ts';
import type { BlockClock } from './environment.ts';
import { LIMITS } from './limits.ts';
import { RateLimit } from './rate-limit.ts';
import { nextRun } from './zero-runs.ts';

export interface CopyOptions extends IoOptions {
  /** Copied range of the source; default all of it. It goes to the same offsets of the target plus `targetOffset`. */
  readonly offset?: number | undefined;
  readonly length?: number | undefined;
  readonly targetOffset?: number | undefined;
  /** Runs of zeroes at least this long are not written (`-S`); 0: everything is written out as data. Default 4096. */
  readonly minZeroRun?: number | undefined;
  /** The target reads as zero where it was not written (a new image): zeroes are skipped. Default false: they are written. */
  readonly targetIsZero?: boolean | undefined;
  /** What the source's chain above this image does not have is left alone, since the target has the same backing file (`-B`). `all`: only the top image counts. */
  readonly sharedBacking?: Storage | 'all' | undefined;
  /** Requests at a time (`-m`), 1 to 16 in QEMU; default 8. Where both sides block there is one. */
  readonly parallel?: number | undefined;
  /** Writes may overtake each other (`-W`). */
  readonly outOfOrder?: boolean | undefined;
  /** Cluster by cluster through `writeCompressed` (`-c`). */
  readonly compressed?: boolean | undefined;
  /** Bytes per request; default 1 MiB, so that the buffers in use stay in a cache. */
  readonly bufferSize?: number | undefined;
  /** Bytes a second (`-r`); needs `clock`. */
  readonly speed?: number | undefined;
  readonly clock?: BlockClock | undefined;
  /** Called for each sector that cannot be read; zeroes stand for it then (`--salvage`). Absent: the copy fails. */
  readonly salvage?: ((error: unknown, offset: number, length: number) => void) | undefined;
  /** Bytes of the range that are done, of all; called after each piece. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface CopyResult {
  /** Bytes written as data, and as zeroes or left out as such. */
  readonly dataBytes: number;
  readonly zeroBytes: number;
}

const BUFFER_SIZE = 1024 * 1024;
const PARALLEL = 8;
/** Where a read has ended when it returns, more would only be more memory to touch: one is read, one written, one waits to be. */
const PARALLEL_WRITES = 3;
const MIN_ZERO_RUN = 4096;
/** Writes of one piece at a time, where zeroes divide it. */
const PIECE_WRITES = 8;
/** Zeroes within a cluster are left out only in runs of at least this. */
const CLUSTER_ZERO_RUN = 65536;
const SECTOR = 512;

/** The target is at least as large, and is not flushed. A signal ends it with `aborted`. */
export async function copyImage(source: Storage, target: Storage, options: CopyOptions = {}): Promise<CopyResult> {
  const copy = new Copy(source, target, options);
  return copy.run();
}

class Copy {
  readonly #source: Storage;
  readonly #target: WritableStorage;
  readonly #options: CopyOptions;
  readonly #total: number;
  readonly #shift: number;
  readonly #bufferSize: number;
  /** Unit of zero detection; 0: none. */
  readonly #unit: number;
  readonly #plan: CopyPlan;
  /** Buffers that nobody uses at this moment, the last one on top: it is the one that a cache still holds. */
  readonly #free: Uint8Array[] = [];
  readonly #rate: RateLimit;
  /** Who waits for the piece before its own. */
  readonly #turns = new Map<number, () => void>();
  #turn = 0;
  #failure: { readonly error: unknown } | undefined;
  #done = 0;
  #dataBytes = 0;
  #zeroBytes = 0;

  constructor(source: Storage, target: Storage, options: CopyOptions) {
    const { offset = 0, length = source.size - offset, targetOffset = 0, bufferSize = BUFFER_SIZE } = options;
    const minZeroRun = options.minZeroRun ?? MIN_ZERO_RUN;
    const valid = (value: number, least: number, most: number): boolean =>
      Number.isSafeInteger(value) && value >= least && value <= most;
    if (
      !valid(offset, 0, source.size) ||
      !valid(length, 0, source.size - offset) ||
      !valid(targetOffset, 0, 2 ** 53 - 1 - length)
    )
      throw new BlockError('out-of-bounds', `${length} bytes at ${offset} are not within ${source.size} bytes`);
    if (!valid(bufferSize, SECTOR, LIMITS.COPY_BUFFER))
      throw new BlockError('invalid-option', `a buffer has ${SECTOR} to ${LIMITS.COPY_BUFFER} bytes`);
    if (!valid(minZeroRun, 0, 2 ** 31)) throw new BlockError('invalid-option', 'Invalid buffer size for sparse output');
    if (options.parallel !== undefined && !valid(options.parallel, 1, LIMITS.COPY_REQUESTS))
      throw new BlockError(
        'invalid-option',
        `Invalid number of coroutines. Allowed number of coroutines is between 1 and ${LIMITS.COPY_REQUESTS}`,
      );
    const { clusterSize, writeCompressed } = target as Partial<BlockImage>;
    const isCompressed = options.compressed === true;
    if (isCompressed && (writeCompressed === undefined || clusterSize === undefined))
      throw new BlockError('invalid-option', 'Compression not supported for this file format');
    if (isCompressed && targetOffset % (clusterSize as number) !== 0)
      throw new BlockError('invalid-option', 'compressed clusters cannot be moved by less than a cluster');
    const unit = isCompressed ? (clusterSize as number) : 1;
    this.#source = source;
    this.#target = writable(target);
    this.#options = options;
    this.#total = length;
    this.#shift = targetOffset;
    this.#bufferSize = Math.ceil(bufferSize / unit) * unit;
    this.#unit = zeroUnit(minZeroRun, isCompressed ? unit : Math.min(clusterSize ?? 0, CLUSTER_ZERO_RUN));
    const { sharedBacking } = options;
    this.#plan = new CopyPlan(source, {
      offset,
      length,
      bufferSize: this.#bufferSize,
      unit,
      sharedBacking: sharedBacking === 'all' ? (source as Partial<BlockImage>).backing : sharedBacking,
      allData: minZeroRun === 0,
      signal: options.signal,
    });
    this.#rate = new RateLimit(options.speed ?? 0, options.clock);
  }

  async run(): Promise<CopyResult> {
    const most = Math.ceil(this.#total / this.#bufferSize);
    const workers = Math.max(1, Math.min(this.#options.parallel ?? PARALLEL, this.#useful(), most));
    await Promise.all(Array.from({ length: workers }, () => this.#work()));
    if (this.#failure !== undefined) throw this.#failure.error;
    return { dataBytes: this.#dataBytes, zeroBytes: this.#zeroBytes };
  }

  /** More requests at a time than these are of no use. */
  #useful(): number {
    if (this.#source.mayBlock !== true || this.#options.compressed === true) return Infinity;
    return this.#target.mayBlock === true ? 1 : PARALLEL_WRITES;
  }

  /** Never rejects: a failure is kept, and ends all workers at their next step. */
  async #work(): Promise<void> {
    try {
      while (this.#failure === undefined) {
        const piece = this.#plan.next();
        if (piece === undefined) return;
        if (piece instanceof Promise) {
          await piece;
          continue;
        }
        checkAborted(this.#options.signal);
        if (piece.kind === 'data') {
          const buffer = this.#free.pop() ?? new Uint8Array(Math.min(this.#bufferSize, this.#total));
          await this.#copyData(piece, piece.length === buffer.length ? buffer : buffer.subarray(0, piece.length));
          this.#free.push(buffer);
        } else {
          const turn = this.#myTurn(piece);
          if (turn !== undefined) await turn;
          if (this.#failure !== undefined) return;
          if (piece.kind === 'zero') {
            const zeroing = this.#zero(piece.offset, piece.length);
            if (zeroing !== undefined) await zeroing;
          }
          this.#nextTurn();
        }
        this.#done += piece.length;
        this.#options.onProgress?.(this.#done, this.#total);
      }
    } catch (error) {
      this.#failure ??= { error };
      for (const wake of this.#turns.values()) wake();
    }
  }

  async #copyData(piece: CopyPiece, bytes: Uint8Array): Promise<void> {
    const { signal } = this.#options;
    const wait = this.#rate.wait(piece.length, signal);
    if (wait !== undefined) await wait;
    await this.#read(piece.offset, bytes);
    const turn = this.#myTurn(piece);
    if (turn !== undefined) await turn;
    if (this.#failure !== undefined) return;
    if (this.#options.compressed === true) {
      const writes = this.#compress(piece.offset, bytes);
      // issued in order; the next piece may follow while these are being compressed
      this.#nextTurn();
      await writes;
      return;
    }
    const unit = this.#unit;
    const writes: Promise<void>[] = [];
    for (let at = 0; at < bytes.length;) {
      const run = unit === 0 ? { length: bytes.length, zero: false } : nextRun(bytes, at, unit);
      const isAll = run.length === bytes.length;
      const write = run.zero
        ? this.#zero(piece.offset + at, run.length)
        : this.#write(piece.offset + at, isAll ? bytes : bytes.subarray(at, at + run.length));
      if (write !== undefined) writes.push(write);
      at += run.length;
      if (writes.length === PIECE_WRITES && at < bytes.length) await settleAll(writes.splice(0));
    }
    // all have begun, in order: the next piece may follow while they are under way
    this.#nextTurn();
    if (writes.length === 1) await writes[0];
    else if (writes.length > 1) await settleAll(writes);
  }

  async #read(offset: number, bytes: Uint8Array): Promise<void> {
    const { signal, salvage } = this.#options;
    try {
      await this.#source.read(offset, bytes, { signal });
    } catch (error) {
      checkAborted(signal);
      if (salvage === undefined) throw copyError('reading', offset, error);
      await this.#readSectors(offset, bytes, salvage);
    }
  }

  async #readSectors(offset: number, bytes: Uint8Array, salvage: NonNullable<CopyOptions['salvage']>): Promise<void> {
    for (let at = 0; at < bytes.length; at += SECTOR) {
      checkAborted(this.#options.signal);
      const sector = bytes.subarray(at, at + SECTOR);
      try {
        await this.#source.read(offset + at, sector, this.#options);
      } catch (error) {
        sector.fill(0);
        salvage(error, offset + at, sector.length);
      }
    }
  }

  async #write(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      await this.#target.write(offset + this.#shift, bytes, this.#options);
    } catch (error) {
      checkAborted(this.#options.signal);
      throw copyError('writing', offset, error);
    }
    this.#dataBytes += bytes.length;
  }

  /** undefined: there is nothing to do. */
  #zero(offset: number, length: number): Promise<void> | undefined {
    if (this.#options.targetIsZero !== true) return this.#writeZeroes(offset, length);
    this.#zeroBytes += length;
    return undefined;
  }

  async #writeZeroes(offset: number, length: number): Promise<void> {
    const { signal } = this.#options;
    try {
      await zeroRange(this.#target, offset + this.#shift, length, signal);
    } catch (error) {
      checkAborted(signal);
      throw copyError('writing', offset, error);
    }
    this.#zeroBytes += length;
  }

  /** Starts all clusters of a buffer in order; settles when all have. */
  async #compress(offset: number, bytes: Uint8Array): Promise<void> {
    const target = this.#target as unknown as Required<Pick<BlockImage, 'writeCompressed' | 'clusterSize'>>;
    const cluster = target.clusterSize as number;
    const started: Promise<void>[] = [];
    for (let at = 0; at < bytes.length;) {
      const from = offset + at;
      const run = nextRun(bytes, at, cluster);
      const piece = bytes.subarray(at, at + run.length);
      at += run.length;
      if (run.zero && this.#unit !== 0) {
        const zeroing = this.#zero(from, piece.length);
        if (zeroing !== undefined) started.push(zeroing);
      } else {
        // `minZeroRun` 0: zeroes are data, but a compressed cluster of zeroes is not a thing; they are written as they are
        const write = run.zero
          ? this.#target.write(from + this.#shift, piece, this.#options)
          : target.writeCompressed(from + this.#shift, piece, this.#options);
        started.push(
          write.catch((error: unknown) => {
            throw copyError('writing', from, error);
          }),
        );
        this.#dataBytes += piece.length;
      }
    }
    await settleAll(started);
  }

  /** undefined: it is now. */
  #myTurn(piece: CopyPiece): Promise<void> | undefined {
    const inOrder = this.#options.outOfOrder !== true || this.#options.compressed === true;
    return inOrder && this.#turn !== piece.index ? this.#waitForTurn(piece) : undefined;
  }

  async #waitForTurn(piece: CopyPiece): Promise<void> {
    while (this.#turn !== piece.index && this.#failure === undefined)
      await new Promise<void>((resolve) => this.#turns.set(piece.index, resolve));
    this.#turns.delete(piece.index);
  }

  #nextTurn(): void {
    this.#turn++;
    this.#turns.get(this.#turn)?.();
  }
}

/** A run as long as was asked for, in whole sectors; in images with clusters no shorter than `cluster` either. */
function zeroUnit(minZeroRun: number, cluster: number): number {
  if (minZeroRun === 0) return 0;
  return Math.max(Math.ceil(minZeroRun / SECTOR) * SECTOR, cluster);
}

function copyError(what: 'reading' | 'writing', offset: number, error: unknown): unknown {
  if (!(error instanceof BlockError) || error.kind === 'aborted') return error;
  const { kind, message, field, hint } = error;
  return new BlockError(kind, `error while ${what} at byte ${offset}: ${message}`, {
    offset,
    field,
    hint,
    cause: error,
  });
}
