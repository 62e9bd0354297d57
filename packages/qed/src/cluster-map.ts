/**
 * Which cluster of the file holds which part of the disk: the two levels of tables. QED spec, "Tables", "Logical offset translation".
 *
 * Looks up from cached slices without waiting; changes entries in the file first, then in the slice. It does not allocate data clusters and
 * does not order anything but a new L2 table: that is in the file, flushed, before the L1 entry that names it is written.
 * Invariant: no offset from a table is used before it was checked against the file. Changes are made by one caller at a time.
 */
import { BlockError } from '@emkit/storage';
import type { Storage, WritableStorage } from '@emkit/storage';
import { fileClusters, readU64, writeU64 } from './header.ts';
import type { Geometry } from './header.ts';
import { SLICE_SIZE, TABLE_CACHE_SIZE } from './limits.ts';
import { TableCache } from './table-cache.ts';
import type { Slice } from './table-cache.ts';

/** QED spec, "Data cluster offsets". */
export const UNALLOCATED = 0;
export const ZERO_CLUSTER = 1;

const ENTRY_SIZE = 8;
/** Table writes are whole sectors, so that an entry is never half written. */
const SECTOR = 512;

export type RunKind = 'data' | 'zero' | 'none';

/** A part of the disk with clusters of one kind, those with data being neighbours in the file. */
export interface Run {
  readonly kind: RunKind;
  /** In the file; 0 unless there is data. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export class ClusterMap {
  readonly geometry: Geometry;
  /** Where the next cluster is allocated, bytes; all clusters in use lie before. */
  end: number;
  /** End of the whole clusters that the file had when it was opened ... */
  readonly #oldEnd: number;
  /** ... and where those begin that were allocated since. A cluster that the file has in part lies between, and is not valid. */
  readonly #newStart: number;
  readonly #cache: TableCache;
  readonly #sliceEntries: number;
  /** The slice that `peek` lacked. */
  #missing = 0;

  constructor(file: Storage, geometry: Geometry) {
    this.geometry = geometry;
    const sliceSize = Math.min(geometry.tableBytes, SLICE_SIZE);
    this.#cache = new TableCache(file, sliceSize, TABLE_CACHE_SIZE);
    this.#sliceEntries = sliceSize / ENTRY_SIZE;
    const { clusterSize } = geometry;
    this.#oldEnd = fileClusters(file.size, clusterSize) * clusterSize;
    this.#newStart = Math.ceil(file.size / clusterSize) * clusterSize;
    this.end = this.#newStart;
  }

  /** The longest run that begins at `offset` and is at most `length` > 0 bytes, as far as the cached slices tell. */
  lookup(offset: number, length: number): Run | Promise<Run> {
    return this.#peek(offset, length) ?? this.#lookup(offset, length);
  }

  async #lookup(offset: number, length: number): Promise<Run> {
    for (;;) {
      const run = this.#peek(offset, length);
      if (run !== undefined) return run;
      await this.#cache.load(this.#missing);
    }
  }

  /** Hot path. Undefined: the slice at `#missing` is needed first. */
  #peek(offset: number, length: number): Run | undefined {
    const { clusterSize, entries, l1Offset } = this.geometry;
    const end = offset + length;
    let cluster = Math.floor(offset / clusterSize);
    let kind: RunKind | undefined;
    let start = 0;
    let at = offset;
    while (at < end) {
      const l1Index = Math.floor(cluster / entries);
      const l2Index = cluster - l1Index * entries;
      const l1Entry = this.#entry(l1Offset, l1Index);
      if (l1Entry === undefined) break;
      if (l1Entry === UNALLOCATED) {
        if (kind !== undefined && kind !== 'none') break;
        kind = 'none';
        cluster += entries - l2Index;
        at = cluster * clusterSize;
        continue;
      }
      if (!this.isTable(l1Entry)) {
        if (at > offset) break;
        throw corrupt('L2 table', l1Entry, l1Offset + l1Index * ENTRY_SIZE);
      }
      const entry = this.#entry(l1Entry, l2Index);
      if (entry === undefined) break;
      const found: RunKind = entry === UNALLOCATED ? 'none' : entry === ZERO_CLUSTER ? 'zero' : 'data';
      if (kind === undefined) {
        kind = found;
        start = entry + (offset - cluster * clusterSize);
      } else if (kind !== found || (found === 'data' && entry !== start + (at - offset))) break;
      if (found === 'data' && !this.isCluster(entry)) {
        if (at > offset) break;
        throw corrupt('data cluster', entry, l1Entry + l2Index * ENTRY_SIZE);
      }
      cluster++;
      at = cluster * clusterSize;
    }
    if (kind === undefined) return undefined;
    return { kind, offset: kind === 'data' ? start : 0, length: Math.min(at, end) - offset };
  }

  /** Hot path. */
  #entry(table: number, index: number): number | undefined {
    const within = index % this.#sliceEntries;
    const offset = table + (index - within) * ENTRY_SIZE;
    const slice = this.#cache.peek(offset);
    if (slice !== undefined) return readU64(slice.view, within * ENTRY_SIZE);
    this.#missing = offset;
    return undefined;
  }

  /** Whether a data cluster may stand here. */
  isCluster(offset: number): boolean {
    return this.#isRegion(offset, this.geometry.clusterSize);
  }

  /** Whether an L2 table may. QED spec, "Consistency checking". */
  isTable(offset: number): boolean {
    return this.#isRegion(offset, this.geometry.tableBytes);
  }

  /** Hot path. */
  #isRegion(offset: number, bytes: number): boolean {
    const { clusterSize, headerBytes } = this.geometry;
    if (offset % clusterSize !== 0 || offset === 0 || offset < headerBytes) return false;
    return offset <= this.#oldEnd - bytes || (offset >= this.#newStart && offset <= this.end - bytes);
  }

  /** Forgets cached tables: they were changed in the file. */
  reload(): void {
    this.#cache.clear();
  }

  /**
   * Enters `count` clusters of the disk from number `cluster`: at `offset` in the file and onwards, or as `ZERO_CLUSTER`. New L2 tables are
   * taken from `end`. One caller at a time.
   */
  async enter(file: WritableStorage, cluster: number, count: number, offset: number): Promise<void> {
    const { clusterSize, entries } = this.geometry;
    const step = offset === ZERO_CLUSTER ? 0 : clusterSize;
    for (let done = 0; done < count;) {
      const l1Index = Math.floor((cluster + done) / entries);
      const l2Index = cluster + done - l1Index * entries;
      const some = Math.min(count - done, entries - l2Index);
      await this.#enterTable(file, l1Index, l2Index, some, offset + done * step, step);
      done += some;
    }
  }

  async #enterTable(
    file: WritableStorage,
    l1Index: number,
    l2Index: number,
    count: number,
    value: number,
    step: number,
  ): Promise<void> {
    const { l1Offset, tableBytes } = this.geometry;
    const within = l1Index % this.#sliceEntries;
    const l1 = await this.#cache.pin(l1Offset + (l1Index - within) * ENTRY_SIZE);
    try {
      const known = readU64(l1.view, within * ENTRY_SIZE);
      if (known !== UNALLOCATED) {
        if (!this.isTable(known)) throw corrupt('L2 table', known, l1.offset + within * ENTRY_SIZE);
        return await this.#setEntries(file, known, l2Index, count, value, step);
      }
      // The new table is zero because the file grows by it.
      const table = this.end;
      this.end += tableBytes;
      await file.truncate(this.end);
      await this.#setEntries(file, table, l2Index, count, value, step);
      await file.flush();
      await this.#write(file, l1, within, 1, table, 0);
    } finally {
      l1.pins--;
    }
  }

  async #setEntries(
    file: WritableStorage,
    table: number,
    index: number,
    count: number,
    value: number,
    step: number,
  ): Promise<void> {
    for (let done = 0; done < count;) {
      const within = (index + done) % this.#sliceEntries;
      const some = Math.min(count - done, this.#sliceEntries - within);
      const slice = await this.#cache.pin(table + (index + done - within) * ENTRY_SIZE);
      try {
        await this.#write(file, slice, within, some, value + done * step, step);
      } finally {
        slice.pins--;
      }
      done += some;
    }
  }

  /** The file first, in whole sectors; then the slice. */
  async #write(
    file: WritableStorage,
    slice: Slice,
    index: number,
    count: number,
    value: number,
    step: number,
  ): Promise<void> {
    const start = Math.floor((index * ENTRY_SIZE) / SECTOR) * SECTOR;
    const end = Math.ceil(((index + count) * ENTRY_SIZE) / SECTOR) * SECTOR;
    const bytes = slice.bytes.slice(start, end);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) writeU64(view, (index + i) * ENTRY_SIZE - start, value + i * step);
    await file.write(slice.offset + start, bytes);
    slice.bytes.set(bytes, start);
  }
}

function corrupt(what: string, offset: number, entryAt: number): BlockError {
  return new BlockError('corrupt-image', `QED ${what} offset 0x${offset.toString(16)} is invalid`, {
    offset: entryAt,
    hint: 'check the image',
  });
}
