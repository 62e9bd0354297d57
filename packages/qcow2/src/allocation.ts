/** Taking and giving back clusters, L2 tables of one's own, and room for packed compressed data. All with the image's lock held. */
import { BlockError } from '@emkit/storage';
import { commit, markDirty } from './commit.ts';
import { COMPRESSED_HI } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { compressedExtent, hostOffset, makeRun } from './l2-entry.ts';
import { MAX_PENDING_FREES } from './limits.ts';
import type { ClusterRun, Refcounts } from './refcounts.ts';
import type { Piece } from './table-cache.ts';

/** Bytes that may wait to be freed before a commit is made for their sake. */
const PENDING_FREE_BYTES = 64 * 1024 * 1024;

export function refcounts(core: Qcow2Core): Refcounts {
  if (core.refcounts === undefined) throw new BlockError('read-only', 'the image is open for reading only');
  return core.refcounts;
}

/*
 * Functions that give a value or a promise of it: in the common case all that is needed is in memory, and each promise on the way of a write costs as much as a cluster's
 * entries.
 */

/** Commits when so much is changed or waits to be freed that it is due. */
export function makeRoom(core: Qcow2Core): Promise<void> | undefined {
  const isDue =
    core.l2.isCrowded ||
    (core.refcounts?.cache.isCrowded ?? false) ||
    core.pendingFrees.length > MAX_PENDING_FREES * 3 ||
    core.pendingClusters * core.geometry.clusterSize > PENDING_FREE_BYTES;
  // crowded with lazy counts: they must go as well
  return isDue ? commit(core, { withRefcounts: core.refcounts?.cache.isCrowded }) : undefined;
}

export interface TakenClusters extends ClusterRun {
  /** They read as zero on disk. */
  readonly isFresh: boolean;
}

/** A run of clusters, each with the count 1. */
export function allocateClusters(core: Qcow2Core, min: number, max: number): TakenClusters | Promise<TakenClusters> {
  const marking = markDirty(core);
  if (marking !== undefined) return marking.then(() => allocateClusters(core, min, max));
  const run = refcounts(core).allocate(min, max);
  return run instanceof Promise ? run.then((found) => taken(core, found)) : taken(core, run);
}

function taken(core: Qcow2Core, { start, count }: ClusterRun): TakenClusters {
  const isFresh = start >= core.untouchedFrom;
  core.untouchedFrom = Math.max(core.untouchedFrom, start + count);
  return { start, count, isFresh };
}

/** Clusters that no table refers to, neither on disk nor in memory: given back at once. */
export async function freeUnused(core: Qcow2Core, start: number, count: number): Promise<void> {
  await refcounts(core).add(start, count, -1);
}

/** Clusters that a table on disk may still refer to: given back after the next commit. */
export function freeLater(core: Qcow2Core, start: number, count: number, mayDiscard: boolean): void {
  const list = core.pendingFrees;
  const last = list.length - 3;
  core.pendingClusters += count;
  if (last >= 0 && list[last] === start - (list[last + 1] as number) && list[last + 2] === Number(mayDiscard))
    list[last + 1] = (list[last + 1] as number) + count;
  else list.push(start, count, Number(mayDiscard));
}

const scratch = makeRun();

/** Gives back later whatever an L2 entry refers to. */
export function freeEntry(core: Qcow2Core, hi: number, lo: number, mayDiscard: boolean): void {
  if (core.isIdentity) return;
  const { clusterSize, clusterBits } = core.geometry;
  if ((hi & COMPRESSED_HI) !== 0) {
    compressedExtent(scratch, hi, lo, clusterBits);
    const first = Math.floor(scratch.host / clusterSize);
    const last = Math.floor((scratch.host + scratch.compressedLength - 1) / clusterSize);
    freeLater(core, first, last - first + 1, mayDiscard);
    return;
  }
  const host = hostOffset(hi, lo);
  if (host !== 0 && host % clusterSize === 0) freeLater(core, host / clusterSize, 1, mayDiscard);
}

/** The piece of an L2 table of this image's own that maps a guest offset: makes the table, or a copy of one that is shared. */
export function ownPiece(core: Qcow2Core, offset: number): Piece | Promise<Piece> {
  const { geometry } = core;
  const index = Math.floor(offset / geometry.l1Coverage);
  const within = Math.floor(core.entryIndex(offset) / geometry.pieceEntries) * geometry.pieceBytes;
  const table = core.l2Offset(index);
  return table !== 0 && core.isL2Owned(index) ? core.l2.load(table + within) : makeOwn(core, index, table, within);
}

async function makeOwn(core: Qcow2Core, index: number, table: number, within: number): Promise<Piece> {
  const { geometry } = core;
  const { start } = await allocateClusters(core, 1, 1);
  const offsetNew = start * geometry.clusterSize;
  const old: Piece[] = [];
  try {
    for (let i = 0; table !== 0 && i < geometry.pieces; i++)
      old.push(await core.l2.load(table + i * geometry.pieceBytes));
  } catch (error) {
    await freeUnused(core, start, 1);
    throw error;
  }
  for (let i = 0; i < geometry.pieces; i++) {
    const piece = core.l2.create(offsetNew + i * geometry.pieceBytes);
    const source = old[i];
    if (source !== undefined) piece.bytes.set(source.bytes);
  }
  core.guard?.add('active-l2', start);
  core.setL1(index, offsetNew, true);
  if (table !== 0) freeLater(core, table / geometry.clusterSize, 1, true);
  return core.l2.load(offsetNew + within);
}

/** Room for `length` bytes of compressed data, behind the last if it fits there. */
export async function allocateBytes(core: Qcow2Core, length: number): Promise<number> {
  const { clusterSize, maxRefcount } = core.geometry;
  await markDirty(core);
  const counts = refcounts(core);
  const end = core.compressedEnd;
  const within = end % clusterSize;
  if (within !== 0) {
    const cluster = Math.floor(end / clusterSize);
    const used = await counts.get(cluster);
    const overflow = within + length - clusterSize;
    if (used > 0 && used < maxRefcount && (overflow <= 0 || (await counts.allocateAt(cluster + 1, 1)) === 1)) {
      await counts.add(cluster, 1, 1);
      if (overflow > 0) core.untouchedFrom = Math.max(core.untouchedFrom, cluster + 2);
      core.compressedEnd = end + length;
      return end;
    }
  }
  const { start } = await allocateClusters(core, 1, 1);
  core.compressedEnd = start * clusterSize + length;
  return start * clusterSize;
}

/** Takes back `allocateBytes` when the data could not be written. */
export async function freeBytes(core: Qcow2Core, offset: number, length: number): Promise<void> {
  const { clusterSize } = core.geometry;
  const first = Math.floor(offset / clusterSize);
  const last = Math.floor((offset + length - 1) / clusterSize);
  await freeUnused(core, first, last - first + 1);
  core.compressedEnd = 0;
}
