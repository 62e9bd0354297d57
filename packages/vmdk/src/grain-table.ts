/**
 * Grain tables in memory, and the cache of them that all extents of an image share. A table that has entries not yet on disk, or a write
 * under way, stays; of the others the one that was not used for the longest time goes first.
 */
import { UNALLOCATED, ZEROED } from './grain-layout.ts';
import { TABLE_CACHE_BYTES } from './limits.ts';

/** Values of entries while their grain is being written: readers still see what was there before. */
export const PENDING_UNALLOCATED = -1;
export const PENDING_ZEROED = -2;

export class GrainTable {
  readonly index: number;
  /** Byte offsets of grains, or one of the named values. */
  readonly offsets: Float64Array;
  /** Where it stands in the file; 0: nowhere, and it cannot be written. */
  primary: number;
  /** Its copy; 0: none. */
  redundant: number;
  /** The directory does not name it yet. */
  isNew = false;
  /** Users that will still change it. */
  pins = 0;
  /** Entries that are not on disk: [dirtyFrom, dirtyTo). */
  dirtyFrom = Infinity;
  dirtyTo = 0;

  constructor(index: number, entries: number, primary: number, redundant: number) {
    this.index = index;
    this.offsets = new Float64Array(entries);
    this.primary = primary;
    this.redundant = redundant;
  }

  get isDirty(): boolean {
    return this.dirtyTo > 0;
  }

  markDirty(from: number, to: number): void {
    this.dirtyFrom = Math.min(this.dirtyFrom, from);
    this.dirtyTo = Math.max(this.dirtyTo, to);
  }

  /** Grains from `first` on, up to `limit`, that can be had with one request: of one kind, and one after the other in the file. Hot path. */
  run(first: number, limit: number, grainBytes: number): number {
    const { offsets } = this;
    const offset = offsets[first] as number;
    let end = first + 1;
    if (offset > ZEROED) {
      for (let next = offset + grainBytes; end < limit && offsets[end] === next; end++) next += grainBytes;
    } else {
      const isZeroes = readsZero(offset);
      while (end < limit && (offsets[end] as number) <= ZEROED && readsZero(offsets[end] as number) === isZeroes) end++;
    }
    return end - first;
  }
}

/** Of an entry that has no grain: zeroes whatever the parent has. */
export function readsZero(offset: number): boolean {
  return offset === ZEROED || offset === PENDING_ZEROED;
}

/** What goes to the disk for an entry whose grain is still being written. */
export function settled(offset: number): number {
  if (offset === PENDING_UNALLOCATED) return UNALLOCATED;
  return offset === PENDING_ZEROED ? ZEROED : offset;
}

export class TableCache {
  readonly #budget: number;
  readonly #tables = new Map<number, GrainTable>();
  #bytes = 0;

  constructor(budget = TABLE_CACHE_BYTES) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Hot path. */
  get(key: number): GrainTable | undefined {
    const table = this.#tables.get(key);
    if (table === undefined) return undefined;
    this.#tables.delete(key);
    this.#tables.set(key, table);
    return table;
  }

  add(key: number, table: GrainTable): void {
    const size = table.offsets.byteLength;
    this.#tables.set(key, table);
    this.#bytes += size;
    if (this.#bytes <= this.#budget) return;
    for (const [other, candidate] of this.#tables) {
      if (other === key || candidate.pins > 0 || candidate.isDirty) continue;
      this.#tables.delete(other);
      this.#bytes -= candidate.offsets.byteLength;
      if (this.#bytes <= this.#budget) return;
    }
  }
}
