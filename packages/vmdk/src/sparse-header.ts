/**
 * SparseExtentHeader of hosted sparse extents, versions 1 to 3, and the footer of stream-optimized ones. Virtual Disk Format 5.0
 * "Hosted Sparse Extents", "Stream-Optimized Compressed". Little-endian; offsets and sizes in sectors.
 */
import { BlockError, type IoOptions, type Storage } from '@emkit/storage';
import { SECTOR, sectorEntry, sectorTable, sectorTableWithZeroed, type GrainLayout } from './grain-layout.ts';
import { MAX_COMPRESSED_GRAIN_BYTES, MAX_DIRECTORY_ENTRIES, MAX_GRAIN_BYTES, MAX_TABLE_ENTRIES } from './limits.ts';

/** "KDMV" */
export const SPARSE_MAGIC = 0x564d444b;

/** Byte offsets of the fields. */
export const Header = {
  magicNumber: 0,
  version: 4,
  flags: 8,
  capacity: 12,
  grainSize: 20,
  descriptorOffset: 28,
  descriptorSize: 36,
  numGTEsPerGT: 44,
  rgdOffset: 48,
  gdOffset: 56,
  overHead: 64,
  uncleanShutdown: 72,
  singleEndLineChar: 73,
  nonEndLineChar: 74,
  doubleEndLineChar1: 75,
  doubleEndLineChar2: 76,
  compressAlgorithm: 77,
} as const;

export const Flags = {
  VALID_NEWLINE_TEST: 1 << 0,
  REDUNDANT_TABLE: 1 << 1,
  ZEROED_GRAIN: 1 << 2,
  COMPRESSED: 1 << 16,
  MARKERS: 1 << 17,
} as const;

export const COMPRESSION_DEFLATE = 1;
/** The four bytes that a transfer as text would change. */
export const NEWLINE_TEST = [0x0a, 0x20, 0x0d, 0x0a] as const;
export const Marker = { EOS: 0, GT: 1, GD: 2, FOOTER: 3 } as const;

export interface SparseHeader {
  readonly layout: GrainLayout;
  readonly version: number;
  readonly flags: number;
  readonly descriptorOffset: number;
  readonly descriptorBytes: number;
  readonly uncleanShutdown: boolean;
  /** False: the file went through a transfer as text, and its data with it. */
  readonly newlinesIntact: boolean;
}

const GD_AT_END_WORD = 0xffffffff;

/** A 64-bit field; Infinity above 2^53. */
function u64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true);
  return value <= Number.MAX_SAFE_INTEGER ? value : Infinity;
}

function bytesOf(view: DataView, at: number): number {
  return u64(view, at) * SECTOR;
}

/** `head`: the first 512 bytes. The size of the file is checked as QEMU does: the metadata must be there. */
export async function readSparseHeader(file: Storage, head: Uint8Array, options?: IoOptions): Promise<SparseHeader> {
  const view = new DataView(head.buffer, head.byteOffset, SECTOR);
  const version = view.getUint32(Header.version, true);
  if (version > 3)
    throw new BlockError('unsupported-feature', `Unsupported VMDK version ${version}`, { offset: 4, field: 'version' });
  const gdAtEnd =
    view.getUint32(Header.gdOffset, true) === GD_AT_END_WORD &&
    view.getUint32(Header.gdOffset + 4, true) === GD_AT_END_WORD;
  const final = gdAtEnd ? await readFooter(file, options) : view;
  return parse(file, view, final, gdAtEnd);
}

/** The last three sectors: footer marker, the header once more with the true gdOffset, end-of-stream marker. */
async function readFooter(file: Storage, options?: IoOptions): Promise<DataView> {
  const bytes = new Uint8Array(3 * SECTOR);
  const at = file.size - bytes.length;
  const wrong = (message: string, offset: number): BlockError =>
    new BlockError('invalid-format', message, { offset: Math.max(0, at) + offset, field: 'footer' });
  if (at < SECTOR) throw wrong('the file ends before the footer', 0);
  await file.read(at, bytes, options);
  const view = new DataView(bytes.buffer);
  const isMarker = (offset: number, size: number, type: number): boolean =>
    u64(view, offset) === size && view.getUint32(offset + 8, true) === 0 && view.getUint32(offset + 12, true) === type;
  if (!isMarker(0, 1, Marker.FOOTER)) throw wrong('the footer marker is missing', 0);
  if (view.getUint32(SECTOR, true) !== SPARSE_MAGIC) throw wrong('the footer has no magic number', SECTOR);
  if (!isMarker(2 * SECTOR, 0, Marker.EOS)) throw wrong('the end-of-stream marker is missing', 2 * SECTOR);
  return new DataView(bytes.buffer, SECTOR, SECTOR);
}

function parse(file: Storage, first: DataView, view: DataView, gdAtEnd: boolean): SparseHeader {
  const version = view.getUint32(Header.version, true);
  const flags = view.getUint32(Header.flags, true);
  const grainBytes = bytesOf(view, Header.grainSize);
  const tableEntries = view.getUint32(Header.numGTEsPerGT, true);
  const capacity = bytesOf(view, Header.capacity);
  const compressed = view.getUint16(Header.compressAlgorithm, true) === COMPRESSION_DEFLATE;
  const overHead = bytesOf(view, Header.overHead);
  const invalid = (message: string, field: keyof typeof Header): BlockError =>
    new BlockError('invalid-format', message, { offset: Header[field], field });

  if (tableEntries > MAX_TABLE_ENTRIES) throw invalid('L2 table size too big', 'numGTEsPerGT');
  if (tableEntries === 0 || grainBytes === 0) throw invalid('L1 entry size is invalid', 'grainSize');
  if (grainBytes > MAX_GRAIN_BYTES) throw invalid('Invalid granularity, image may be corrupt', 'grainSize');
  if (compressed && grainBytes > MAX_COMPRESSED_GRAIN_BYTES)
    throw invalid(`compressed grains of ${grainBytes} bytes are not supported`, 'grainSize');
  if (capacity > Number.MAX_SAFE_INTEGER) throw invalid('the capacity is beyond 2^53 bytes', 'capacity');
  const directoryEntries = Math.ceil(capacity / (grainBytes * tableEntries));
  if (directoryEntries > MAX_DIRECTORY_ENTRIES) throw invalid('L1 size too big', 'capacity');
  const directoryOffset = bytesOf(view, Header.gdOffset);
  const redundantOffset = (flags & Flags.REDUNDANT_TABLE) === 0 ? 0 : bytesOf(view, Header.rgdOffset);
  const isFar = (offset: number): boolean => offset + directoryEntries * 4 > Number.MAX_SAFE_INTEGER;
  if (isFar(directoryOffset)) throw invalid('the grain directory is beyond 2^53 bytes', 'gdOffset');
  if (isFar(redundantOffset)) throw invalid('the grain directory is beyond 2^53 bytes', 'rgdOffset');
  if (!(file.size >= overHead)) throw invalid(`File truncated, expecting at least ${overHead} bytes`, 'overHead');

  const newlines = NEWLINE_TEST.map((_, i) => first.getUint8(Header.singleEndLineChar + i));
  const zeroedGrains = (flags & Flags.ZEROED_GRAIN) !== 0;
  return {
    layout: {
      format: 'hosted',
      capacity,
      grainBytes,
      tableEntries,
      directoryOffset,
      directoryEntries,
      redundantOffset,
      entryBytes: 4,
      dataStart: overHead,
      compressed,
      markers: (flags & Flags.MARKERS) !== 0,
      zeroedGrains,
      readOnlyReason: readOnlyReason(version, compressed, gdAtEnd, newlines),
      directoryEntry: sectorEntry,
      decodeTable: zeroedGrains ? sectorTableWithZeroed : sectorTable,
    },
    version,
    flags,
    descriptorOffset: bytesOf(first, Header.descriptorOffset),
    descriptorBytes: bytesOf(first, Header.descriptorSize),
    uncleanShutdown: first.getUint8(Header.uncleanShutdown) !== 0,
    newlinesIntact: areIntact(newlines),
  };
}

/** Some writers leave the four bytes zero. */
function areIntact(newlines: readonly number[]): boolean {
  return NEWLINE_TEST.every((byte, i) => newlines[i] === byte) || newlines.every((byte) => byte === 0);
}

function readOnlyReason(
  version: number,
  compressed: boolean,
  gdAtEnd: boolean,
  newlines: readonly number[],
): string | undefined {
  // version 3 may come with changed block tracking, which a write would make stale
  if (version === 3 && !compressed) return 'VMDK version 3 must be read only';
  if (gdAtEnd) return 'a finished stream (grain directory at its end) must be read only';
  if (!areIntact(newlines)) return 'the file was damaged by a transfer as text, so it must be read only';
  return undefined;
}
