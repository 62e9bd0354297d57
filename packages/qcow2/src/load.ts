/** Reading the big tables of the header: L1 and refcount table. Parts past the end of the file are zero and are not read. */
import type { Storage } from '@emkit/storage';
import { freeLater } from './allocation.ts';
import type { Qcow2Core } from './core.ts';
import { OverlapGuard } from './overlap-guard.ts';
import { Refcounts } from './refcounts.ts';

/** `length`: checked by the header's parser. */
export async function loadTable(file: Storage, offset: number, length: number): Promise<Uint8Array> {
  const table = new Uint8Array(length);
  const present = Math.min(length, file.size - offset);
  if (present > 0) await file.read(offset, table.subarray(0, present));
  return table;
}

/** The image's refcounts; not set in `core`, which has them only when it may change them. */
export async function loadRefcounts(core: Qcow2Core): Promise<Refcounts> {
  const { geometry, header } = core;
  const table = await loadTable(
    core.file,
    header.refcountTableOffset,
    header.refcountTableClusters * geometry.clusterSize,
  );
  return new Refcounts(
    core.file,
    geometry,
    { tableOffset: header.refcountTableOffset, tableClusters: header.refcountTableClusters, table },
    core.options.refcountCacheBytes,
    {
      corrupt: (message, offset) => core.corruption(message, offset),
      onMetadata: (cluster, kind) => core.guard?.add(kind, cluster),
      onTableMoved: (cluster, count) => freeLater(core, cluster, count, true),
      isMetadata: (first, count) => core.guard?.meets(first, count) ?? false,
    },
  );
}

/** Where all metadata stands, for overlap checks; snapshots and bitmaps add theirs. */
export function buildGuard(core: Qcow2Core): OverlapGuard {
  const { geometry, header, refcounts } = core;
  const { clusterSize } = geometry;
  const guard = new OverlapGuard(core.options.overlapKinds, clusterSize);
  for (let i = 0; i < header.l1Size; i++) {
    const offset = core.l2OffsetUnchecked(i);
    if (offset !== 0 && offset % clusterSize === 0) guard.add('active-l2', offset / clusterSize);
  }
  for (let i = 0; refcounts !== undefined && i < refcounts.entries; i++) {
    const offset = refcounts.blockOffset(i);
    if (offset !== 0 && offset % clusterSize === 0) guard.add('refcount-block', offset / clusterSize);
  }
  guard.add('active-l1', header.l1TableOffset / clusterSize, geometry.clustersFor(header.l1Size * 8));
  guard.add('refcount-table', header.refcountTableOffset / clusterSize, header.refcountTableClusters);
  for (const source of core.guardSources) source(guard);
  guard.add('main-header', 0);
  return guard;
}
