/**
 * Zero clusters of internal snapshots made into what version 2 has: nothing where no backing file shows through, else a cluster of zeroes. A table that
 * several snapshots, or the disk too, refer to is changed once, in place: it reads the same before and after.
 *
 * With the lock, and nobody inside. Crash safety: as for all tables, data and counts are durable before an entry refers to them, and what was given up is
 * freed after; the COPIED flags are made to fit at the end, under the dirty mark.
 */
import { allocateClusters, freeEntry, makeRoom, refcounts } from './allocation.ts';
import { commit, hasChanges } from './commit.ts';
import type { Qcow2Core } from './core.ts';
import { entryType, ZERO_ALLOC, ZERO_PLAIN } from './l2-entry.ts';
import { MAX_HOST_OFFSET } from './limits.ts';
import { loadTable } from './load.ts';
import { checkSnapshotL1, type Snapshot } from './snapshot-table.ts';
import { fitCopiedFlags, l2Offset } from './snapshot-tree.ts';
import { underDirtyMark } from './snapshot-write.ts';
import { TWO_32, viewOf } from './u64.ts';

export async function expandSnapshotZeroes(core: Qcow2Core, snapshots: readonly Snapshot[]): Promise<void> {
  await settleLocked(core);
  await underDirtyMark(core, async () => {
    const seen = new Set<number>();
    for (const snapshot of snapshots) {
      checkSnapshotL1(snapshot, core.geometry.clusterSize, MAX_HOST_OFFSET);
      const l1 = viewOf(await loadTable(core.file, snapshot.l1TableOffset, snapshot.l1Size * 8));
      for (let index = 0; index < snapshot.l1Size; index++) {
        const table = l2Offset(core, l1, index);
        if (table === 0 || seen.has(table)) continue;
        seen.add(table);
        await expandTable(core, table, index * core.geometry.l1Coverage);
      }
    }
    await settleLocked(core);
    await fitCopiedFlags(core);
    await settleLocked(core);
  });
}

/** `guest`: what the table maps from. */
async function expandTable(core: Qcow2Core, table: number, guest: number): Promise<void> {
  const { geometry, hasBacking } = core;
  const { pieceBytes, entrySize, clusterSize } = geometry;
  // a count of 0 is wrong, and `check`'s to find
  const sharers = Math.max(1, await refcounts(core).get(table / clusterSize));
  for (let part = 0; part < geometry.pieces; part++) {
    const offset = table + part * pieceBytes;
    await makeRoom(core);
    const zeroes: { at: number; host: number }[] = [];
    const { view } = await core.l2.load(offset);
    for (let at = 0; at < pieceBytes; at += entrySize) {
      const type = entryType(view, at, 0, false, false);
      if (type === ZERO_PLAIN || type === ZERO_ALLOC) zeroes.push({ at, host: 0 });
    }
    if (zeroes.length === 0) continue;
    for (const zero of hasBacking ? zeroes : []) {
      const cluster = part * geometry.pieceEntries + zero.at / entrySize;
      zero.host = await zeroCluster(core, guest + cluster * clusterSize, sharers);
    }
    // the piece may have left the cache meanwhile
    const piece = await core.l2.load(offset);
    for (const { at, host } of zeroes) {
      for (let i = 0; i < sharers; i++)
        freeEntry(core, piece.view.getUint32(at), piece.view.getUint32(at + 4), core.options.passDiscardSnapshot);
      piece.view.setUint32(at, Math.floor(host / TWO_32));
      piece.view.setUint32(at + 4, host % TWO_32);
    }
    const last = zeroes[zeroes.length - 1] as { at: number };
    core.l2.markDirty(piece, (zeroes[0] as { at: number }).at, last.at + entrySize);
  }
}

/** A new cluster that reads as zeroes there, with a reference from each of the trees. */
async function zeroCluster(core: Qcow2Core, guest: number, references: number): Promise<number> {
  const { clusterSize } = core.geometry;
  const { start } = await allocateClusters(core, 1, 1);
  for (let i = 1; i < references; i++) await refcounts(core).add(start, 1, 1);
  const host = start * clusterSize;
  const bytes = new Uint8Array(clusterSize);
  await core.cipher?.encrypt(bytes, guest, host);
  core.isDataPending = true;
  await core.checkWritable().write(host, bytes);
  return host;
}

async function settleLocked(core: Qcow2Core): Promise<void> {
  do await commit(core, { withRefcounts: true });
  while (hasChanges(core));
}
