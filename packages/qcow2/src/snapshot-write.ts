/**
 * Writing the snapshot table: always at a new place, switched to by one write of the header, so that a crash leaves the old or the new one.
 */
import { BlockError } from '@emkit/storage';
import { allocateClusters, freeLater } from './allocation.ts';
import { commit } from './commit.ts';
import { INCOMPAT_DIRTY } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { MAX_SNAPSHOTS } from './limits.ts';
import { encodeSnapshotTable, type Snapshot } from './snapshot-table.ts';

/** With the lock, and nobody inside. On return the table is durable, and `old` waits to be freed. */
export async function writeSnapshotTable(
  core: Qcow2Core,
  snapshots: readonly Snapshot[],
  old: readonly Snapshot[] = snapshots,
): Promise<void> {
  if (snapshots.length > MAX_SNAPSHOTS) throw new BlockError('no-space', 'the image has too many snapshots');
  const file = core.checkWritable();
  const { geometry } = core;
  const { clusterSize } = geometry;
  const table = encodeSnapshotTable(snapshots);
  const oldBytes = core.header.nbSnapshots === 0 ? 0 : old.reduce((sum, snapshot) => sum + snapshot.entryBytes, 0);
  const oldOffset = core.header.snapshotsOffset;
  let offset = 0;
  if (table.length > 0) {
    const clusters = geometry.clustersFor(table.length);
    const { start } = await allocateClusters(core, clusters, clusters);
    offset = start * clusterSize;
    await file.write(offset, table);
    core.guard?.add('snapshot-table', start, clusters);
  }
  await commit(core, { withRefcounts: true });
  await core.updateHeader(() => ({ nbSnapshots: snapshots.length, snapshotsOffset: offset }));
  await file.flush();
  if (oldBytes > 0) freeLater(core, oldOffset / clusterSize, geometry.clustersFor(oldBytes), true);
}

/**
 * Between its commits a snapshot operation leaves refcounts that are too high, or COPIED flags that do not fit them: no data is lost, but
 * only a repair makes it right. With the dirty bit the next one who opens the image does so; version 2 has no such bit.
 */
export async function underDirtyMark(core: Qcow2Core, body: () => Promise<void>): Promise<void> {
  const file = core.checkWritable();
  const isMarked = (core.header.incompatibleFeatures & INCOMPAT_DIRTY) !== 0n;
  if (isMarked || core.header.version < 3) return body();
  await core.updateHeader((header) => ({ incompatibleFeatures: header.incompatibleFeatures | INCOMPAT_DIRTY }));
  await file.flush();
  await body();
  await core.updateHeader((header) => ({ incompatibleFeatures: header.incompatibleFeatures & ~INCOMPAT_DIRTY }));
  await file.flush();
}
