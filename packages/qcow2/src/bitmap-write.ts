/**
 * Writing bitmaps back. On disk they are "in use" all the while, so their data is changed in place; a changed bitmap gets a new table, and the
 * directory a new place. The header's extension is changed while the autoclear bit is off: a crash in between loses bitmaps, never more.
 *
 * Spec: qcow2, "Bitmaps extension", "Bitmap directory", autoclear bit 0.
 */
import { BlockError, isBlockError, isZero } from '@emkit/storage';
import { allocateClusters, freeLater } from './allocation.ts';
import type { DirtyBits } from './bitmap-bits.ts';
import {
  encodeBitmapDirectory,
  encodeBitmapsExtension,
  FLAG_IN_USE,
  readBitmapsExtension,
  tableSizeFor,
  type DirectoryEntry,
} from './bitmap-directory.ts';
import { isAllOnes, loadBitmapTable, tableEntryOffset } from './bitmap-read.ts';
import { commit } from './commit.ts';
import { AUTOCLEAR_BITMAPS, Extension } from './constants.ts';
import type { Qcow2Core } from './core.ts';
import { withExtension } from './header-extensions.ts';
import { setU64, viewOf } from './u64.ts';

export interface BitmapState {
  /** As it is to be. */
  entry: DirectoryEntry;
  /** As it stands on disk; undefined: it is new. */
  readonly stored: DirectoryEntry | undefined;
  /** Was in use when the image was opened: its content is not known. */
  readonly isInconsistent: boolean;
  /** What stands on disk is no part of it any more. */
  isCleared: boolean;
  isChanged: boolean;
  /** What is set beside what stands on disk. */
  readonly bits: DirtyBits;
}

/** Before the first write: only the flags change, so in place. */
export async function markInUse(core: Qcow2Core, entries: readonly DirectoryEntry[]): Promise<void> {
  await writeInPlace(
    core,
    entries.map((entry) => ({ ...entry, flags: entry.flags | FLAG_IN_USE })),
  );
}

async function writeInPlace(core: Qcow2Core, entries: readonly DirectoryEntry[]): Promise<void> {
  const extension = readBitmapsExtension(core.header);
  if (extension === undefined) return;
  const file = core.checkWritable();
  const bytes = encodeBitmapDirectory(entries);
  if (bytes.length !== extension.directorySize)
    throw new BlockError('corrupt-image', 'the bitmap directory has unused bytes', {
      offset: extension.directoryOffset,
    });
  await file.write(extension.directoryOffset, bytes);
  await file.flush();
}

/** With the lock, and nobody inside. */
export async function storeBitmaps(
  core: Qcow2Core,
  bitmaps: readonly BitmapState[],
  removed: readonly DirectoryEntry[],
): Promise<void> {
  const file = core.checkWritable();
  const old = readBitmapsExtension(core.header);
  if (old !== undefined && removed.length === 0 && !bitmaps.some((bitmap) => bitmap.isChanged)) {
    await writeInPlace(core, bitmaps.map(closedEntry));
    return;
  }
  const frees: [cluster: number, count: number][] = [];
  const entries: DirectoryEntry[] = [];
  for (const bitmap of bitmaps)
    entries.push(
      bitmap.isChanged && !bitmap.isInconsistent ? await storeBitmap(core, bitmap, frees) : closedEntry(bitmap),
    );
  for (const entry of removed) await dropBitmap(core, entry, frees);
  const directory = encodeBitmapDirectory(entries);
  const { clusterSize } = core.geometry;
  let offset = 0;
  if (entries.length > 0) {
    const clusters = core.geometry.clustersFor(directory.length);
    const { start } = await allocateClusters(core, clusters, clusters);
    offset = start * clusterSize;
    await file.write(offset, directory);
  }
  await commit(core, { withRefcounts: true });
  await switchDirectory(
    core,
    entries.length === 0 ? undefined : { count: entries.length, size: directory.length, offset },
  );
  if (old !== undefined) frees.push([old.directoryOffset / clusterSize, core.geometry.clustersFor(old.directorySize)]);
  for (const [cluster, count] of frees) freeLater(core, cluster, count, true);
  await commit(core, { withRefcounts: true });
}

async function switchDirectory(
  core: Qcow2Core,
  directory: { count: number; size: number; offset: number } | undefined,
): Promise<void> {
  const file = core.checkWritable();
  const data =
    directory === undefined
      ? undefined
      : encodeBitmapsExtension({
          count: directory.count,
          directorySize: directory.size,
          directoryOffset: directory.offset,
        });
  if ((core.header.autoclearFeatures & AUTOCLEAR_BITMAPS) !== 0n) {
    await core.updateHeader((header) => ({ autoclearFeatures: header.autoclearFeatures & ~AUTOCLEAR_BITMAPS }));
    await file.flush();
  }
  await core.updateHeader((header) => ({ extensions: withExtension(header.extensions, Extension.BITMAPS, data) }));
  await file.flush();
  if (data === undefined) return;
  await core.updateHeader((header) => ({ autoclearFeatures: header.autoclearFeatures | AUTOCLEAR_BITMAPS }));
  await file.flush();
}

/** One whose content is not known stays in use. */
const closedEntry = ({ entry, isInconsistent }: BitmapState): DirectoryEntry => ({
  ...entry,
  flags: isInconsistent ? entry.flags | FLAG_IN_USE : entry.flags & ~FLAG_IN_USE,
});

/** Writes data and a new table; gives the entry. */
async function storeBitmap(
  core: Qcow2Core,
  bitmap: BitmapState,
  frees: [cluster: number, count: number][],
): Promise<DirectoryEntry> {
  const file = core.checkWritable();
  const { geometry } = core;
  const { clusterSize } = geometry;
  const tableSize = tableSizeFor(core.size, bitmap.entry.granularityBits, clusterSize);
  const table = new Uint8Array(tableSize * 8);
  const view = viewOf(table);
  const { stored } = bitmap;
  if (stored !== undefined) {
    if (bitmap.isCleared) await dropData(core, stored, frees);
    else {
      const old = await loadBitmapTable(core, stored);
      table.set(new Uint8Array(old.buffer, old.byteOffset, Math.min(old.byteLength, table.length)));
    }
    frees.push([stored.tableOffset / clusterSize, geometry.clustersFor(stored.tableSize * 8)]);
  }
  for (const index of bitmap.bits.pieces(clusterSize)) {
    if (index >= tableSize || isAllOnes(view, index)) continue;
    let offset = tableEntryOffset(view, index);
    if (bitmap.bits.isFull(index * clusterSize, clusterSize)) {
      // qcow2 spec, "Bitmap table": bit 0 without an offset says that all bits are set
      if (offset !== 0) frees.push([offset / clusterSize, 1]);
      setU64(view, index * 8, 1);
      continue;
    }
    const data = new Uint8Array(clusterSize);
    if (offset !== 0) await file.read(offset, data);
    if (!bitmap.bits.orInto(index * clusterSize, data) || isZero(data)) continue;
    if (offset === 0) offset = (await allocateClusters(core, 1, 1)).start * clusterSize;
    await file.write(offset, data);
    setU64(view, index * 8, offset);
  }
  const clusters = geometry.clustersFor(table.length);
  const { start } = await allocateClusters(core, clusters, clusters);
  await file.write(start * clusterSize, table);
  return { ...bitmap.entry, tableSize, flags: bitmap.entry.flags & ~FLAG_IN_USE, tableOffset: start * clusterSize };
}

async function dropBitmap(
  core: Qcow2Core,
  entry: DirectoryEntry,
  frees: [cluster: number, count: number][],
): Promise<void> {
  try {
    await dropData(core, entry, frees);
  } catch (error) {
    // a table that is broken: its clusters leak, which a check puts right
    if (!isBlockError(error, 'corrupt-image')) throw error;
    return;
  }
  const { clusterSize } = core.geometry;
  frees.push([entry.tableOffset / clusterSize, core.geometry.clustersFor(entry.tableSize * 8)]);
}

async function dropData(
  core: Qcow2Core,
  entry: DirectoryEntry,
  frees: [cluster: number, count: number][],
): Promise<void> {
  const table = await loadBitmapTable(core, entry);
  for (let index = 0; index < entry.tableSize; index++) {
    const offset = tableEntryOffset(table, index);
    if (offset !== 0) frees.push([offset / core.geometry.clusterSize, 1]);
  }
}
