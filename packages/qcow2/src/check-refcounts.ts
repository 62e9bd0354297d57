/**
 * The refcounts on disk, read through a small cache and compared with what was counted; wrong ones are put right when asked for. Each count
 * is either its old or its new value whatever a crash does, and both are valid states for another check, so the order does not matter.
 */
import { type WritableStorage } from '@emkit/storage';
import type { ClusterCounts } from './check-counts.ts';
import type { CheckState } from './check-state.ts';
import { MAX_HOST_OFFSET } from './limits.ts';
import { readRefcount, writeRefcount } from './refcount-entry.ts';
import { TableCache, type Piece } from './table-cache.ts';
import { getU64, viewOf } from './u64.ts';

const CACHE_BYTES = 4 * 1024 * 1024;

export type Fix = 'none' | 'leaks' | 'all';

export interface Compared {
  readonly needsRebuild: boolean;
  readonly highest: number;
  /** Counts that could not be read. */
  readonly unreadable: number;
}

export class DiskRefcounts {
  readonly #state: CheckState;
  readonly #table: DataView;
  readonly #cache: TableCache;
  #last: Piece | undefined;
  #lastStart = 0;

  private constructor(state: CheckState, table: Uint8Array) {
    this.#state = state;
    this.#table = viewOf(table);
    this.#cache = new TableCache(state.file, state.geometry.pieceBytes, CACHE_BYTES);
  }

  static async load(state: CheckState, place = state.header): Promise<DiskRefcounts> {
    // a rebuilt table may stand behind what was the end of the file
    const available = Math.max(0, state.file.size - place.refcountTableOffset);
    const bytes = new Uint8Array(
      Math.ceil(Math.min(place.refcountTableClusters * state.geometry.clusterSize, available) / 8) * 8,
    );
    if (bytes.length > 0) await state.file.read(place.refcountTableOffset, bytes);
    return new DiskRefcounts(state, bytes);
  }

  blockOffset(index: number): number {
    return index * 8 < this.#table.byteLength ? getU64(this.#table, index * 8) : 0;
  }

  isBad(offset: number): boolean {
    return offset % this.#state.geometry.clusterSize !== 0 || offset > MAX_HOST_OFFSET;
  }

  /** undefined: the table is broken there. Hot path: neighbours are in the piece that was looked at last. */
  get(cluster: number): number | undefined | Promise<number | undefined> {
    const { refcountsPerBlock, refcountsPerPiece, refcountOrder } = this.#state.geometry;
    const within = cluster - this.#lastStart;
    if (this.#last !== undefined && within >= 0 && within < refcountsPerPiece)
      return readRefcount(this.#last.view, within, refcountOrder);
    const offset = this.blockOffset(Math.floor(cluster / refcountsPerBlock));
    if (offset === 0) return 0;
    if (this.isBad(offset)) return undefined;
    const piece = this.piece(offset, cluster % refcountsPerBlock);
    return piece instanceof Promise ? piece.then((loaded) => this.#read(loaded, cluster)) : this.#read(piece, cluster);
  }

  #read(piece: Piece, cluster: number): number {
    const { refcountsPerPiece, refcountOrder } = this.#state.geometry;
    this.#last = piece;
    this.#lastStart = cluster - (cluster % refcountsPerPiece);
    return readRefcount(piece.view, cluster - this.#lastStart, refcountOrder);
  }

  piece(block: number, within: number): Piece | Promise<Piece> {
    const { refcountsPerPiece, pieceBytes } = this.#state.geometry;
    return this.#cache.load(block + Math.floor(within / refcountsPerPiece) * pieceBytes);
  }

  /** Ascending indexes of blocks that exist or count something. */
  blocks(counts: ClusterCounts): number[] {
    const { refcountsPerBlock } = this.#state.geometry;
    const indexes = new Set<number>();
    for (let i = 0; i * 8 < this.#table.byteLength; i++) if (this.blockOffset(i) !== 0) indexes.add(i);
    for (const first of counts.pages())
      for (let c = first; c < first + counts.pageClusters; c += Math.min(refcountsPerBlock, counts.pageClusters))
        indexes.add(Math.floor(c / refcountsPerBlock));
    return [...indexes].sort((a, b) => a - b);
  }
}

export async function compareRefcounts(
  state: CheckState,
  disk: DiskRefcounts,
  counts: ClusterCounts,
  fix: Fix,
  writer: WritableStorage | undefined,
): Promise<Compared> {
  const { refcountsPerBlock } = state.geometry;
  let needsRebuild = false;
  let highest = 0;
  let unreadable = 0;
  for (const index of disk.blocks(counts)) {
    const first = index * refcountsPerBlock;
    const end = Math.min(first + refcountsPerBlock, state.fileClusters);
    const offset = disk.blockOffset(index);
    if (disk.isBad(offset)) {
      for (let c = first; c < end; c++, unreadable++)
        state.error(`Can't get refcount for cluster ${c}: Input/output error`);
      continue;
    }
    const result = await compareBlock(state, disk, counts, { offset, first, end }, fix, writer);
    needsRebuild ||= result.needsRebuild;
    highest = Math.max(highest, result.highest);
  }
  return { needsRebuild, highest, unreadable };
}

async function compareBlock(
  state: CheckState,
  disk: DiskRefcounts,
  counts: ClusterCounts,
  block: { readonly offset: number; readonly first: number; readonly end: number },
  fix: Fix,
  writer: WritableStorage | undefined,
): Promise<Compared> {
  const { refcountsPerPiece, refcountOrder } = state.geometry;
  let needsRebuild = false;
  let highest = -1;
  for (let start = block.first; start < block.end; start += refcountsPerPiece) {
    const found = block.offset === 0 ? undefined : disk.piece(block.offset, start - block.first);
    const piece = found instanceof Promise ? await found : found;
    let isChanged = false;
    const end = Math.min(start + refcountsPerPiece, block.end);
    for (let cluster = start; cluster < end; cluster++) {
      const stored = piece === undefined ? 0 : readRefcount(piece.view, cluster - start, refcountOrder);
      const counted = counts.get(cluster);
      if (stored > 0 || counted > 0) highest = cluster;
      if (stored === counted) continue;
      if (stored === 0) needsRebuild = true;
      const isLeak = stored > counted;
      const fixes = piece !== undefined && stored > 0 && (fix === 'all' || (fix === 'leaks' && isLeak));
      const word = fixes ? 'Repairing' : isLeak ? 'Leaked' : 'ERROR';
      state.line(`${word} cluster ${cluster} refcount=${stored} reference=${counted}`);
      if (fixes) {
        writeRefcount(piece.view, cluster - start, refcountOrder, counted);
        isChanged = true;
        if (isLeak) state.leaksFixed++;
        else state.corruptionsFixed++;
      } else if (isLeak) state.leaks++;
      else state.corruptions++;
    }
    if (isChanged && piece !== undefined) await writer?.write(piece.offset, piece.bytes);
  }
  return { needsRebuild, highest, unreadable: 0 };
}
