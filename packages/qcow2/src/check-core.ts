/** Check and repair of an open image: alone in it, with everything written before, and with the tables read again afterwards. */
import { type CheckOptions, type CheckResult } from '@emkit/storage';
import { checkImage } from './check.ts';
import { commit, hasChanges } from './commit.ts';
import { INCOMPAT_DIRTY } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { loadTable } from './load.ts';
import { writeSnapshotTable } from './snapshot-write.ts';
import { viewOf } from './u64.ts';

/** Nobody else may be inside. */
export async function checkCore(core: Qcow2Core, options: CheckOptions = {}): Promise<CheckResult> {
  return core.lock.run(async () => {
    if (core.writable !== undefined && !core.isCorrupt)
      while (hasChanges(core)) await commit(core, { withRefcounts: true });
    const { file, header, writable } = core;
    const { result, snapshots } = await checkImage(
      { file, header, writer: writable, updateHeader: (change) => core.updateHeader(() => change) },
      options,
    );
    if (options.repair !== undefined) await reload(core);
    if ((core.header.incompatibleFeatures & INCOMPAT_DIRTY) === 0n) core.keepsDirty = false;
    if (snapshots !== undefined) await writeSnapshotTable(core, snapshots);
    return result;
  });
}

/** Forgets what the tables were before they were repaired on disk. */
async function reload(core: Qcow2Core): Promise<void> {
  const { header, geometry } = core;
  core.l1 = await loadTable(core.file, header.l1TableOffset, header.l1Size * 8);
  core.l1View = viewOf(core.l1);
  core.l2.clear();
  core.decompressed.clear();
  core.compressedEnd = 0;
  core.guard = undefined;
  core.isCorrupt = false;
  core.untouchedFrom = geometry.clustersFor(core.file.size);
  const table = await loadTable(
    core.file,
    header.refcountTableOffset,
    header.refcountTableClusters * geometry.clusterSize,
  );
  core.refcounts?.replaceTable({
    tableOffset: header.refcountTableOffset,
    tableClusters: header.refcountTableClusters,
    table,
  });
}
