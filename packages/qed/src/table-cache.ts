/**
 * Slices of L1 and L2 tables in memory, by their place in the file: least recently used goes first, bounded in bytes.
 *
 * A slice is never dirty: who changes an entry writes the file first and the slice after that, and keeps the slice pinned meanwhile, so
 * that no second copy with the old entry can be loaded. Slices are validated by who reads entries, at each use.
 */
import type { Storage } from '@emkit/storage';

export interface Slice {
  /** In the file; a multiple of the slice's size. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Users that forbid eviction. */
  pins: number;
  used: number;
}

export class TableCache {
  readonly sliceSize: number;
  readonly #file: Storage;
  readonly #maxSlices: number;
  readonly #slices = new Map<number, Slice>();
  readonly #loading = new Map<number, Promise<Slice>>();
  #clock = 0;

  constructor(file: Storage, sliceSize: number, maxBytes: number) {
    this.#file = file;
    this.sliceSize = sliceSize;
    this.#maxSlices = Math.max(4, Math.floor(maxBytes / sliceSize));
  }

  /** Hot path. `offset` begins a slice. */
  peek(offset: number): Slice | undefined {
    const slice = this.#slices.get(offset);
    if (slice !== undefined) slice.used = ++this.#clock;
    return slice;
  }

  /** Loads at most once at a time. No signal: others may wait for the same slice. */
  load(offset: number): Promise<Slice> {
    const known = this.peek(offset);
    if (known !== undefined) return Promise.resolve(known);
    let loading = this.#loading.get(offset);
    if (loading === undefined) {
      loading = this.#read(offset).finally(() => this.#loading.delete(offset));
      this.#loading.set(offset, loading);
    }
    return loading;
  }

  /** A slice that stays until it is unpinned. */
  async pin(offset: number): Promise<Slice> {
    for (;;) {
      const slice = this.peek(offset);
      if (slice !== undefined) {
        slice.pins++;
        return slice;
      }
      await this.load(offset);
    }
  }

  /** Forgets everything that is not pinned: the file was changed beside the cache. */
  clear(): void {
    for (const [offset, slice] of this.#slices) if (slice.pins === 0) this.#slices.delete(offset);
  }

  async #read(offset: number): Promise<Slice> {
    const bytes = new Uint8Array(this.sliceSize);
    await this.#file.read(offset, bytes);
    const slice = { offset, bytes, view: new DataView(bytes.buffer), pins: 0, used: ++this.#clock };
    this.#slices.set(offset, slice);
    this.#trim();
    return slice;
  }

  #trim(): void {
    while (this.#slices.size > this.#maxSlices) {
      let oldest: Slice | undefined;
      for (const slice of this.#slices.values())
        if (slice.pins === 0 && slice.used !== this.#clock && (oldest === undefined || slice.used < oldest.used))
          oldest = slice;
      if (oldest === undefined) return;
      this.#slices.delete(oldest.offset);
    }
  }
}
