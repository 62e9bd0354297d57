/**
 * The image header: parsed with every field checked, and written. qcow2 spec, "Header".
 *
 * Does not look at any other cluster, and does not decide about dirty, corrupt or missing features: `open` does. Limits that depend on
 * the file (a table beyond its end) are no error of the header: such parts read as zero, as everything past the end does.
 */
import { BlockError } from '@emkit/storage';
import {
  AUTOCLEAR_DATA_FILE_RAW,
  COMPRESSION_ZLIB,
  COMPRESSION_ZSTD,
  CRYPT_LUKS,
  Extension,
  Header,
  INCOMPAT_COMPRESSION,
  INCOMPAT_DATA_FILE,
  INCOMPAT_EXTL2,
  INCOMPAT_KNOWN,
  QCOW_MAGIC,
  V2_HEADER_LENGTH,
  V3_HEADER_LENGTH,
  V3_MIN_HEADER_LENGTH,
} from './constants.ts';
import {
  decodeString,
  describeFeatures,
  encodeExtensions,
  encodeString,
  findExtension,
  parseExtensions,
  type HeaderExtension,
} from './header-extensions.ts';
import {
  MAX_BACKING_NAME_BYTES,
  MAX_CLUSTER_BITS,
  MAX_FORMAT_NAME_BYTES,
  MAX_HOST_OFFSET,
  MAX_L1_BYTES,
  MAX_REFCOUNT_ORDER,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MAX_VIRTUAL_SIZE,
  MIN_CLUSTER_BITS,
  MIN_EXTENDED_CLUSTER_BITS,
} from './limits.ts';
import { getU64, setU64, viewOf } from './u64.ts';

/** Field names as in the spec. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly cryptMethod: number;
  /** Entries. */
  readonly l1Size: number;
  readonly l1TableOffset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly nbSnapshots: number;
  readonly snapshotsOffset: number;
  readonly incompatibleFeatures: bigint;
  readonly compatibleFeatures: bigint;
  readonly autoclearFeatures: bigint;
  readonly refcountOrder: number;
  readonly headerLength: number;
  readonly compressionType: number;
  /** Header bytes past the fields that are known here; kept when the header is rewritten. */
  readonly extraFields: Uint8Array;
  readonly backingFile: string | undefined;
  /** From the extension of that name. */
  readonly backingFormat: string | undefined;
  readonly dataFile: string | undefined;
  /** All of them in order, the two above included. */
  readonly extensions: readonly HeaderExtension[];
}

export interface ParseHeaderOptions {
  /** For `check -r all`: a refcount table or a snapshot table that cannot be right is no reason to refuse. */
  readonly forCheck?: boolean | undefined;
}

/** Bytes that `parseHeader` wants to see, from the start of the file: the first cluster. 0: the first 24 bytes do not say. */
export function headerArea(bytes: Uint8Array): number {
  if (bytes.length < Header.CLUSTER_BITS + 4) return 0;
  const bits = viewOf(bytes).getUint32(Header.CLUSTER_BITS);
  return bits >= MIN_CLUSTER_BITS && bits <= MAX_CLUSTER_BITS ? 2 ** bits : 0;
}

/** `bytes`: the first cluster, or what the file has of it. Throws `invalid-format` or `unsupported-feature`, in QEMU's words. */
export function parseHeader(bytes: Uint8Array, options: ParseHeaderOptions = {}): Qcow2Header {
  if (bytes.length < 8 || viewOf(bytes).getUint32(Header.MAGIC) !== QCOW_MAGIC)
    throw new BlockError('invalid-format', 'Image is not in qcow2 format', { offset: 0, field: 'magic' });
  const version = viewOf(bytes).getUint32(Header.VERSION);
  if (version !== 2 && version !== 3)
    throw new BlockError('unsupported-feature', `Unsupported qcow2 version ${version}`, {
      offset: Header.VERSION,
      field: 'version',
    });
  if (bytes.length < V2_HEADER_LENGTH) throw bad('qcow2 header too short', Header.HEADER_LENGTH, 'header_length');
  const view = viewOf(bytes);
  const clusterBits = view.getUint32(Header.CLUSTER_BITS);
  if (clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS)
    throw bad(`Unsupported cluster size: 2^${clusterBits}`, Header.CLUSTER_BITS, 'cluster_bits');
  const clusterSize = 2 ** clusterBits;
  const headerLength = parseLength(view, version, clusterSize);
  const isV3 = version === 3;
  const u64 = (at: number): bigint => (isV3 ? view.getBigUint64(at) : 0n);

  const backingOffset = getU64(view, Header.BACKING_FILE_OFFSET);
  if (backingOffset > clusterSize)
    throw bad('Invalid backing file offset', Header.BACKING_FILE_OFFSET, 'backing_file_offset');
  const extensionEnd = backingOffset !== 0 ? backingOffset : clusterSize;
  const incompatible = u64(Header.INCOMPATIBLE_FEATURES);
  checkFeatures(incompatible, bytes, headerLength, extensionEnd);
  const compressionType =
    isV3 && headerLength > Header.COMPRESSION_TYPE ? (bytes[Header.COMPRESSION_TYPE] ?? 0) : COMPRESSION_ZLIB;
  checkCompression(compressionType, incompatible);
  const refcountOrder = isV3 ? view.getUint32(Header.REFCOUNT_ORDER) : 4;
  if (refcountOrder > MAX_REFCOUNT_ORDER)
    throw bad('Reference count entry width too large; may not exceed 64 bits', Header.REFCOUNT_ORDER, 'refcount_order');
  const cryptMethod = view.getUint32(Header.CRYPT_METHOD);
  if (cryptMethod > CRYPT_LUKS)
    throw new BlockError('unsupported-feature', `Unsupported encryption method ${cryptMethod}`, {
      offset: Header.CRYPT_METHOD,
      field: 'crypt_method',
    });
  if ((incompatible & INCOMPAT_EXTL2) !== 0n && clusterBits < MIN_EXTENDED_CLUSTER_BITS)
    throw bad(
      'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
      Header.CLUSTER_BITS,
      'cluster_bits',
    );
  checkTables(view, clusterSize, (incompatible & INCOMPAT_EXTL2) !== 0n, options.forCheck === true);
  const extensions = parseExtensions(bytes, headerLength, extensionEnd);
  const autoclear = u64(Header.AUTOCLEAR_FEATURES);
  if ((autoclear & AUTOCLEAR_DATA_FILE_RAW) !== 0n && (incompatible & INCOMPAT_DATA_FILE) === 0n)
    throw bad('data-file-raw requires a data file', Header.AUTOCLEAR_FEATURES, 'autoclear_features');
  const dataFile = findExtension(extensions, Extension.DATA_FILE);
  return {
    version,
    clusterBits,
    size: getU64(view, Header.SIZE),
    cryptMethod,
    l1Size: view.getUint32(Header.L1_SIZE),
    l1TableOffset: getU64(view, Header.L1_TABLE_OFFSET),
    refcountTableOffset: getU64(view, Header.REFCOUNT_TABLE_OFFSET),
    refcountTableClusters: view.getUint32(Header.REFCOUNT_TABLE_CLUSTERS),
    nbSnapshots: view.getUint32(Header.NB_SNAPSHOTS),
    snapshotsOffset: getU64(view, Header.SNAPSHOTS_OFFSET),
    incompatibleFeatures: incompatible,
    compatibleFeatures: u64(Header.COMPATIBLE_FEATURES),
    autoclearFeatures: autoclear,
    refcountOrder,
    headerLength,
    compressionType,
    extraFields: bytes.slice(Math.min(V3_HEADER_LENGTH, headerLength), headerLength),
    backingFile: parseBackingFile(bytes, backingOffset, clusterSize),
    backingFormat: parseFormat(extensions),
    dataFile: dataFile === undefined ? undefined : decodeString(dataFile),
    extensions,
  };
}

/** The bytes from the file's start through the backing file name; at most a cluster, or `no-space`. */
export function encodeHeader(header: Qcow2Header): Uint8Array {
  const length =
    header.version === 2
      ? V2_HEADER_LENGTH
      : header.extraFields.length > 0
        ? header.headerLength
        : Math.max(V3_HEADER_LENGTH, header.headerLength);
  const extensions = encodeExtensions(header.extensions);
  const name = header.backingFile === undefined ? new Uint8Array(0) : encodeName(header.backingFile);
  const bytes = new Uint8Array(length + extensions.length + name.length);
  if (bytes.length > 2 ** header.clusterBits)
    throw new BlockError('no-space', 'The header does not fit into one cluster', {
      hint: 'shorten the backing file name or use larger clusters',
    });
  const view = viewOf(bytes);
  view.setUint32(Header.MAGIC, QCOW_MAGIC);
  view.setUint32(Header.VERSION, header.version);
  if (header.backingFile !== undefined) {
    setU64(view, Header.BACKING_FILE_OFFSET, length + extensions.length);
    view.setUint32(Header.BACKING_FILE_SIZE, name.length);
  }
  view.setUint32(Header.CLUSTER_BITS, header.clusterBits);
  setU64(view, Header.SIZE, header.size);
  view.setUint32(Header.CRYPT_METHOD, header.cryptMethod);
  view.setUint32(Header.L1_SIZE, header.l1Size);
  setU64(view, Header.L1_TABLE_OFFSET, header.l1TableOffset);
  setU64(view, Header.REFCOUNT_TABLE_OFFSET, header.refcountTableOffset);
  view.setUint32(Header.REFCOUNT_TABLE_CLUSTERS, header.refcountTableClusters);
  view.setUint32(Header.NB_SNAPSHOTS, header.nbSnapshots);
  setU64(view, Header.SNAPSHOTS_OFFSET, header.snapshotsOffset);
  if (header.version === 3) {
    view.setBigUint64(Header.INCOMPATIBLE_FEATURES, header.incompatibleFeatures);
    view.setBigUint64(Header.COMPATIBLE_FEATURES, header.compatibleFeatures);
    view.setBigUint64(Header.AUTOCLEAR_FEATURES, header.autoclearFeatures);
    view.setUint32(Header.REFCOUNT_ORDER, header.refcountOrder);
    view.setUint32(Header.HEADER_LENGTH, length);
    if (length > Header.COMPRESSION_TYPE) bytes[Header.COMPRESSION_TYPE] = header.compressionType;
    bytes.set(header.extraFields, Math.min(V3_HEADER_LENGTH, length));
  }
  bytes.set(extensions, length);
  bytes.set(name, length + extensions.length);
  return bytes;
}

function bad(message: string, offset: number, field: string): BlockError {
  return new BlockError('invalid-format', message, { offset, field });
}

function parseLength(view: DataView, version: number, clusterSize: number): number {
  if (version === 2) return V2_HEADER_LENGTH;
  const length = view.byteLength < V3_MIN_HEADER_LENGTH ? 0 : view.getUint32(Header.HEADER_LENGTH);
  if (length < V3_MIN_HEADER_LENGTH || length > view.byteLength) {
    if (length > clusterSize) throw bad('qcow2 header exceeds cluster size', Header.HEADER_LENGTH, 'header_length');
    throw bad('qcow2 header too short', Header.HEADER_LENGTH, 'header_length');
  }
  return length;
}

function checkFeatures(incompatible: bigint, bytes: Uint8Array, start: number, end: number): void {
  const unknown = incompatible & ~INCOMPAT_KNOWN;
  if (unknown === 0n) return;
  let names: Uint8Array | undefined;
  try {
    names = findExtension(parseExtensions(bytes, start, end), Extension.FEATURE_NAMES);
  } catch {
    // the message does without names then
  }
  throw new BlockError(
    'unsupported-feature',
    `Unsupported qcow2 feature(s): ${describeFeatures('incompatible', unknown, names)}`,
    { offset: Header.INCOMPATIBLE_FEATURES, field: 'incompatible_features' },
  );
}

function checkCompression(type: number, incompatible: bigint): void {
  const context = { offset: Header.COMPRESSION_TYPE, field: 'compression_type' };
  if (type !== COMPRESSION_ZLIB && type !== COMPRESSION_ZSTD)
    throw new BlockError('unsupported-feature', `qcow2: unknown compression type: ${type}`, context);
  const isMarked = (incompatible & INCOMPAT_COMPRESSION) !== 0n;
  if (isMarked && type === COMPRESSION_ZLIB)
    throw new BlockError('invalid-format', 'qcow2: Compression type incompatible feature bit must not be set', context);
  if (!isMarked && type !== COMPRESSION_ZLIB)
    throw new BlockError('invalid-format', 'qcow2: Compression type incompatible feature bit must be set', context);
}

/** Offsets and sizes of the three tables that the header points to. */
function checkTables(view: DataView, clusterSize: number, isExtended: boolean, forCheck: boolean): void {
  const unaligned = (offset: number): boolean => offset > MAX_HOST_OFFSET || offset % clusterSize !== 0;
  const tableClusters = view.getUint32(Header.REFCOUNT_TABLE_CLUSTERS);
  if (tableClusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES)
    throw bad('Reference count table too large', Header.REFCOUNT_TABLE_CLUSTERS, 'refcount_table_clusters');
  if (tableClusters === 0 && !forCheck)
    throw bad(
      'Image does not contain a reference count table',
      Header.REFCOUNT_TABLE_CLUSTERS,
      'refcount_table_clusters',
    );
  if (unaligned(getU64(view, Header.REFCOUNT_TABLE_OFFSET)))
    throw bad('Reference count table offset invalid', Header.REFCOUNT_TABLE_OFFSET, 'refcount_table_offset');
  const snapshots = view.getUint32(Header.NB_SNAPSHOTS);
  if (snapshots > MAX_SNAPSHOTS && !forCheck)
    throw bad('Snapshot table too large', Header.NB_SNAPSHOTS, 'nb_snapshots');
  if (snapshots > 0 && unaligned(getU64(view, Header.SNAPSHOTS_OFFSET)))
    throw bad('Snapshot table offset invalid', Header.SNAPSHOTS_OFFSET, 'snapshots_offset');
  const l1Size = view.getUint32(Header.L1_SIZE);
  if (l1Size * 8 > MAX_L1_BYTES) throw bad('Active L1 table too large', Header.L1_SIZE, 'l1_size');
  const size = getU64(view, Header.SIZE);
  if (size > MAX_VIRTUAL_SIZE) throw bad('Image is too big', Header.SIZE, 'size');
  const covered = clusterSize * (clusterSize / (isExtended ? 16 : 8));
  if (l1Size < Math.ceil(size / covered)) throw bad('L1 table is too small', Header.L1_SIZE, 'l1_size');
  if (l1Size > 0 && unaligned(getU64(view, Header.L1_TABLE_OFFSET)))
    throw bad('Active L1 table offset invalid', Header.L1_TABLE_OFFSET, 'l1_table_offset');
}

function parseBackingFile(bytes: Uint8Array, offset: number, clusterSize: number): string | undefined {
  if (offset === 0) return undefined;
  const length = viewOf(bytes).getUint32(Header.BACKING_FILE_SIZE);
  if (length > Math.min(MAX_BACKING_NAME_BYTES, clusterSize - offset))
    throw bad('Backing file name too long', Header.BACKING_FILE_SIZE, 'backing_file_size');
  return length === 0 ? undefined : decodeString(bytes.subarray(offset, offset + length));
}

function parseFormat(extensions: readonly HeaderExtension[]): string | undefined {
  const data = findExtension(extensions, Extension.BACKING_FORMAT);
  if (data === undefined) return undefined;
  if (data.length > MAX_FORMAT_NAME_BYTES)
    throw new BlockError('invalid-format', `Backing format name of ${data.length} bytes is too long`, {
      field: 'backing file format name',
    });
  return decodeString(data);
}

function encodeName(name: string): Uint8Array {
  const bytes = encodeString(name);
  if (bytes.length > MAX_BACKING_NAME_BYTES) throw new BlockError('invalid-option', 'Backing file name too long');
  return bytes;
}
