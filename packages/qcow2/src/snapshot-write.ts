/**
 * Writing the snapshot table: always at a new place, switched to by one write of the header, so that a crash leaves the old or the new one.
 */
import { BlockError } from '@emkit/storage';
import { allocateClusters, freeLater } from './allocation.ts';
import { commit } from './commit.ts';
import { Extension, INCOMPAT_DIRTY } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { findExtension, withExtension } from './header-extensions.ts';
import { MAX_SNAPSHOTS } from './limits.ts';
import { encodeSnapshotTable, type Snapshot } from './snapshot-table.ts';
import { fitCopiedFlags } from './snapshot-tree.ts';

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
 * only a repair makes it right. A mark in the header makes the next one who opens the image do so: the dirty bit, which version 2 does not
 * have; there an extension of our own, which others ignore.
 */
export async function underDirtyMark(core: Qcow2Core, body: () => Promise<void>): Promise<void> {
  const file = core.checkWritable();
  // lazy refcounts have their mark already, and clear it when they are brought up to date
  const isMarked = isMarkedDirty(core);
  if (!isMarked) {
    await mark(core, true);
    await file.flush();
  }
  const { keepsDirty } = core;
  core.keepsDirty = true; // should it fail: closing must not say that all is well
  try {
    await body();
  } catch (error) {
    await fitAfterFailure(core);
    throw error;
  }
  core.keepsDirty = keepsDirty;
  if (isMarked) return;
  await mark(core, false);
  await file.flush();
}

/**
 * The image stays open after a failed operation: what it left of refcounts is leaks, but flags that do not fit them would be found as corruption by
 * a check before the next opening repairs both. If this fails too, the mark says what there is to say.
 */
async function fitAfterFailure(core: Qcow2Core): Promise<void> {
  try {
    await commit(core, { withRefcounts: true });
    await fitCopiedFlags(core);
    await commit(core, { withRefcounts: true });
  } catch {
    // the first error is the one to report
  }
}

/** Not closed in order, or ended in the middle of a snapshot operation. */
export const isMarkedDirty = ({ header }: Qcow2Core): boolean =>
  (header.incompatibleFeatures & INCOMPAT_DIRTY) !== 0n ||
  findExtension(header.extensions, Extension.UNFINISHED) !== undefined;

async function mark(core: Qcow2Core, isDirty: boolean): Promise<void> {
  await core.updateHeader((header) =>
    header.version < 3
      ? { extensions: withExtension(header.extensions, Extension.UNFINISHED, isDirty ? new Uint8Array(0) : undefined) }
      : {
          incompatibleFeatures: isDirty
            ? header.incompatibleFeatures | INCOMPAT_DIRTY
            : header.incompatibleFeatures & ~INCOMPAT_DIRTY,
        },
  );
}
