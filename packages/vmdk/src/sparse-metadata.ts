/**
 * The metadata of a new hosted sparse extent: header, room for the descriptor, then the redundant directory with its tables, then the
 * directory with its own. All tables are there from the beginning. Virtual Disk Format 5.0 "Hosted Sparse Extents".
 */
import { BlockError, checkAborted, type IoOptions, type WritableStorage } from '@emkit/storage';
import { SECTOR } from './grain-layout.ts';
import { MAX_DIRECTORY_ENTRIES } from './limits.ts';
import { COMPRESSION_DEFLATE, Flags, Header, NEWLINE_TEST, SPARSE_MAGIC } from './sparse-header.ts';

/** Sectors for the descriptor, behind the header. */
export const DESCRIPTOR_SECTORS = 20;
const GRAIN_SECTORS = 128;
const TABLE_ENTRIES = 512;
const TABLE_SECTORS = (TABLE_ENTRIES * 4) / SECTOR;
/** Entries of a directory that are written at once. */
const CHUNK_ENTRIES = 65536;

/** `descriptor`: embedded; extents of a split disk have none. The file is truncated first. */
export async function writeSparseMetadata(
  file: WritableStorage,
  sectors: number,
  kind: { readonly isCompressed: boolean; readonly zeroedGrains: boolean },
  descriptor: Uint8Array | undefined,
  options?: IoOptions,
): Promise<void> {
  const tables = Math.ceil(Math.ceil(sectors / GRAIN_SECTORS) / TABLE_ENTRIES);
  if (tables > MAX_DIRECTORY_ENTRIES)
    throw new BlockError('invalid-option', 'L1 size too big: the disk is too large for this format', { field: 'size' });
  const directorySectors = Math.ceil((tables * 4) / SECTOR);
  const redundant = 1 + DESCRIPTOR_SECTORS;
  const primary = redundant + directorySectors + tables * TABLE_SECTORS;
  const end = primary + directorySectors + tables * TABLE_SECTORS;
  const overHead = Math.ceil(end / GRAIN_SECTORS) * GRAIN_SECTORS;

  const header = new Uint8Array(SECTOR);
  const view = new DataView(header.buffer);
  const u64 = (at: number, value: number): void => {
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 0x100000000), true);
  };
  const flags =
    Flags.VALID_NEWLINE_TEST |
    Flags.REDUNDANT_TABLE |
    (kind.zeroedGrains ? Flags.ZEROED_GRAIN : 0) |
    (kind.isCompressed ? Flags.COMPRESSED | Flags.MARKERS : 0);
  view.setUint32(Header.magicNumber, SPARSE_MAGIC, true);
  view.setUint32(Header.version, version(kind), true);
  view.setUint32(Header.flags, flags, true);
  u64(Header.capacity, sectors);
  u64(Header.grainSize, GRAIN_SECTORS);
  // QEMU writes both for extents of split disks too, whose room stays empty
  u64(Header.descriptorOffset, 1);
  u64(Header.descriptorSize, DESCRIPTOR_SECTORS);
  view.setUint32(Header.numGTEsPerGT, TABLE_ENTRIES, true);
  u64(Header.rgdOffset, redundant);
  u64(Header.gdOffset, primary);
  u64(Header.overHead, overHead);
  header.set(NEWLINE_TEST, Header.singleEndLineChar);
  view.setUint16(Header.compressAlgorithm, kind.isCompressed ? COMPRESSION_DEFLATE : 0, true);

  await file.truncate(0, options);
  await file.truncate(overHead * SECTOR, options);
  for (const directory of [redundant, primary])
    await writeDirectory(file, directory * SECTOR, tables, directory + directorySectors, options);
  if (descriptor !== undefined) await file.write(SECTOR, descriptor, options);
  // last: what was cut off before is no image yet
  await file.write(0, header, options);
}

function version(kind: { readonly isCompressed: boolean; readonly zeroedGrains: boolean }): number {
  if (kind.isCompressed) return 3;
  return kind.zeroedGrains ? 2 : 1;
}

async function writeDirectory(
  file: WritableStorage,
  offset: number,
  tables: number,
  firstTable: number,
  options?: IoOptions,
): Promise<void> {
  for (let done = 0; done < tables; done += CHUNK_ENTRIES) {
    checkAborted(options?.signal);
    const count = Math.min(CHUNK_ENTRIES, tables - done);
    const bytes = new Uint8Array(count * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) view.setUint32(i * 4, firstTable + (done + i) * TABLE_SECTORS, true);
    await file.write(offset + done * 4, bytes, options);
  }
}
