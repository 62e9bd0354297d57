/** A new image: a header and refcounts for three clusters, which then grows to its size like any other. */
import { BlockError, checkAborted, writable, type CreateOptions, type Storage } from '@emkit/storage';
import type { Codecs } from './codecs.ts';
import {
  AUTOCLEAR_DATA_FILE_RAW,
  COMPAT_LAZY_REFCOUNTS,
  COMPRESSION_ZLIB,
  COMPRESSION_ZSTD,
  CRYPT_NONE,
  Extension,
  INCOMPAT_COMPRESSION,
  INCOMPAT_DATA_FILE,
  INCOMPAT_EXTL2,
  V2_HEADER_LENGTH,
  V3_HEADER_LENGTH,
} from './constants.ts';
import { parseCreateOptions, type CreateSettings } from './create-options.ts';
import { encodeString, featureNameTable, type HeaderExtension } from './header-extensions.ts';
import { encodeHeader, type Qcow2Header } from './header.ts';
import { MAX_BACKING_NAME_BYTES, MAX_FORMAT_NAME_BYTES } from './limits.ts';
import { openQcow2 } from './open.ts';
import { createEncryption } from './parts.ts';
import { writeRefcount } from './refcount-entry.ts';
import { checkSize } from './resize.ts';
import { setU64, viewOf } from './u64.ts';
import { WritableQcow2Image } from './writable-image.ts';

const SECTOR = 512;
/** Header, refcount table, first refcount block. */
const FIRST_CLUSTERS = 3;

export async function createQcow2Image(storage: Storage, options: CreateOptions, codecs: Codecs): Promise<void> {
  checkAborted(options.signal);
  const settings = parseCreateOptions(options.options);
  if (!Number.isSafeInteger(options.size) || options.size < 0)
    throw new BlockError('invalid-option', 'Invalid image size');
  const file = writable(storage);
  // as QEMU: disks are whole sectors
  const size = Math.ceil(options.size / SECTOR) * SECTOR;
  const header = newHeader(settings);
  checkSize(header, size);
  checkNames(settings);
  const bytes = encodeHeader(header);
  const clusterSize = 2 ** settings.clusterBits;
  const tables = new Uint8Array(2 * clusterSize);
  setU64(viewOf(tables), 0, 2 * clusterSize);
  const block = viewOf(tables.subarray(clusterSize));
  for (let i = 0; i < FIRST_CLUSTERS; i++) writeRefcount(block, i, settings.refcountOrder, 1);
  await file.truncate(0);
  await file.write(clusterSize, tables);
  await file.write(0, bytes);
  const dataFile = await createDataFile(settings, options);
  const image = await openQcow2(
    storage,
    {
      backing: 'none',
      signal: options.signal,
      driverOptions: settings.version < 3 ? {} : { 'lazy-refcounts': 'off' },
      ...(dataFile === undefined ? {} : { resolver: { open: () => Promise.resolve(dataFile) } }),
    },
    codecs,
  );
  try {
    if (!(image instanceof WritableQcow2Image)) throw new BlockError('read-only', 'the new image cannot be written');
    await createEncryption(image.core, settings.encryption, options);
    // a raw data file is the disk as it is: every cluster is mapped from the start
    const preallocation =
      settings.dataFileRaw && settings.preallocation === 'off' ? 'metadata' : settings.preallocation;
    await image.resize(size, { preallocation, signal: options.signal });
  } finally {
    await image.close();
  }
}

function newHeader(settings: CreateSettings): Qcow2Header {
  const { version, clusterBits, dataFile, backingFile, backingFormat } = settings;
  const clusterSize = 2 ** clusterBits;
  const extensions: HeaderExtension[] = [];
  if (backingFile !== undefined && backingFormat !== undefined)
    extensions.push({ type: Extension.BACKING_FORMAT, data: encodeString(backingFormat) });
  if (dataFile !== undefined) extensions.push({ type: Extension.DATA_FILE, data: encodeString(dataFile) });
  if (version === 3) extensions.push({ type: Extension.FEATURE_NAMES, data: featureNameTable() });
  return {
    version,
    clusterBits,
    size: 0,
    cryptMethod: CRYPT_NONE,
    l1Size: 0,
    l1TableOffset: 0,
    refcountTableOffset: clusterSize,
    refcountTableClusters: 1,
    nbSnapshots: 0,
    snapshotsOffset: 0,
    incompatibleFeatures:
      (dataFile === undefined ? 0n : INCOMPAT_DATA_FILE) |
      (settings.isZstd ? INCOMPAT_COMPRESSION : 0n) |
      (settings.isExtended ? INCOMPAT_EXTL2 : 0n),
    compatibleFeatures: settings.lazyRefcounts ? COMPAT_LAZY_REFCOUNTS : 0n,
    autoclearFeatures: settings.dataFileRaw ? AUTOCLEAR_DATA_FILE_RAW : 0n,
    refcountOrder: settings.refcountOrder,
    headerLength: version === 2 ? V2_HEADER_LENGTH : V3_HEADER_LENGTH,
    compressionType: settings.isZstd ? COMPRESSION_ZSTD : COMPRESSION_ZLIB,
    extraFields: new Uint8Array(0),
    backingFile,
    backingFormat,
    dataFile,
    // small clusters: names of features are the first to go
    extensions: clusterSize < 1024 ? extensions.filter(({ type }) => type !== Extension.FEATURE_NAMES) : extensions,
  };
}

function checkNames(settings: CreateSettings): void {
  if (encodeString(settings.backingFile ?? '').length > MAX_BACKING_NAME_BYTES)
    throw new BlockError('invalid-option', 'Backing file name too long');
  if (encodeString(settings.backingFormat ?? '').length > MAX_FORMAT_NAME_BYTES)
    throw new BlockError('invalid-option', 'Backing format name too long');
}

async function createDataFile(settings: CreateSettings, options: CreateOptions): Promise<Storage | undefined> {
  if (settings.dataFile === undefined) return undefined;
  if (options.resolver?.create === undefined)
    throw new BlockError('refused', `the data file '${settings.dataFile}' cannot be made without a resolver`);
  return options.resolver.create(settings.dataFile, { signal: options.signal });
}
