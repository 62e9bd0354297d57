/**
 * The refcount table and its blocks. qcow2 spec, "Host cluster management".
 *
 * Everything here changes memory only; `commit` writes it, in order. The image's lock is held by whoever changes counts. A new block
 * describes itself if its own cluster falls into the range that it covers. Counts of clusters that no block covers are 0.
 */
import { BlockError, type Storage } from '@emkit/storage';
import type { Geometry } from './geometry.ts';
import { MAX_HOST_OFFSET, MAX_REFCOUNT_TABLE_BYTES } from './limits.ts';
import { readRefcount, refcountBytes, writeRefcount } from './refcount-entry.ts';
import { TableCache, type Piece } from './table-cache.ts';
import { getU64, setU64, viewOf } from './u64.ts';

export interface RefcountEvents {
  /** Something is wrong on disk: gives the error to throw. */
  corrupt(message: string, offset: number): Promise<BlockError> | BlockError;
  /** A cluster has become metadata. */
  onMetadata(cluster: number, kind: 'refcount-block' | 'refcount-table'): void;
  /** The old table's clusters: free them when the header refers to the new one. */
  onTableMoved(oldCluster: number, count: number): void;
  /** A run of clusters whose use would destroy metadata. */
  isMetadata(first: number, count: number): boolean;
}

/** Clusters one after the other. */
export interface ClusterRun {
  readonly start: number;
  readonly count: number;
}

/** Places to be remembered as full; beyond, they are searched. */
const MAX_FULL_PIECES = 65536;

export class Refcounts {
  readonly geometry: Geometry;
  readonly cache: TableCache;
  /** Where the table stands, or will once `commit` has moved it. */
  tableOffset: number;
  tableClusters: number;
  /** Entries [from, to) that changed; empty when equal. */
  dirtyFrom = 0;
  dirtyTo = 0;
  /** The table has a new place that the header does not know. */
  hasMoved = false;
  /** All clusters below are in use, as far as is known. */
  hint = 0;
  /** First clusters of pieces in which nothing is free: not searched again each time a cluster far below is freed. */
  readonly #full = new Set<number>();
  readonly #events: RefcountEvents;
  #table: Uint8Array;
  #view: DataView;

  constructor(
    file: Storage,
    geometry: Geometry,
    place: { tableOffset: number; tableClusters: number; table: Uint8Array },
    cacheBytes: number,
    events: RefcountEvents,
  ) {
    this.geometry = geometry;
    this.cache = new TableCache(file, geometry.pieceBytes, cacheBytes);
    this.tableOffset = place.tableOffset;
    this.tableClusters = place.tableClusters;
    this.#table = place.table;
    this.#view = viewOf(place.table);
    this.#events = events;
  }

  /** Bytes of the table, big endian. */
  get table(): Uint8Array {
    return this.#table;
  }

  get entries(): number {
    return this.#table.length / 8;
  }

  /** Offset of a block; 0: there is none. */
  blockOffset(index: number): number {
    return index < this.entries ? getU64(this.#view, index * 8) : 0;
  }

  /** The piece of a block that counts `cluster`; undefined where there is no block. */
  piece(cluster: number): Piece | Promise<Piece> | undefined {
    const { refcountsPerBlock, refcountsPerPiece, pieceBytes, clusterSize } = this.geometry;
    const block = Math.floor(cluster / refcountsPerBlock);
    const offset = this.blockOffset(block);
    if (offset === 0) return undefined;
    if (offset % clusterSize !== 0 || offset > MAX_HOST_OFFSET) return this.#badBlock(block, offset);
    const within = Math.floor((cluster - block * refcountsPerBlock) / refcountsPerPiece);
    return this.cache.load(offset + within * pieceBytes);
  }

  async get(cluster: number): Promise<number> {
    const found = this.piece(cluster);
    if (found === undefined) return 0;
    const piece = found instanceof Promise ? await found : found;
    return readRefcount(piece.view, cluster % this.geometry.refcountsPerPiece, this.geometry.refcountOrder);
  }

  /** Adds to the counts of a run; gives the clusters whose count has become 0, merged. A count that is 0 stays 0: that is `check`'s to find. */
  async add(first: number, count: number, delta: 1 | -1): Promise<[start: number, count: number][]> {
    const { refcountsPerPiece, refcountOrder, maxRefcount } = this.geometry;
    const freed: [number, number][] = [];
    for (let cluster = first; cluster < first + count;) {
      let found = this.piece(cluster);
      if (found === undefined) {
        if (delta < 0) {
          cluster += refcountsPerPiece - (cluster % refcountsPerPiece);
          continue;
        }
        await this.#createBlock(Math.floor(cluster / this.geometry.refcountsPerBlock));
        found = this.piece(cluster);
        if (found === undefined) continue;
      }
      const piece = found instanceof Promise ? await found : found;
      const start = cluster % refcountsPerPiece;
      const end = Math.min(refcountsPerPiece, start + first + count - cluster);
      const [from, to] = refcountBytes(start, end - start, refcountOrder);
      this.cache.markDirty(piece, from, to);
      for (let i = start; i < end; i++, cluster++) {
        const now = readRefcount(piece.view, i, refcountOrder);
        if (delta < 0 && now === 0) continue;
        if (delta > 0 && now >= maxRefcount)
          throw new BlockError('no-space', `cluster ${cluster} has the largest refcount of ${maxRefcount}`, {
            hint: 'amend the image to larger refcount_bits',
          });
        writeRefcount(piece.view, i, refcountOrder, now + delta);
        if (now + delta !== 0) continue;
        const last = freed[freed.length - 1];
        if (last !== undefined && last[0] + last[1] === cluster) last[1]++;
        else freed.push([cluster, 1]);
        if (cluster < this.hint) this.hint = cluster;
        this.#full.delete(cluster - i);
      }
    }
    return freed;
  }

  /** Takes a run of free clusters, at least `min` and at most `max` of them; each has the count 1 then. */
  allocate(min: number, max: number): ClusterRun | Promise<ClusterRun> {
    return this.#allocateNext(max) ?? this.#allocate(min, max);
  }

  /** The common case of a growing file, without a promise: all of them are free at the hint, in a piece that is in memory. Hot path. */
  #allocateNext(count: number): ClusterRun | undefined {
    const { refcountsPerBlock, refcountsPerPiece, refcountOrder, pieceBytes, clusterSize } = this.geometry;
    const start = this.hint;
    const first = start % refcountsPerPiece;
    if (start === 0 || first + count > refcountsPerPiece || (start + count) * clusterSize > MAX_HOST_OFFSET)
      return undefined;
    const block = this.blockOffset(Math.floor(start / refcountsPerBlock));
    if (block === 0 || block % clusterSize !== 0) return undefined;
    const piece = this.cache.get(block + Math.floor((start % refcountsPerBlock) / refcountsPerPiece) * pieceBytes);
    if (piece === undefined) return undefined;
    for (let i = first; i < first + count; i++) if (readRefcount(piece.view, i, refcountOrder) !== 0) return undefined;
    if (this.#events.isMetadata(start, count)) return undefined;
    const [from, to] = refcountBytes(first, count, refcountOrder);
    this.cache.markDirty(piece, from, to);
    for (let i = first; i < first + count; i++) writeRefcount(piece.view, i, refcountOrder, 1);
    this.hint = start + count;
    return { start, count };
  }

  async #allocate(min: number, max: number): Promise<ClusterRun> {
    for (;;) {
      const before = this.hint;
      const { start, count, skipped } = await this.#find(min, max);
      if (!(await this.#ensureBlocks(start, count))) {
        await this.add(start, count, 1);
        this.hint = skipped ? before : start + count;
        return { start, count };
      }
    }
  }

  /** Takes the clusters from `start` on as far as they are free, at most `max`; gives how many. */
  async allocateAt(start: number, max: number): Promise<number> {
    for (;;) {
      let count = 0;
      while (count < max && (await this.get(start + count)) === 0) count++;
      if (count === 0) return 0;
      await this.#checkFree(start, count);
      if (!(await this.#ensureBlocks(start, count))) {
        await this.add(start, count, 1);
        return count;
      }
    }
  }

  markTableClean(): void {
    this.dirtyFrom = this.dirtyTo = 0;
    this.hasMoved = false;
  }

  /** Puts another table in place of this one, as it stands on disk: after a rebuild. */
  replaceTable(place: { tableOffset: number; tableClusters: number; table: Uint8Array }): void {
    this.tableOffset = place.tableOffset;
    this.tableClusters = place.tableClusters;
    this.#setTable(place.table);
    this.cache.clear();
    this.#full.clear();
    this.markTableClean();
    this.hint = 0;
  }

  /** From the hint on. Cluster 0 is the header's whatever its count says. */
  async #find(min: number, max: number): Promise<{ start: number; count: number; skipped: boolean }> {
    const { refcountsPerPiece, refcountOrder, clusterSize } = this.geometry;
    let start = Math.max(1, this.hint);
    let count = 0;
    let skipped = false;
    for (let cluster = start; ;) {
      if ((cluster + 1) * clusterSize > MAX_HOST_OFFSET) throw new BlockError('no-space', 'the image file is full');
      const first = cluster - (cluster % refcountsPerPiece);
      const end = first + refcountsPerPiece;
      if (count === 0 && this.#full.has(first)) {
        start = cluster = end;
        continue;
      }
      const found = this.piece(cluster);
      const piece = found instanceof Promise ? await found : found;
      const isWhole = cluster === first;
      let hasFree = piece === undefined;
      for (; cluster < end; cluster++) {
        if (piece === undefined || readRefcount(piece.view, cluster % refcountsPerPiece, refcountOrder) === 0) {
          hasFree = true;
          if (++count === max) break;
          continue;
        }
        if (count >= min) break;
        skipped ||= count > 0;
        count = 0;
        start = cluster + 1;
      }
      if (isWhole && !hasFree && cluster === end && this.#full.size < MAX_FULL_PIECES) this.#full.add(first);
      if (count >= max || (count >= min && cluster < end)) break;
    }
    await this.#checkFree(start, count);
    return { start, count, skipped };
  }

  /** A free cluster that holds metadata is a count that is wrong. */
  async #checkFree(start: number, count: number): Promise<void> {
    if (!this.#events.isMetadata(start, count)) return;
    for (let cluster = start; cluster < start + count; cluster++)
      if (this.#events.isMetadata(cluster, 1))
        throw await this.#events.corrupt(
          `Preventing invalid allocation of metadata at offset 0x${(cluster * this.geometry.clusterSize).toString(16)}`,
          cluster * this.geometry.clusterSize,
        );
  }

  /** Makes the blocks that count a run; true: one was made, which took clusters, so look again. */
  async #ensureBlocks(start: number, count: number): Promise<boolean> {
    const { refcountsPerBlock } = this.geometry;
    const last = Math.floor((start + count - 1) / refcountsPerBlock);
    for (let block = Math.floor(start / refcountsPerBlock); block <= last; block++) {
      if (this.blockOffset(block) !== 0) continue;
      await this.#createBlock(block);
      return true;
    }
    return false;
  }

  async #createBlock(index: number): Promise<void> {
    if (index >= this.entries) return this.#growTable(index + 1);
    const { refcountsPerBlock, refcountsPerPiece, clusterSize, pieceBytes, pieces, refcountOrder } = this.geometry;
    const { start: cluster } = await this.#find(1, 1);
    const owner = Math.floor(cluster / refcountsPerBlock);
    if (owner !== index && this.blockOffset(owner) === 0) return this.#createBlock(owner);
    const offset = cluster * clusterSize;
    for (let i = 0; i < pieces; i++) this.cache.create(offset + i * pieceBytes);
    setU64(this.#view, index * 8, offset);
    if (this.dirtyTo === 0) this.dirtyFrom = index;
    this.dirtyFrom = Math.min(this.dirtyFrom, index);
    this.dirtyTo = Math.max(this.dirtyTo, index + 1);
    if (owner === index) {
      const within = Math.floor((cluster - index * refcountsPerBlock) / refcountsPerPiece);
      const piece = this.cache.get(offset + within * pieceBytes) as Piece;
      writeRefcount(piece.view, cluster % refcountsPerPiece, refcountOrder, 1);
    } else await this.add(cluster, 1, 1);
    if (cluster === this.hint) this.hint = cluster + 1;
    this.#events.onMetadata(cluster, 'refcount-block');
  }

  /** A larger table at a new place, with room for its own blocks. */
  async #growTable(minEntries: number): Promise<void> {
    const { clusterSize } = this.geometry;
    const perCluster = clusterSize / 8;
    const wanted = Math.max(minEntries + 2, Math.ceil(this.entries * 1.5));
    const clusters = Math.ceil(wanted / perCluster) + 1;
    if (clusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES + clusterSize)
      throw new BlockError('no-space', `a refcount table for ${minEntries} blocks would be too large`);
    const count = Math.min(clusters, Math.floor(MAX_REFCOUNT_TABLE_BYTES / clusterSize));
    if (count * perCluster < minEntries)
      throw new BlockError('no-space', `a refcount table for ${minEntries} blocks would be too large`);
    const before = this.#table;
    const table = new Uint8Array(count * clusterSize);
    table.set(before);
    this.#setTable(table);
    let start: number;
    try {
      ({ start } = await this.allocate(count, count));
    } catch (error) {
      // entries past the end of the table on disk must never be written
      this.#setTable(before);
      this.dirtyTo = Math.min(this.dirtyTo, this.entries);
      this.dirtyFrom = Math.min(this.dirtyFrom, this.dirtyTo);
      throw error;
    }
    this.#events.onTableMoved(Math.floor(this.tableOffset / clusterSize), this.tableClusters);
    this.tableOffset = start * clusterSize;
    this.tableClusters = count;
    this.hasMoved = true;
    for (let i = 0; i < count; i++) this.#events.onMetadata(start + i, 'refcount-table');
  }

  #setTable(table: Uint8Array): void {
    this.#table = table;
    this.#view = viewOf(table);
  }

  async #badBlock(block: number, offset: number): Promise<never> {
    throw await this.#events.corrupt(
      `Refblock offset 0x${offset.toString(16)} unaligned (reftable index: 0x${block.toString(16)})`,
      this.tableOffset + block * 8,
    );
  }
}
