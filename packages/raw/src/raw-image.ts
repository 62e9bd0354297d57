/**
 * An open raw image: the storage is the disk. Requests pass through; the image adds the disk's bounds, a size in whole sectors (what
 * the file lacks of its last sector reads as zero), and the window of the options `offset` and `size`.
 *
 * Raw has no metadata, so nothing is ordered here: `flush` is the storage's.
 */
import { BlockError, checkAborted, checkRange, writable, zeroRange } from '@emkit/storage';
import type {
  BlockImage,
  BlockStatus,
  ImageInfo,
  IoOptions,
  ResizeOptions,
  Storage,
  WritableStorage,
  ZeroOptions,
} from '@emkit/storage';
import { SECTOR } from './limits.ts';
import { checkPreallocation, preallocate } from './preallocate.ts';

export interface RawWindow {
  readonly offset: number;
  /** The option was given: the disk cannot be resized. */
  readonly fixedSize: number | undefined;
}

export class RawImage implements BlockImage {
  readonly driver = 'raw';
  readonly alignment = 1;
  readonly backing = undefined;
  readonly backingReference = undefined;
  readonly file: Storage;
  readonly readOnly: boolean;
  readonly mayBlock: boolean | undefined;
  readonly name: string | undefined;
  readonly #offset: number;
  readonly #fixedSize: number | undefined;
  /** Undefined: read only. */
  readonly #writable: WritableStorage | undefined;
  #size: number;
  #isClosed = false;

  constructor(file: Storage, window: RawWindow, readOnly: boolean) {
    this.file = file;
    this.readOnly = readOnly;
    this.mayBlock = file.mayBlock;
    this.name = file.name;
    this.#offset = window.offset;
    this.#fixedSize = window.fixedSize;
    this.#writable = readOnly ? undefined : writable(file);
    this.#size = window.fixedSize ?? Math.ceil((file.size - window.offset) / SECTOR) * SECTOR;
  }

  get size(): number {
    return this.#size;
  }

  /** Hot path: the file's own promise, not one more around it. */
  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    try {
      this.#check(offset, buffer.length);
      return this.file.read(this.#offset + offset, buffer, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Hot path. */
  write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    try {
      this.#check(offset, buffer.length);
      return this.#target().write(this.#offset + offset, buffer, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async flush(options?: IoOptions): Promise<void> {
    this.#check(0, 0);
    return this.#writable?.flush(options);
  }

  async writeZeroes(offset: number, length: number, options: ZeroOptions = {}): Promise<void> {
    this.#check(offset, length);
    const target = this.#target();
    checkAborted(options.signal);
    if (length === 0) return;
    if (target.writeZeroes !== undefined) return target.writeZeroes(this.#offset + offset, length, options);
    return zeroRange(target, this.#offset + offset, length, options.signal);
  }

  async discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    this.#check(offset, length);
    const target = this.#target();
    // past the end of the file there is nothing to give up
    const inside = Math.min(length, target.size - this.#offset - offset);
    if (inside > 0) await target.discard?.(this.#offset + offset, inside, options);
  }

  /** As `resize`, for a raw image that is itself the storage of another image. */
  truncate(size: number, options?: IoOptions): Promise<void> {
    return this.resize(size, { ...options, shrink: true });
  }

  async extent(offset: number, length: number, options?: IoOptions) {
    const { length: known, zero, data } = await this.status(offset, length, options);
    return { length: known, zero, data };
  }

  async status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    this.#check(offset, length);
    if (length === 0) throw new BlockError('out-of-bounds', `status of no bytes at ${offset}`);
    const at = this.#offset + offset;
    const inside = Math.min(length, this.file.size - at);
    if (inside <= 0) return { length, allocated: true, zero: true, data: false, offset: at };
    if (this.file.extent === undefined) return { length: inside, allocated: true, zero: false, data: true, offset: at };
    const extent = await this.file.extent(at, inside, options);
    return { length: extent.length, allocated: true, zero: extent.zero, data: extent.data, offset: at };
  }

  info(): Promise<ImageInfo> {
    return Promise.resolve({ format: 'raw', virtualSize: this.#size, dirty: false });
  }

  /** The file gets exactly this size, as qemu-img gives it; the disk has it in whole sectors. */
  async resize(size: number, options: ResizeOptions = {}): Promise<void> {
    this.#check(0, 0);
    const target = this.#target();
    if (!Number.isSafeInteger(size) || size < 0 || size > Number.MAX_SAFE_INTEGER - this.#offset - SECTOR)
      throw new BlockError('invalid-option', `size ${size} is no number of bytes`, { field: 'size' });
    const mode = checkPreallocation(options.preallocation ?? 'off');
    if (this.#fixedSize !== undefined) throw new BlockError('invalid-option', 'Cannot resize fixed-size raw disks');
    if (size < this.#size && options.shrink !== true)
      throw new BlockError('invalid-option', 'Use the --shrink option to perform a shrink operation.', {
        hint: 'shrinking deletes all data beyond the new end',
      });
    if (size <= this.#size && mode !== 'off')
      throw new BlockError('invalid-option', 'Preallocation can only be used for growing images');
    const oldEnd = target.size;
    const newEnd = this.#offset + size;
    await target.truncate(newEnd, options);
    this.#size = Math.ceil(size / SECTOR) * SECTOR;
    try {
      await preallocate(target, oldEnd, newEnd - oldEnd, mode, options);
    } catch (error) {
      // as it was: a disk that could not get its space has not grown
      await target.truncate(oldEnd).catch(() => undefined);
      this.#size = Math.ceil((oldEnd - this.#offset) / SECTOR) * SECTOR;
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#writable?.flush();
  }

  #target(): WritableStorage {
    if (this.#writable === undefined) throw new BlockError('read-only', `${this.name ?? 'the image'} is read only`);
    return this.#writable;
  }

  #check(offset: number, length: number): void {
    if (this.#isClosed) throw new BlockError('closed', 'the image is closed');
    checkRange(offset, length, this.#size);
  }
}
