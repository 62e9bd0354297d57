/**
 * Check and repair of an image as it stands on disk: references are counted, compared with the refcounts, and what is wrong is put right
 * when asked for. Counts, order of findings and their words are those of `qemu-img check`.
 *
 * The caller sees to it that nobody else is in the image and that nothing waits in memory to be written; after a repair, that tables in
 * memory are read again.
 */
import { BlockError, type CheckOptions, type CheckResult } from '@emkit/storage';
import { checkCopied } from './check-copied.ts';
import { countReferences, type Counted } from './check-count.ts';
import { compareRefcounts, DiskRefcounts, type Fix } from './check-refcounts.ts';
import { CheckState, type CheckTarget } from './check-state.ts';
import { Extension, Header, INCOMPAT_CORRUPT, INCOMPAT_DIRTY } from './constants.ts';
import { withExtension } from './header-extensions.ts';
import { MAX_L1_BYTES } from './limits.ts';
import { rebuildRefcounts } from './repair-rebuild.ts';
import { completeSnapshot, readSnapshotTable, type Snapshot } from './snapshot-table.ts';

export interface CheckOutcome {
  readonly result: CheckResult;
  /** The snapshots as they are to be, when their table must be written anew; the counts say already that it is repaired. */
  readonly snapshots: readonly Snapshot[] | undefined;
}

export async function checkImage(target: CheckTarget, options: CheckOptions = {}): Promise<CheckOutcome> {
  const fix: Fix = options.repair ?? 'none';
  if (fix !== 'none' && target.writer === undefined)
    throw new BlockError('read-only', 'the image is open for reading only');
  const state = new CheckState(target, options.report, options.signal);
  const { usable, repaired } = await usableSnapshots(state, fix);
  const counted = await countReferences(state, usable);
  const highest = await checkRefcounts(state, counted, fix, target);
  if (fix !== 'none' && state.checkErrors === 0 && state.corruptions === 0) await markConsistent(state, target);
  const { clusterSize } = state.geometry;
  const result = {
    corruptions: state.corruptions,
    corruptionsFixed: state.corruptionsFixed,
    leaks: state.leaks,
    leaksFixed: state.leaksFixed,
    checkErrors: state.checkErrors,
    imageEndOffset: (highest + 1) * clusterSize,
    totalClusters: Math.ceil(state.header.size / clusterSize),
    allocatedClusters: state.allocated,
    fragmentedClusters: state.fragmented,
    compressedClusters: state.compressed,
  };
  return { result, snapshots: repaired };
}

/** Gives the highest cluster in use. */
async function checkRefcounts(state: CheckState, counted: Counted, fix: Fix, target: CheckTarget): Promise<number> {
  const { writer } = target;
  const before = { corruptions: state.corruptions, leaks: state.leaks };
  let disk = await DiskRefcounts.load(state);
  const first = await compareRefcounts(state, disk, counted.counts, 'none', undefined);
  let { highest } = first;
  const needsRebuild = first.needsRebuild || counted.needsRebuild;
  if (needsRebuild && fix === 'all') {
    state.line('Rebuilding refcount structure');
    const place = await rebuildRefcounts(state, counted, target);
    // what was wrong with the old structures is gone with them, and unreadable counts with it
    state.corruptionsFixed += state.corruptions - counted.structural;
    state.leaksFixed += state.leaks - before.leaks;
    state.corruptions = counted.structural;
    state.leaks = before.leaks;
    state.checkErrors -= first.unreadable;
    disk = await DiskRefcounts.load(state, { ...state.header, ...place });
    for (const page of counted.counts.pages())
      for (let c = page; c < page + counted.counts.pageClusters; c++)
        if (c > highest && counted.counts.get(c) > 0) highest = c;
  } else if (fix !== 'none' && needsRebuild) {
    state.line('ERROR need to rebuild refcount structures');
    throw new BlockError('corrupt-image', 'Check failed: Input/output error', {
      hint: 'the refcount structures must be rebuilt: repair "all"',
    });
  } else if (fix !== 'none' && (state.leaks > before.leaks || state.corruptions > before.corruptions)) {
    state.corruptions = before.corruptions;
    state.leaks = before.leaks;
    ({ highest } = await compareRefcounts(state, disk, counted.counts, fix, writer));
    await writer?.flush();
    disk = await DiskRefcounts.load(state);
  }
  const isSafe = state.checkErrors === 0 && state.corruptions === 0 && state.leaks === 0;
  const repairsFlags = fix === 'all' || (fix === 'leaks' && isSafe);
  await checkCopied(state, disk, repairsFlags ? writer : undefined);
  if (repairsFlags) await writer?.flush();
  return highest;
}

/** `usable`: those whose L1 tables can be looked at. `repaired`: what the table must be rewritten to. */
async function usableSnapshots(
  state: CheckState,
  fix: Fix,
): Promise<{ usable: readonly Snapshot[]; repaired: readonly Snapshot[] | undefined }> {
  const { header, geometry } = state;
  const { snapshots, faults } = await readSnapshotTable(state.file, header, true);
  const isRepairable = fix === 'all';
  if (faults.overhanging > 0 && !isRepairable)
    throw new BlockError('invalid-format', 'ERROR snapshot table too large', {
      field: 'nb_snapshots',
      offset: Header.NB_SNAPSHOTS,
      hint: `You can force-remove all ${faults.overhanging} overhanging snapshots with qemu-img check -r all`,
    });
  const word = isRepairable ? 'Repairing' : 'ERROR';
  const lines: string[] = [];
  for (const { index, bytes } of faults.oversized)
    lines.push(
      `${isRepairable ? 'Discarding' : 'ERROR'} too much extra metadata in snapshot table entry ${index} (${bytes} > 1024)`,
    );
  for (const index of faults.incomplete) lines.push(`${word} snapshot table entry ${index} is incomplete`);
  if (faults.overhanging > 0) lines.unshift(`Discarding ${faults.overhanging} overhanging snapshots`);
  for (const line of lines) state.line(line);
  if (isRepairable) state.corruptionsFixed += lines.length;
  else state.corruptions += lines.length;
  const usable = snapshots.filter((snapshot) => {
    const name = `ERROR snapshot ${snapshot.id} (${snapshot.name})`;
    if (snapshot.l1TableOffset % geometry.clusterSize !== 0) {
      state.corruption(
        `${name} l1_offset=0x${snapshot.l1TableOffset.toString(16)}: L1 table is not cluster aligned; snapshot table entry corrupted`,
      );
      return false;
    }
    if (snapshot.l1Size * 8 <= MAX_L1_BYTES) return true;
    state.corruption(
      `${name} l1_size=0x${snapshot.l1Size.toString(16)}: L1 table is too large; snapshot table entry corrupted`,
    );
    return false;
  });
  return { usable, repaired: isRepairable && lines.length > 0 ? snapshots.map(completeSnapshot) : undefined };
}

/** No longer dirty, no longer corrupt. */
async function markConsistent(state: CheckState, target: CheckTarget): Promise<void> {
  const { header } = state;
  const incompatibleFeatures = header.incompatibleFeatures & ~(INCOMPAT_DIRTY | INCOMPAT_CORRUPT);
  const extensions = withExtension(header.extensions, Extension.UNFINISHED, undefined);
  if (incompatibleFeatures === header.incompatibleFeatures && extensions.length === header.extensions.length) return;
  await target.writer?.flush();
  await target.updateHeader?.({ incompatibleFeatures, extensions });
  await target.writer?.flush();
}
