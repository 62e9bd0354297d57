/** Other refcount_bits: a second set of blocks and table beside the old one, then one write of the header. Alone: nobody else is inside. */
import { BlockError } from '@emkit/storage';
import type { AmendExtra } from './amend.ts';
import { allocateClusters, freeLater, freeUnused, refcounts } from './allocation.ts';
import { commit } from './commit.ts';
import type { Qcow2Core } from './core.ts';
import { Geometry } from './geometry.ts';
import { MAX_REFCOUNT_TABLE_BYTES } from './limits.ts';
import { loadRefcounts } from './load.ts';
import { settle } from './maintenance.ts';
import { readRefcount, writeRefcount } from './refcount-entry.ts';
import { setU64, viewOf } from './u64.ts';

export async function changeRefcountWidth(core: Qcow2Core, order: number, extra: AmendExtra): Promise<void> {
  if (order === core.geometry.refcountOrder) return;
  await settle(core);
  const next = new Geometry({ ...core.header, refcountOrder: order });
  await checkFits(core, next);
  await core.lock.run(async () => {
    const place = await reserve(core, next);
    // the old counts know of the new blocks before anything else happens
    await commit(core, { withRefcounts: true });
    await writeBlocks(core, next, place, extra);
    await switchOver(core, next, place);
    await commit(core, { withRefcounts: true });
  });
  await settle(core);
}

interface Place {
  /** Clusters: the blocks, then the table. */
  readonly start: number;
  readonly blocks: number;
  readonly tableClusters: number;
}

/** Past the last cluster of the file that the old table covers, nothing is counted. */
function coveredClusters(core: Qcow2Core): number {
  return Math.max(core.untouchedFrom, core.geometry.clustersFor(core.file.size));
}

async function checkFits(core: Qcow2Core, next: Geometry): Promise<void> {
  if (next.maxRefcount >= core.geometry.maxRefcount) return;
  for await (const [cluster, count] of counts(core))
    if (count > next.maxRefcount)
      throw new BlockError(
        'invalid-option',
        `Cannot decrease refcount entry width to ${next.refcountBits} bits: Cluster at offset ${cluster * next.clusterSize} has a refcount of ${count}`,
      );
}

/** All counts that are not 0, in order. */
async function* counts(core: Qcow2Core): AsyncGenerator<[cluster: number, count: number]> {
  const { refcountsPerPiece, refcountOrder, refcountsPerBlock } = core.geometry;
  const old = refcounts(core);
  for (let cluster = 0; cluster < old.entries * refcountsPerBlock; cluster += refcountsPerPiece) {
    const found = old.piece(cluster);
    if (found === undefined) continue;
    const piece = found instanceof Promise ? await found : found;
    for (let i = 0; i < refcountsPerPiece; i++) {
      const count = readRefcount(piece.view, i, refcountOrder);
      if (count !== 0) yield [cluster + i, count];
    }
  }
}

/** Takes clusters until the new blocks can count them too. */
async function reserve(core: Qcow2Core, next: Geometry): Promise<Place> {
  for (let clusters = coveredClusters(core) + 1; ;) {
    const blocks = Math.ceil(clusters / next.refcountsPerBlock);
    const tableClusters = next.clustersFor(blocks * 8);
    if (tableClusters * next.clusterSize > MAX_REFCOUNT_TABLE_BYTES)
      throw new BlockError('no-space', 'the refcount table would be too large');
    const count = blocks + tableClusters;
    const { start } = await allocateClusters(core, count, count);
    if (Math.max(coveredClusters(core), start + count) <= blocks * next.refcountsPerBlock)
      return { start, blocks, tableClusters };
    await freeUnused(core, start, count);
    clusters = Math.max(coveredClusters(core), start + count) + count;
  }
}

async function writeBlocks(core: Qcow2Core, next: Geometry, place: Place, extra: AmendExtra): Promise<void> {
  const file = core.checkWritable();
  const { refcountsPerBlock, clusterSize, refcountOrder } = next;
  let block = new Uint8Array(clusterSize);
  let index = 0;
  const write = async (): Promise<void> => {
    await file.write((place.start + index) * clusterSize, block);
    block = new Uint8Array(clusterSize);
    index++;
    extra.onProgress?.(index / (place.blocks + 1));
  };
  for await (const [cluster, count] of counts(core)) {
    // counts past the end of the file are of nothing
    if (cluster >= place.blocks * refcountsPerBlock) break;
    while (index < Math.floor(cluster / refcountsPerBlock)) await write();
    writeRefcount(viewOf(block), cluster % refcountsPerBlock, refcountOrder, count);
  }
  while (index < place.blocks) await write();
  const table = new Uint8Array(place.tableClusters * clusterSize);
  for (let i = 0; i < place.blocks; i++) setU64(viewOf(table), i * 8, (place.start + i) * clusterSize);
  await file.write((place.start + place.blocks) * clusterSize, table);
  await file.flush();
}

async function switchOver(core: Qcow2Core, next: Geometry, place: Place): Promise<void> {
  const old = refcounts(core);
  await core.updateHeader(() => ({
    refcountTableOffset: (place.start + place.blocks) * next.clusterSize,
    refcountTableClusters: place.tableClusters,
    refcountOrder: next.refcountOrder,
  }));
  await core.checkWritable().flush();
  core.geometry = next;
  core.refcounts = await loadRefcounts(core);
  core.guard?.add('refcount-block', place.start, place.blocks);
  core.guard?.add('refcount-table', place.start + place.blocks, place.tableClusters);
  for (let i = 0; i < old.entries; i++) {
    const offset = old.blockOffset(i);
    if (offset !== 0) freeLater(core, offset / next.clusterSize, 1, true);
  }
  freeLater(core, old.tableOffset / next.clusterSize, old.tableClusters, true);
}
