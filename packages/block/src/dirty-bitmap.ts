/**
 * Which parts of a disk were written, in memory: a bit per `granularity` bytes. `BlockNode.trackWrites` keeps one up to date. Persistent bitmaps
 * are the format's (`BlockImage.bitmaps`); their ranges come in by `setRanges`.
 */
import { BlockError, type DirtyRanges } from '@emkit/storage';
import { LIMITS } from './limits.ts';

const DEFAULT_GRANULARITY = 65536;

export class DirtyBitmap {
  readonly size: number;
  /** Bytes per bit, a power of two. */
  readonly granularity: number;
  /** Called when something becomes dirty. */
  onDirty: (() => void) | undefined;
  readonly #bits: number;
  readonly #words: Uint32Array;
  #count = 0;

  /** The granularity is doubled until the bits are no more than `LIMITS.BITMAP_BITS`. */
  constructor(size: number, granularity = DEFAULT_GRANULARITY) {
    if (!Number.isSafeInteger(size) || size < 0)
      throw new BlockError('out-of-bounds', `a bitmap of ${size} bytes is none`);
    if (!Number.isSafeInteger(granularity) || granularity < 512 || Math.log2(granularity) % 1 !== 0)
      throw new BlockError('invalid-option', 'Granularity must be power of 2, at least 512');
    let unit = granularity;
    while (Math.ceil(size / unit) > LIMITS.BITMAP_BITS) unit *= 2;
    this.size = size;
    this.granularity = unit;
    this.#bits = Math.ceil(size / unit);
    this.#words = new Uint32Array(Math.ceil(this.#bits / 32));
  }

  /** Dirty bytes, in whole granules. */
  get dirtyBytes(): number {
    return this.#count * this.granularity;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Marks every granule that the range touches. */
  set(offset: number, length: number): void {
    const last = this.#lastBit(offset, length);
    const before = this.#count;
    for (let bit = Math.floor(offset / this.granularity); bit <= last; bit++) {
      if ((bit & 31) === 0 && bit + 31 <= last && this.#words[bit >>> 5] === 0) {
        this.#words[bit >>> 5] = 0xffffffff;
        this.#count += 32;
        bit += 31;
      } else if (!this.#get(bit)) {
        this.#words[bit >>> 5] = ((this.#words[bit >>> 5] as number) | (1 << (bit & 31))) >>> 0;
        this.#count++;
      }
    }
    if (this.#count > before) this.onDirty?.();
  }

  /** Cleans every granule that the range touches. */
  clear(offset: number, length: number): void {
    const last = this.#lastBit(offset, length);
    for (let bit = Math.floor(offset / this.granularity); bit <= last; bit++) {
      if ((bit & 31) === 0 && this.#words[bit >>> 5] === 0) bit += 31;
      else if (this.#get(bit)) {
        this.#words[bit >>> 5] = ((this.#words[bit >>> 5] as number) & ~(1 << (bit & 31))) >>> 0;
        this.#count--;
      }
    }
  }

  isDirty(offset: number): boolean {
    const bit = Math.floor(offset / this.granularity);
    return bit >= 0 && bit < this.#bits && this.#get(bit);
  }

  setRanges(ranges: DirtyRanges): void {
    for (const [start, end] of ranges) this.set(start, end - start);
  }

  /** The first dirty range at or after `offset`, at most `maximum` bytes, cut at the end of the disk. */
  next(offset = 0, maximum = Number.MAX_SAFE_INTEGER): { offset: number; length: number } | undefined {
    if (offset >= this.size) return undefined;
    let bit = Math.floor(offset / this.granularity);
    while (bit < this.#bits && !this.#get(bit)) bit += (bit & 31) === 0 && this.#words[bit >>> 5] === 0 ? 32 : 1;
    if (bit >= this.#bits) return undefined;
    const most = Math.max(1, Math.floor(maximum / this.granularity));
    let end = bit + 1;
    while (end < this.#bits && end - bit < most && this.#get(end)) end++;
    const start = bit * this.granularity;
    return { offset: start, length: Math.min(end * this.granularity, this.size) - start };
  }

  /** Dirty parts in order, cut at the end of the disk. */
  *ranges(): IterableIterator<readonly [start: number, end: number]> {
    for (let part = this.next(); part !== undefined; part = this.next(part.offset + part.length))
      yield [part.offset, part.offset + part.length];
  }

  #get(bit: number): boolean {
    return ((this.#words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
  }

  #lastBit(offset: number, length: number): number {
    if (length <= 0) return -1;
    return Math.min(Math.floor((offset + length - 1) / this.granularity), this.#bits - 1);
  }
}
