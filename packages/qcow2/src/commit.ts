/**
 * Brings changed metadata to the disk, so that a power cut between any two writes, in whatever order un-flushed ones arrive, leaves leaks
 * at worst. Everything since the last commit goes in three steps, each durable before the next begins:
 *
 * 1. what nothing on disk refers to yet: new L2 tables, guest data; and refcount blocks. If the refcount table must learn of new ones:
 * 2. refcount table entries (or the header's pointer to a table that has moved);
 * 3. references: L2 tables, the L1 table (or the header's pointer to one that has moved).
 *
 * Only then are freed clusters' counts lowered in memory, for the next commit, and the clusters used again. With lazy refcounts the
 * counts wait until the image is closed; the dirty bit says so. A commit with nothing new in 1 and 2 is one write and one flush.
 */
import { type IoOptions, type WritableStorage } from '@emkit/storage';
import { COMPAT_LAZY_REFCOUNTS, INCOMPAT_DIRTY } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import type { Piece, TableCache } from './table-cache.ts';

const PARALLEL_WRITES = 32;

export function usesLazyRefcounts(core: Qcow2Core): boolean {
  if (core.header.version < 3) return false;
  return core.options.lazyRefcounts ?? (core.header.compatibleFeatures & COMPAT_LAZY_REFCOUNTS) !== 0n;
}

/** Before the first change of this session that postpones refcounts. With the lock. undefined: there is nothing to do. */
export function markDirty(core: Qcow2Core): Promise<void> | undefined {
  const isMarked = !usesLazyRefcounts(core) || (core.header.incompatibleFeatures & INCOMPAT_DIRTY) !== 0n;
  return isMarked ? undefined : writeMark(core);
}

async function writeMark(core: Qcow2Core): Promise<void> {
  const file = core.checkWritable();
  await core.updateHeader((header) => ({ incompatibleFeatures: header.incompatibleFeatures | INCOMPAT_DIRTY }));
  await file.flush();
}

export function hasChanges(core: Qcow2Core): boolean {
  return (
    core.l2.dirty.size > 0 ||
    core.dirtyL1.size > 0 ||
    core.newL1Offset !== undefined ||
    core.pendingFrees.length > 0 ||
    core.releasable.length > 0 ||
    hasDirtyRefcounts(core)
  );
}

export interface CommitOptions extends IoOptions {
  /** Write refcounts even if they are lazy. */
  readonly withRefcounts?: boolean | undefined;
}

/** With the lock. On return everything that was acknowledged before the call is durable. */
export async function commit(core: Qcow2Core, options: CommitOptions = {}): Promise<void> {
  const file = core.checkWritable();
  await releaseFrees(core);
  const isLazy = usesLazyRefcounts(core) && options.withRefcounts !== true;
  await growFile(core, file);
  const newTables = [...core.l2.dirty].filter((piece) => piece.isNew);
  const writesCounts = !isLazy && hasDirtyRefcounts(core);
  const needsOrder = core.isDataPending || writesCounts || newTables.length > 0 || core.newL1Offset !== undefined;
  if (needsOrder) {
    await writePieces(core.l2, newTables, file);
    if (core.newL1Offset !== undefined) await file.write(core.newL1Offset, core.l1);
    if (writesCounts) await writeCounts(core, file, options);
    await flushAll(core, file, options);
    markClean(core.l2, newTables);
    core.isDataPending = false;
    if (writesCounts) markClean(refcountsOf(core).cache, [...refcountsOf(core).cache.dirty]);
  }
  const tables = [...core.l2.dirty];
  await writePieces(core.l2, tables, file);
  await writeL1(core, file);
  if (!needsOrder || tables.length > 0 || core.dirtyL1.size > 0 || core.newL1Offset !== undefined)
    await flushAll(core, file, options);
  markClean(core.l2, tables);
  core.dirtyL1.clear();
  core.newL1Offset = undefined;
  if (core.pendingFrees.length > 0) {
    const frees = core.pendingFrees;
    core.pendingFrees = [];
    core.pendingClusters = 0;
    core.gate.whenPassed(() => {
      for (const value of frees) core.releasable.push(value);
    });
    await releaseFrees(core);
  }
}

/** Lowers the counts of clusters that nobody refers to any more, after their content was given up. With the lock. */
export async function releaseFrees(core: Qcow2Core): Promise<void> {
  while (core.releasable.length > 0) {
    const frees = core.releasable;
    core.releasable = [];
    for (let i = 0; i < frees.length; i += 3)
      await releaseRun(core, frees[i] as number, frees[i + 1] as number, frees[i + 2] === 1);
  }
}

async function releaseRun(core: Qcow2Core, first: number, count: number, mayDiscard: boolean): Promise<void> {
  const { clusterSize } = core.geometry;
  core.decompressed.clear();
  const freed = await refcountsOf(core).add(first, count, -1);
  for (const [start, length] of freed) {
    core.guard?.remove(start, length);
    const end = start + length;
    if (core.compressedEnd > start * clusterSize && core.compressedEnd <= end * clusterSize) core.compressedEnd = 0;
    core.l2.drop(start * clusterSize, length * clusterSize);
    // the lock keeps others from taking the clusters before this is done
    if (mayDiscard && core.file.discard !== undefined)
      await core.file.discard(start * clusterSize, length * clusterSize);
  }
}

function refcountsOf(core: Qcow2Core): NonNullable<Qcow2Core['refcounts']> {
  if (core.refcounts === undefined) throw core.corruption('no refcounts are loaded');
  return core.refcounts;
}

function hasDirtyRefcounts(core: Qcow2Core): boolean {
  const { refcounts } = core;
  return refcounts !== undefined && (refcounts.cache.dirty.size > 0 || refcounts.dirtyTo > 0 || refcounts.hasMoved);
}

/** Tables at the end of the file may leave a hole behind them; the file shall end where its last cluster does. */
async function growFile(core: Qcow2Core, file: WritableStorage): Promise<void> {
  const end = core.untouchedFrom * core.geometry.clusterSize;
  if (file.size < end && hasChanges(core)) await file.truncate(end);
}

/** Counts, and step 2; the last writes are not flushed. */
async function writeCounts(core: Qcow2Core, file: WritableStorage, options: IoOptions): Promise<void> {
  const refcounts = refcountsOf(core);
  const { cache, geometry } = refcounts;
  const blocks = [...cache.dirty];
  await writePieces(cache, blocks, file);
  if (refcounts.hasMoved || refcounts.dirtyTo > 0) {
    // with the old blocks too: one of them counts the cluster of a new one, and must do so before the table refers to that
    if (refcounts.hasMoved) await file.write(refcounts.tableOffset, refcounts.table);
    await file.flush(options);
    markClean(cache, blocks);
    if (refcounts.hasMoved) {
      const { tableOffset, tableClusters } = refcounts;
      await core.updateHeader(() => ({ refcountTableOffset: tableOffset, refcountTableClusters: tableClusters }));
      core.guard?.add('refcount-table', tableOffset / geometry.clusterSize, tableClusters);
    } else {
      const [from, to] = [refcounts.dirtyFrom * 8, refcounts.dirtyTo * 8];
      await file.write(refcounts.tableOffset + from, refcounts.table.subarray(from, to));
    }
    await file.flush(options);
    refcounts.markTableClean();
  }
}

async function writeL1(core: Qcow2Core, file: WritableStorage): Promise<void> {
  if (core.newL1Offset !== undefined) {
    const offset = core.newL1Offset;
    await core.updateHeader(() => ({ l1TableOffset: offset, l1Size: core.l1.length / 8 }));
    return;
  }
  const indexes = [...core.dirtyL1].sort((a, b) => a - b);
  for (let i = 0; i < indexes.length;) {
    const first = indexes[i] as number;
    let next = i + 1;
    while (next < indexes.length && indexes[next] === (indexes[next - 1] as number) + 1) next++;
    const end = (indexes[next - 1] as number) + 1;
    await file.write(core.header.l1TableOffset + first * 8, core.l1.subarray(first * 8, end * 8));
    i = next;
  }
}

async function flushAll(core: Qcow2Core, file: WritableStorage, options: IoOptions): Promise<void> {
  if (core.dataFile === core.file) return file.flush(options);
  await Promise.all([file.flush(options), core.dataFile.flush?.(options)]);
}

async function writePieces(cache: TableCache, pieces: readonly Piece[], file: WritableStorage): Promise<void> {
  for (let i = 0; i < pieces.length; i += PARALLEL_WRITES)
    await Promise.all(pieces.slice(i, i + PARALLEL_WRITES).map((piece) => cache.write(piece, file)));
}

function markClean(cache: TableCache, pieces: readonly Piece[]): void {
  for (const piece of pieces) cache.markClean(piece);
}
