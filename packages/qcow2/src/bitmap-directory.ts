/**
 * The bitmap directory: its extension in the header, its entries, the entries of bitmap tables; read with every field checked, and written.
 *
 * Spec: qcow2, "Bitmaps extension", "Bitmaps".
 */
import { BlockError, type Storage } from '@emkit/storage';
import { AUTOCLEAR_BITMAPS, Extension } from './constants.ts';
import type { Qcow2Header } from './header.ts';
import { decodeString, encodeString, findExtension } from './header-extensions.ts';
import {
  MAX_BITMAP_BYTES,
  MAX_BITMAP_DIRECTORY_BYTES,
  MAX_BITMAP_NAME_BYTES,
  MAX_BITMAPS,
  MAX_GRANULARITY_BITS,
  MAX_HOST_OFFSET,
  MIN_GRANULARITY_BITS,
} from './limits.ts';
import { getU64, setU64, viewOf } from './u64.ts';

/** Byte offsets within a directory entry. */
const Entry = {
  TABLE_OFFSET: 0,
  TABLE_SIZE: 8,
  FLAGS: 12,
  TYPE: 16,
  GRANULARITY_BITS: 17,
  NAME_SIZE: 18,
  EXTRA_DATA_SIZE: 20,
  SIZE: 24,
} as const;
export const FLAG_IN_USE = 1;
export const FLAG_AUTO = 2;
export const FLAG_EXTRA_COMPATIBLE = 4;
const FLAGS_KNOWN = FLAG_IN_USE | FLAG_AUTO | FLAG_EXTRA_COMPATIBLE;
const TYPE_DIRTY = 1;
const EXTENSION_BYTES = 24;

export interface BitmapsExtension {
  readonly count: number;
  readonly directorySize: number;
  readonly directoryOffset: number;
}

export interface DirectoryEntry {
  readonly tableOffset: number;
  /** Entries. */
  readonly tableSize: number;
  readonly flags: number;
  readonly granularityBits: number;
  readonly name: string;
  readonly extra: Uint8Array;
}

const invalid = (message: string, field: string, offset?: number): BlockError =>
  new BlockError('invalid-format', message, { field, offset });

/** undefined: there are no bitmaps, or somebody has written to the image who did not know of them, so that they say nothing. */
export function readBitmapsExtension(header: Qcow2Header): BitmapsExtension | undefined {
  if (header.version < 3 || (header.autoclearFeatures & AUTOCLEAR_BITMAPS) === 0n) return undefined;
  const data = findExtension(header.extensions, Extension.BITMAPS);
  if (data === undefined) return undefined;
  if (data.length !== EXTENSION_BYTES) throw invalid('bitmaps_ext: Invalid extension length', 'bitmaps extension');
  const view = viewOf(data);
  const count = view.getUint32(0);
  const directorySize = getU64(view, 8);
  const directoryOffset = getU64(view, 16);
  if (view.getUint32(4) !== 0) throw invalid('bitmaps_ext: Reserved field is not zero', 'reserved');
  if (count > MAX_BITMAPS)
    throw invalid(
      `bitmaps_ext: image has ${count} bitmaps, exceeding the QEMU supported maximum of ${MAX_BITMAPS}`,
      'nb_bitmaps',
    );
  if (count === 0) throw invalid('bitmaps_ext: found bitmaps extension with zero bitmaps', 'nb_bitmaps');
  if (directoryOffset % 2 ** header.clusterBits !== 0 || directoryOffset > MAX_HOST_OFFSET)
    throw invalid('bitmaps_ext: invalid bitmap directory offset', 'bitmap_directory_offset');
  if (directorySize > MAX_BITMAP_DIRECTORY_BYTES)
    throw invalid(
      `bitmaps_ext: bitmap directory size (${directorySize}) exceeds the maximum supported size (${MAX_BITMAP_DIRECTORY_BYTES})`,
      'bitmap_directory_size',
    );
  return { count, directorySize, directoryOffset };
}

export function encodeBitmapsExtension(extension: BitmapsExtension): Uint8Array {
  const data = new Uint8Array(EXTENSION_BYTES);
  const view = viewOf(data);
  view.setUint32(0, extension.count);
  setU64(view, 8, extension.directorySize);
  setU64(view, 16, extension.directoryOffset);
  return data;
}

export async function loadBitmapDirectory(file: Storage, header: Qcow2Header): Promise<DirectoryEntry[]> {
  const extension = readBitmapsExtension(header);
  if (extension === undefined) return [];
  const { directoryOffset, directorySize, count } = extension;
  if (directoryOffset + directorySize > file.size)
    throw invalid('bitmap directory lies past the end of the file', 'bitmap_directory_offset', directoryOffset);
  const bytes = new Uint8Array(directorySize);
  await file.read(directoryOffset, bytes);
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    if (entries.length >= count) throw invalid('More bitmaps found than specified in header extension', 'nb_bitmaps');
    const { entry, length } = parseEntry(bytes.subarray(at), header, directoryOffset + at);
    if (entries.some((other) => other.name === entry.name))
      throw invalid(`Duplicate bitmap name '${entry.name}'`, 'name', directoryOffset + at);
    entries.push(entry);
    at += length;
  }
  if (entries.length !== count) throw invalid('Less bitmaps found than specified in header extension', 'nb_bitmaps');
  return entries;
}

function parseEntry(bytes: Uint8Array, header: Qcow2Header, offset: number): { entry: DirectoryEntry; length: number } {
  const clusterSize = 2 ** header.clusterBits;
  if (bytes.length < Entry.SIZE) throw invalid('Broken bitmap directory', 'bitmap directory', offset);
  const view = viewOf(bytes);
  const tableOffset = getU64(view, Entry.TABLE_OFFSET);
  const tableSize = view.getUint32(Entry.TABLE_SIZE);
  const flags = view.getUint32(Entry.FLAGS);
  const granularityBits = view.getUint8(Entry.GRANULARITY_BITS);
  const nameSize = view.getUint16(Entry.NAME_SIZE);
  const extraSize = view.getUint32(Entry.EXTRA_DATA_SIZE);
  const length = Math.ceil((Entry.SIZE + nameSize + extraSize) / 8) * 8;
  if (length > bytes.length) throw invalid('Broken bitmap directory', 'bitmap directory', offset);
  const name = decodeString(bytes.subarray(Entry.SIZE + extraSize, Entry.SIZE + extraSize + nameSize));
  const isSane =
    nameSize > 0 &&
    nameSize <= MAX_BITMAP_NAME_BYTES &&
    tableSize > 0 &&
    tableOffset > 0 &&
    tableOffset <= MAX_HOST_OFFSET &&
    tableOffset % clusterSize === 0 &&
    tableSize * clusterSize <= MAX_BITMAP_BYTES + clusterSize &&
    granularityBits >= MIN_GRANULARITY_BITS &&
    granularityBits <= MAX_GRANULARITY_BITS &&
    (flags & ~FLAGS_KNOWN) === 0 &&
    view.getUint8(Entry.TYPE) === TYPE_DIRTY;
  // a table that does not fit the disk is no fault of one that is in use: the disk may have been resized behind it
  const needed = tableSizeFor(header.size, granularityBits, clusterSize);
  if (!isSane || ((flags & FLAG_IN_USE) === 0 && tableSize !== needed))
    throw invalid(`bitmap '${name}' doesn't satisfy the constraints`, 'bitmap directory', offset);
  if (extraSize !== 0 && (flags & FLAG_EXTRA_COMPATIBLE) === 0)
    throw new BlockError('unsupported-feature', `bitmap '${name}' has extra data that is not understood`, { offset });
  const extra = bytes.slice(Entry.SIZE, Entry.SIZE + extraSize);
  return { entry: { tableOffset, tableSize, flags, granularityBits, name, extra }, length };
}

/** Entries of a bitmap's table: its clusters. */
export function tableSizeFor(diskSize: number, granularityBits: number, clusterSize: number): number {
  const bits = Math.ceil(diskSize / 2 ** granularityBits);
  return Math.max(1, Math.ceil(Math.ceil(bits / 8) / clusterSize));
}

export function encodeBitmapDirectory(entries: readonly DirectoryEntry[]): Uint8Array {
  const parts = entries.map((entry) => {
    const name = encodeString(entry.name);
    const bytes = new Uint8Array(Math.ceil((Entry.SIZE + name.length + entry.extra.length) / 8) * 8);
    const view = viewOf(bytes);
    setU64(view, Entry.TABLE_OFFSET, entry.tableOffset);
    view.setUint32(Entry.TABLE_SIZE, entry.tableSize);
    view.setUint32(Entry.FLAGS, entry.flags);
    view.setUint8(Entry.TYPE, TYPE_DIRTY);
    view.setUint8(Entry.GRANULARITY_BITS, entry.granularityBits);
    view.setUint16(Entry.NAME_SIZE, name.length);
    view.setUint32(Entry.EXTRA_DATA_SIZE, entry.extra.length);
    bytes.set(entry.extra, Entry.SIZE);
    bytes.set(name, Entry.SIZE + entry.extra.length);
    return bytes;
  });
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > MAX_BITMAP_DIRECTORY_BYTES) throw new BlockError('no-space', 'the bitmap directory is full');
  const directory = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    directory.set(part, at);
    at += part.length;
  }
  return directory;
}

const TABLE_RESERVED_HI = 0xff000000;
const TABLE_RESERVED_LO = 0x1fe;

/** An entry of a bitmap table: all zeroes, all ones, or a cluster. */
export function checkTableEntry(hi: number, lo: number, clusterSize: number): boolean {
  if ((hi & TABLE_RESERVED_HI) !== 0 || (lo & TABLE_RESERVED_LO) !== 0) return false;
  const offset = (hi & 0x00ffffff) * 2 ** 32 + ((lo & 0xfffffe00) >>> 0);
  if (offset === 0) return true;
  return (lo & 1) === 0 && offset % clusterSize === 0 && offset <= MAX_HOST_OFFSET;
}
