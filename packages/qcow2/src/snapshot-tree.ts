/**
 * The tree of clusters below an L1 table: its references added or given back, and the COPIED flags of the disk's own tables made to fit the
 * refcounts. With the lock, and nobody inside. qcow2 spec, "Snapshots", "Cluster mapping".
 */
import { BlockError } from '@emkit/storage';
import { freeEntry, freeLater, makeRoom, refcounts } from './allocation.ts';
import { COMPRESSED_HI, COPIED_HI } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { compressedExtent, hostOffset, makeRun } from './l2-entry.ts';
import { MAX_HOST_OFFSET } from './limits.ts';

type Run = readonly [cluster: number, count: number];

/** Of the table that an L1 entry refers to; 0: none. */
export function l2Offset(core: Qcow2Core, l1: DataView, index: number): number {
  const offset = hostOffset(l1.getUint32(index * 8), l1.getUint32(index * 8 + 4));
  if (offset % core.geometry.clusterSize !== 0 || offset > MAX_HOST_OFFSET)
    throw core.corruption(`L2 table offset 0x${offset.toString(16)} unaligned (L1 index: 0x${index.toString(16)})`);
  return offset;
}

/** What the tree refers to, table by table, a cluster as often as it is referred to. */
async function* references(core: Qcow2Core, l1: DataView): AsyncGenerator<Run> {
  const { geometry } = core;
  const { clusterSize, entrySize, clusterBits } = geometry;
  const extent = makeRun();
  for (let index = 0; index * 8 < l1.byteLength; index++) {
    const table = l2Offset(core, l1, index);
    if (table === 0) continue;
    for (let part = 0; part < geometry.pieces; part++) {
      const { view } = await core.l2.load(table + part * geometry.pieceBytes);
      let start = 0;
      let count = 0;
      for (let at = 0; at < geometry.pieceBytes; at += entrySize) {
        const hi = view.getUint32(at);
        const lo = view.getUint32(at + 4);
        if (hi === 0 && lo === 0) continue;
        if ((hi & COMPRESSED_HI) !== 0) {
          compressedExtent(extent, hi, lo, clusterBits);
          const first = Math.floor(extent.host / clusterSize);
          yield [first, Math.floor((extent.host + extent.compressedLength - 1) / clusterSize) - first + 1];
          continue;
        }
        const host = hostOffset(hi, lo);
        if (host === 0) continue;
        if (host % clusterSize !== 0 || host > MAX_HOST_OFFSET)
          throw core.corruption(`Cluster allocation offset 0x${host.toString(16)} unaligned`, table);
        const cluster = host / clusterSize;
        if (count > 0 && cluster === start + count) {
          count++;
          continue;
        }
        if (count > 0) yield [start, count];
        start = cluster;
        count = 1;
      }
      if (count > 0) yield [start, count];
    }
    yield [table / clusterSize, 1];
  }
}

/** One more reference to everything in the tree; all of it, or nothing when some count has no room. */
export async function addTree(core: Qcow2Core, l1: DataView): Promise<void> {
  const counts = refcounts(core);
  let done = 0;
  try {
    for await (const [cluster, count] of references(core, l1)) {
      for (let c = cluster; c < cluster + count; c++)
        if ((await counts.get(c)) >= core.geometry.maxRefcount)
          throw new BlockError('no-space', `cluster ${c} has the largest refcount of ${core.geometry.maxRefcount}`, {
            hint: 'amend the image to larger refcount_bits',
          });
      await counts.add(cluster, count, 1);
      done++;
      await makeRoom(core);
    }
  } catch (error) {
    for await (const [cluster, count] of references(core, l1)) {
      if (done-- <= 0) break;
      await counts.add(cluster, count, -1);
    }
    throw error;
  }
}

/** Gives back what the tree refers to, when nothing on disk refers to the tree itself any more. */
export async function freeTree(core: Qcow2Core, l1: DataView): Promise<void> {
  const { geometry } = core;
  for (let index = 0; index * 8 < l1.byteLength; index++) {
    const table = l2Offset(core, l1, index);
    if (table === 0) continue;
    for (let part = 0; part < geometry.pieces; part++) {
      const { view } = await core.l2.load(table + part * geometry.pieceBytes);
      for (let at = 0; at < geometry.pieceBytes; at += geometry.entrySize)
        freeEntry(core, view.getUint32(at), view.getUint32(at + 4), core.options.passDiscardSnapshot);
    }
    freeLater(core, table / geometry.clusterSize, 1, core.options.passDiscardSnapshot);
    await makeRoom(core);
  }
}

/** COPIED exactly where the refcount is one, in the disk's own L1 and L2 tables. */
export async function fitCopiedFlags(core: Qcow2Core): Promise<void> {
  const { geometry } = core;
  const counts = refcounts(core);
  for (let index = 0; index < core.l1.length / 8; index++) {
    const table = core.l2Offset(index);
    if (table === 0) continue;
    const isOwn = (await counts.get(table / geometry.clusterSize)) === 1;
    if (isOwn !== core.isL2Owned(index)) core.setL1(index, table, isOwn);
    for (let part = 0; part < geometry.pieces; part++) await fitPiece(core, table + part * geometry.pieceBytes);
    await makeRoom(core);
  }
}

async function fitPiece(core: Qcow2Core, offset: number): Promise<void> {
  const { geometry } = core;
  const { clusterSize, entrySize } = geometry;
  const counts = refcounts(core);
  const changes: number[] = [];
  const { view } = await core.l2.load(offset);
  for (let at = 0; at < geometry.pieceBytes; at += entrySize) {
    const hi = view.getUint32(at);
    if ((hi & COMPRESSED_HI) !== 0) continue;
    const host = hostOffset(hi, view.getUint32(at + 4));
    if (host === 0 || host % clusterSize !== 0) continue;
    const isOwn = (await counts.get(host / clusterSize)) === 1;
    if (isOwn !== ((hi & COPIED_HI) !== 0)) changes.push(at);
  }
  if (changes.length === 0) return;
  // counting took turns of the event loop: the piece may have been dropped from the cache meanwhile
  const piece = await core.l2.load(offset);
  for (const at of changes) piece.view.setUint32(at, (piece.view.getUint32(at) ^ COPIED_HI) >>> 0);
  core.l2.markDirty(piece, changes[0] as number, (changes[changes.length - 1] as number) + entrySize);
}
