/** Reads a bitmap's table and data. qcow2 spec, "Bitmap table". */
import { BlockError } from '@emkit/storage';
import type { DirtyBits } from './bitmap-bits.ts';
import { checkTableEntry, type DirectoryEntry } from './bitmap-directory.ts';
import type { Qcow2Core } from './core.ts';
import { hostOffset } from './l2-entry.ts';
import { viewOf } from './u64.ts';

const ALL_ONES = 1;

/** The table's entries, checked. */
export async function loadBitmapTable(core: Qcow2Core, entry: DirectoryEntry): Promise<DataView> {
  const length = entry.tableSize * 8;
  if (entry.tableOffset + length > core.geometry.alignUp(core.file.size))
    throw new BlockError('corrupt-image', `the table of bitmap '${entry.name}' lies past the end of the file`, {
      offset: entry.tableOffset,
    });
  const table = new Uint8Array(length);
  await core.file.read(entry.tableOffset, table);
  const view = viewOf(table);
  for (let at = 0; at < length; at += 8)
    if (!checkTableEntry(view.getUint32(at), view.getUint32(at + 4), core.geometry.clusterSize))
      throw new BlockError('corrupt-image', `the table of bitmap '${entry.name}' has an entry that cannot be right`, {
        offset: entry.tableOffset + at,
      });
  return view;
}

export const tableEntryOffset = (table: DataView, index: number): number =>
  hostOffset(table.getUint32(index * 8), table.getUint32(index * 8 + 4));

export const isAllOnes = (table: DataView, index: number): boolean =>
  tableEntryOffset(table, index) === 0 && (table.getUint32(index * 8 + 4) & ALL_ONES) !== 0;

/** Adds what is set on disk. */
export async function readBitmapInto(core: Qcow2Core, entry: DirectoryEntry, bits: DirtyBits): Promise<void> {
  const { clusterSize } = core.geometry;
  const table = await loadBitmapTable(core, entry);
  const total = Math.ceil(core.size / 2 ** entry.granularityBits);
  for (let index = 0; index < entry.tableSize; index++) {
    const first = index * clusterSize * 8;
    if (first >= total) break;
    if (isAllOnes(table, index)) {
      bits.set(first, Math.min(total, first + clusterSize * 8));
      continue;
    }
    const offset = tableEntryOffset(table, index);
    if (offset === 0) continue;
    const data = new Uint8Array(Math.min(clusterSize, Math.ceil((total - first) / 8)));
    await core.file.read(offset, data);
    bits.orBytes(index * clusterSize, data);
  }
  bits.truncate(total);
}
