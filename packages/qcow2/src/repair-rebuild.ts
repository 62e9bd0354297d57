/**
 * New refcount blocks and a new table from what was counted, for images whose own cannot be used. They are written to clusters that nothing
 * refers to, the broken ones included; then the header is switched, in one write of one sector. A crash before that leaves the image as it
 * was. qcow2 spec, "Host cluster management".
 */
import { BlockError } from '@emkit/storage';
import type { Counted } from './check-count.ts';
import type { ClusterCounts } from './check-counts.ts';
import type { CheckState, CheckTarget } from './check-state.ts';
import { MAX_REFCOUNT_TABLE_BYTES } from './limits.ts';
import { writeRefcount } from './refcount-entry.ts';
import { setU64, viewOf } from './u64.ts';

export interface RefcountPlace {
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
}

export async function rebuildRefcounts(
  state: CheckState,
  { counts, refcountClusters }: Counted,
  target: CheckTarget,
): Promise<RefcountPlace> {
  const file = target.writer;
  if (file === undefined) throw new BlockError('read-only', 'the image is open for reading only');
  const { clusterSize, refcountsPerBlock, refcountsPerPiece, pieceBytes, refcountOrder } = state.geometry;
  const blocks = new Map<number, number>();
  const waiting: number[] = [];
  const need = (cluster: number): void => {
    const index = Math.floor(cluster / refcountsPerBlock);
    if (blocks.has(index)) return;
    blocks.set(index, 0);
    waiting.push(index);
  };
  for (const first of counts.pages())
    for (let cluster = first; cluster < first + counts.pageClusters; cluster++)
      if (counts.get(cluster) > 0) need(cluster);
  let free = 1; // cluster 0 is the header's
  const settle = (): void => {
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      free = counts.firstFree(free);
      blocks.set(index, free);
      counts.add(free, 1);
      need(free);
    }
  };
  settle();
  let clusters = tableClusters(blocks, clusterSize);
  let table = reserve(counts, clusters);
  for (;;) {
    for (let i = 0; i < clusters; i++) need(table + i);
    settle();
    const wanted = tableClusters(blocks, clusterSize);
    if (wanted <= clusters) break;
    for (let i = 0; i < clusters; i++) counts.add(table + i, -1);
    clusters = wanted;
    table = reserve(counts, clusters);
  }
  for (const cluster of refcountClusters) counts.add(cluster, -1);

  const tableBytes = new Uint8Array(clusters * clusterSize);
  for (const [index, cluster] of blocks) {
    setU64(viewOf(tableBytes), index * 8, cluster * clusterSize);
    for (let at = 0; at < clusterSize; at += pieceBytes) {
      const bytes = new Uint8Array(pieceBytes);
      const view = viewOf(bytes);
      const first = index * refcountsPerBlock + (at / pieceBytes) * refcountsPerPiece;
      for (let i = 0; i < refcountsPerPiece; i++) {
        const count = counts.get(first + i);
        if (count !== 0) writeRefcount(view, i, refcountOrder, count);
      }
      await file.write(cluster * clusterSize + at, bytes);
    }
  }
  await file.write(table * clusterSize, tableBytes);
  await file.flush();
  const place = { refcountTableOffset: table * clusterSize, refcountTableClusters: clusters };
  await target.updateHeader?.(place);
  await file.flush();
  return place;
}

function tableClusters(blocks: ReadonlyMap<number, number>, clusterSize: number): number {
  let largest = 0;
  for (const index of blocks.keys()) largest = Math.max(largest, index);
  const clusters = Math.ceil(((largest + 1) * 8) / clusterSize);
  if (clusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES)
    throw new BlockError('no-space', 'a new refcount table would be too large');
  return clusters;
}

/** Takes a run of free clusters. */
function reserve(counts: ClusterCounts, clusters: number): number {
  for (let start = counts.firstFree(1); ; start = counts.firstFree(start)) {
    let length = 0;
    while (length < clusters && counts.get(start + length) === 0) length++;
    if (length === clusters) {
      for (let i = 0; i < clusters; i++) counts.add(start + i, 1);
      return start;
    }
    start += length;
  }
}
