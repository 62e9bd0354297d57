/**
 * The header: QED spec, "Header". Parsed and checked in one pass, before anything is allocated from it; changed by patching single
 * fields, so that what this code does not know (compat feature bits) stays as it was. All fields are little-endian.
 */
import { BlockError } from '@emkit/storage';
import { MAX_BACKING_NAME, MAX_CLUSTER_SIZE, MAX_IMAGE_SIZE, MAX_TABLE_SIZE, MIN_CLUSTER_SIZE } from './limits.ts';

/** "QED\0". */
export const QED_MAGIC = 0x00444551;
export const HEADER_SIZE = 64;

/** QED spec, "Header": byte offsets. */
export const Field = {
  MAGIC: 0,
  CLUSTER_SIZE: 4,
  TABLE_SIZE: 8,
  HEADER_SIZE: 12,
  FEATURES: 16,
  COMPAT_FEATURES: 24,
  AUTOCLEAR_FEATURES: 32,
  L1_TABLE_OFFSET: 40,
  IMAGE_SIZE: 48,
  BACKING_FILENAME_OFFSET: 56,
  BACKING_FILENAME_SIZE: 60,
} as const;

/** QED spec, "Feature bits". */
export const QED_F_BACKING_FILE = 0x01;
export const QED_F_NEED_CHECK = 0x02;
export const QED_F_BACKING_FORMAT_NO_PROBE = 0x04;
const KNOWN_FEATURES = QED_F_BACKING_FILE | QED_F_NEED_CHECK | QED_F_BACKING_FORMAT_NO_PROBE;

const ENTRY_SIZE = 8;
const SECTOR = 512;

/** What of the header never changes while an image is open. Bytes, but for `entries`. */
export interface Geometry {
  readonly clusterSize: number;
  /** TABLE_NOFFSETS. */
  readonly entries: number;
  readonly tableBytes: number;
  /** header_size in bytes: no cluster begins before. */
  readonly headerBytes: number;
  readonly l1Offset: number;
}

export interface Header extends Geometry {
  /** The 64 bytes. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** A 64-bit field or table entry; above 2^53 it is not exact, but then it is above every bound as well. Hot path. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Whole clusters of a file, whose last sector may be cut short. */
export function fileClusters(fileSize: number, clusterSize: number): number {
  return Math.floor((Math.ceil(fileSize / SECTOR) * SECTOR) / clusterSize);
}

export function tableGeometry(clusterSize: number, tableSize: number) {
  const tableBytes = clusterSize * tableSize;
  const entries = tableBytes / ENTRY_SIZE;
  return { tableBytes, entries, maxImageSize: Math.min(entries * entries * clusterSize, MAX_IMAGE_SIZE) };
}

export function isClusterSize(size: number): boolean {
  return isPowerOfTwo(size) && size >= MIN_CLUSTER_SIZE && size <= MAX_CLUSTER_SIZE;
}

export function isTableSize(size: number): boolean {
  return isPowerOfTwo(size) && size <= MAX_TABLE_SIZE;
}

/** `bytes`: the first 64 of the file (zeroes where it is shorter). The messages are QEMU's. */
export function parseHeader(bytes: Uint8Array, fileSize: number): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  if (view.getUint32(Field.MAGIC, true) !== QED_MAGIC) throw invalid('Image not in QED format', Field.MAGIC, 'magic');
  const low = view.getUint32(Field.FEATURES, true) & ~KNOWN_FEATURES;
  const high = view.getUint32(Field.FEATURES + 4, true);
  if (low !== 0 || high !== 0) {
    const unknown = (BigInt(high) << 32n) | BigInt(low >>> 0);
    throw new BlockError('unsupported-feature', `Unsupported QED features: ${unknown.toString(16)}`, {
      offset: Field.FEATURES,
      field: 'features',
    });
  }
  const clusterSize = view.getUint32(Field.CLUSTER_SIZE, true);
  if (!isClusterSize(clusterSize)) throw invalid('QED cluster size is invalid', Field.CLUSTER_SIZE, 'cluster_size');
  const tableSize = view.getUint32(Field.TABLE_SIZE, true);
  if (!isTableSize(tableSize)) throw invalid('QED table size is invalid', Field.TABLE_SIZE, 'table_size');
  const { tableBytes, entries, maxImageSize } = tableGeometry(clusterSize, tableSize);
  const imageSize = readU64(view, Field.IMAGE_SIZE);
  if (imageSize > maxImageSize || imageSize % SECTOR !== 0)
    throw invalid('QED image size is invalid', Field.IMAGE_SIZE, 'image_size');
  const headerBytes = view.getUint32(Field.HEADER_SIZE, true) * clusterSize;
  const l1Offset = readU64(view, Field.L1_TABLE_OFFSET);
  const end = fileClusters(fileSize, clusterSize) * clusterSize;
  if (l1Offset === 0 || l1Offset < headerBytes || l1Offset % clusterSize !== 0 || l1Offset > end - tableBytes)
    throw invalid('QED table offset is invalid', Field.L1_TABLE_OFFSET, 'l1_table_offset');
  checkBackingField(view, headerBytes);
  return { bytes, view, clusterSize, entries, tableBytes, headerBytes, l1Offset };
}

function checkBackingField(view: DataView, headerBytes: number): void {
  if ((view.getUint32(Field.FEATURES, true) & QED_F_BACKING_FILE) === 0) return;
  const offset = view.getUint32(Field.BACKING_FILENAME_OFFSET, true);
  const size = view.getUint32(Field.BACKING_FILENAME_SIZE, true);
  if (offset + size > headerBytes)
    throw invalid('QED backing filename offset is invalid', Field.BACKING_FILENAME_OFFSET, 'backing_filename_offset');
  if (size > MAX_BACKING_NAME)
    throw invalid('QED backing filename is too long', Field.BACKING_FILENAME_SIZE, 'backing_filename_size');
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

function invalid(message: string, offset: number, field: string): BlockError {
  return new BlockError('invalid-format', message, { offset, field });
}
