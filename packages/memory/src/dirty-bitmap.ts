/**
 * Dirty tracking of one RAM block: one byte per 4 KiB page, one bit per client, 1 = dirty.
 *
 * A client (display, migration, code) clears bits and later collects the pages written since. The CODE client reads the
 * bit the other way round: clear means "translated code was made from this page", and a write to such a page calls the
 * code listener, which sets the bit again once no translation of that page is left.
 * Invariant: every store into the block either calls `mark`, or went through a TLB entry that was handed out while all
 * bits of the page were set. Clearing therefore calls `onProtect`, so that such entries can be dropped.
 */
import { PAGE_SIZE } from './limits.ts';

export const DIRTY_DISPLAY = 1;
export const DIRTY_MIGRATION = 2;
export const DIRTY_CODE = 4;
export const DIRTY_ALL = 7;

const PAGE_SHIFT = 12;

/** `offset` and `length` in bytes within the block; called before the bits of the pages are updated. */
export type CodeWriteListener = (offset: number, length: number) => void;
/** Pages `first` .. `first + count - 1` must be written through the slow path from now on. */
export type ProtectListener = (first: number, count: number) => void;

export class DirtyBitmap {
  /** One byte per page; read by the accelerator when it fills a TLB entry (`=== DIRTY_ALL`: plain stores allowed). */
  readonly flags: Uint8Array;
  #onCodeWrite: CodeWriteListener | null = null;
  readonly #onProtect: ProtectListener[] = [];

  constructor(sizeInBytes: number) {
    this.flags = new Uint8Array(Math.ceil(sizeInBytes / PAGE_SIZE)).fill(DIRTY_ALL);
  }

  get pages(): number {
    return this.flags.length;
  }

  /** At most one owner of translated code per block. */
  setCodeListener(listener: CodeWriteListener | null): void {
    this.#onCodeWrite = listener;
  }

  addProtectListener(listener: ProtectListener): void {
    this.#onProtect.push(listener);
  }

  /** Records a store of `length` > 0 bytes at `offset`. Hot path: one load and compare per page when nobody is watching. */
  mark(offset: number, length: number): void {
    const flags = this.flags;
    // Plain `>>>` is safe: a block lies inside one WebAssembly memory, below 2^32 bytes (see RamBlock).
    const last = (offset + length - 1) >>> PAGE_SHIFT;
    for (let page = offset >>> PAGE_SHIFT; page <= last; page++) {
      if (flags[page] !== DIRTY_ALL) this.#markWatched(page, offset, length);
    }
  }

  #markWatched(page: number, offset: number, length: number): void {
    const before = this.flags[page] as number;
    if (before & DIRTY_CODE || this.#onCodeWrite === null) {
      this.flags[page] = DIRTY_ALL;
      return;
    }
    this.flags[page] = before | DIRTY_DISPLAY | DIRTY_MIGRATION;
    const start = Math.max(offset, page * PAGE_SIZE);
    const end = Math.min(offset + length, (page + 1) * PAGE_SIZE);
    this.#onCodeWrite(start, end - start); // sets DIRTY_CODE through set() when the page holds no code any more
  }

  isDirty(page: number, client: number): boolean {
    return ((this.flags[page] as number) & client) !== 0;
  }

  set(page: number, client: number): void {
    this.flags[page] = (this.flags[page] as number) | client;
  }

  /** Clears `client` on `count` pages from `first`: later stores are noticed again. */
  clear(first: number, count: number, client: number): void {
    const end = Math.min(first + count, this.flags.length);
    let changed = false;
    for (let page = Math.max(0, first); page < end; page++) {
      const flags = this.flags[page] as number;
      if (flags & client) {
        this.flags[page] = flags & ~client;
        changed = true;
      }
    }
    if (changed) for (const listener of this.#onProtect) listener(first, end - first);
  }

  /** Dirty pages of `client` in the byte range, as ascending page indexes; their bits are cleared in the same step. */
  collectAndClear(offset: number, length: number, client: number): number[] {
    if (length <= 0) return [];
    const first = Math.floor(offset / PAGE_SIZE);
    const last = Math.min(Math.floor((offset + length - 1) / PAGE_SIZE), this.flags.length - 1);
    const dirty: number[] = [];
    for (let page = first; page <= last; page++) {
      if ((this.flags[page] as number) & client) dirty.push(page);
    }
    this.clear(first, last - first + 1, client);
    return dirty;
  }
}
