import { isBlockError } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { Extension, Header } from './constants.ts';
import { encodeString, featureNameTable } from './header-extensions.ts';
import { encodeHeader, headerArea, parseHeader, type Qcow2Header } from './header.ts';
import {
  MAX_BACKING_NAME_BYTES,
  MAX_CLUSTER_BITS,
  MAX_FORMAT_NAME_BYTES,
  MAX_HEADER_EXTENSIONS,
  MAX_L1_BYTES,
  MAX_REFCOUNT_ORDER,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MAX_VIRTUAL_SIZE,
  MIN_CLUSTER_BITS,
  MIN_EXTENDED_CLUSTER_BITS,
} from './limits.ts';
import { setU64, viewOf } from './u64.ts';

const GOOD: Qcow2Header = {
  version: 3,
  clusterBits: 16,
  size: 1024 * 1024,
  cryptMethod: 0,
  l1Size: 1,
  l1TableOffset: 3 * 65536,
  refcountTableOffset: 65536,
  refcountTableClusters: 1,
  nbSnapshots: 0,
  snapshotsOffset: 0,
  incompatibleFeatures: 0n,
  compatibleFeatures: 1n,
  autoclearFeatures: 0n,
  refcountOrder: 4,
  headerLength: 112,
  compressionType: 0,
  extraFields: new Uint8Array(0),
  backingFile: 'base.img',
  backingFormat: 'raw',
  dataFile: undefined,
  extensions: [
    { type: Extension.BACKING_FORMAT, data: encodeString('raw') },
    { type: Extension.FEATURE_NAMES, data: featureNameTable() },
    { type: 0x12345678, data: Uint8Array.of(1, 2, 3) },
  ],
};

/** The good header in a cluster of its own, changed. */
function cluster(change: (view: DataView, bytes: Uint8Array) => void, header = GOOD): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  bytes.set(encodeHeader(header));
  change(viewOf(bytes), bytes);
  return bytes;
}

function failure(bytes: Uint8Array): string {
  try {
    parseHeader(bytes);
  } catch (error) {
    if (isBlockError(error)) return error.message;
    throw error;
  }
  return 'parsed';
}

const u32 = (at: number, value: number) => (view: DataView) => view.setUint32(at, value);
const u64 = (at: number, value: bigint) => (view: DataView) => view.setBigUint64(at, value);

describe('a header', () => {
  it('reads as it was written, with extensions that nobody knows', () => {
    expect(parseHeader(cluster(() => {}))).toEqual(GOOD);
    expect(headerArea(cluster(() => {}))).toBe(65536);
  });

  it('keeps fields behind the ones that are known', () => {
    const header = { ...GOOD, headerLength: 128, extraFields: Uint8Array.from({ length: 16 }, (_, i) => i) };
    expect(parseHeader(cluster(() => {}, header))).toEqual(header);
  });

  it('of version 2 has no features', () => {
    const header: Qcow2Header = { ...GOOD, version: 2, headerLength: 72, compatibleFeatures: 0n };
    expect(parseHeader(cluster(() => {}, header))).toEqual(header);
  });

  it('longer than a cluster is not written', () => {
    const header = { ...GOOD, clusterBits: 9, backingFile: 'x'.repeat(400) };
    expect(() => encodeHeader(header)).toThrow('does not fit');
  });

  it('names features that are missing, by the table in the image', () => {
    const named = featureNameTable();
    named[1] = 40;
    const header = { ...GOOD, extensions: [{ type: Extension.FEATURE_NAMES, data: named }] };
    expect(failure(cluster(u64(Header.INCOMPATIBLE_FEATURES, 1n << 40n), header))).toBe(
      'Unsupported qcow2 feature(s): dirty bit',
    );
    expect(failure(cluster(u64(Header.INCOMPATIBLE_FEATURES, (1n << 40n) | (1n << 41n)), header))).toBe(
      'Unsupported qcow2 feature(s): dirty bit, Unknown incompatible feature: 20000000000',
    );
  });
});

describe('limits of the header', () => {
  it.each<[string, (view: DataView, bytes: Uint8Array) => void, string]>([
    ['cluster_bits below', u32(Header.CLUSTER_BITS, MIN_CLUSTER_BITS - 1), 'Unsupported cluster size: 2^8'],
    ['cluster_bits above', u32(Header.CLUSTER_BITS, MAX_CLUSTER_BITS + 1), 'Unsupported cluster size: 2^22'],
    ['cluster_bits far above', u32(Header.CLUSTER_BITS, 0xffffffff), 'Unsupported cluster size: 2^4294967295'],
    ['refcount_order', u32(Header.REFCOUNT_ORDER, MAX_REFCOUNT_ORDER), 'parsed'],
    [
      'refcount_order above',
      u32(Header.REFCOUNT_ORDER, MAX_REFCOUNT_ORDER + 1),
      'Reference count entry width too large; may not exceed 64 bits',
    ],
    ['l1_size', u32(Header.L1_SIZE, MAX_L1_BYTES / 8), 'parsed'],
    ['l1_size above', u32(Header.L1_SIZE, MAX_L1_BYTES / 8 + 1), 'Active L1 table too large'],
    ['l1_size far above', u32(Header.L1_SIZE, 0xffffffff), 'Active L1 table too large'],
    ['l1_size too small', u64(Header.SIZE, 513n << 20n), 'L1 table is too small'],
    ['refcount table', u32(Header.REFCOUNT_TABLE_CLUSTERS, MAX_REFCOUNT_TABLE_BYTES / 65536), 'parsed'],
    [
      'refcount table above',
      u32(Header.REFCOUNT_TABLE_CLUSTERS, MAX_REFCOUNT_TABLE_BYTES / 65536 + 1),
      'Reference count table too large',
    ],
    ['no refcount table', u32(Header.REFCOUNT_TABLE_CLUSTERS, 0), 'Image does not contain a reference count table'],
    ['snapshots', u32(Header.NB_SNAPSHOTS, MAX_SNAPSHOTS), 'parsed'],
    ['snapshots above', u32(Header.NB_SNAPSHOTS, MAX_SNAPSHOTS + 1), 'Snapshot table too large'],
    ['size above', (view) => setU64(view, Header.SIZE, MAX_VIRTUAL_SIZE + 1), 'Image is too big'],
    ['size far above', u64(Header.SIZE, 1n << 63n), 'Image is too big'],
    ['offset of 2^63', u64(Header.L1_TABLE_OFFSET, 1n << 63n), 'Active L1 table offset invalid'],
    ['offset not aligned', u64(Header.REFCOUNT_TABLE_OFFSET, 65537n), 'Reference count table offset invalid'],
    ['backing name', u32(Header.BACKING_FILE_SIZE, MAX_BACKING_NAME_BYTES), 'parsed'],
    ['backing name above', u32(Header.BACKING_FILE_SIZE, MAX_BACKING_NAME_BYTES + 1), 'Backing file name too long'],
    ['backing name beyond the cluster', u64(Header.BACKING_FILE_OFFSET, 65537n), 'Invalid backing file offset'],
    ['header_length below', u32(Header.HEADER_LENGTH, 103), 'qcow2 header too short'],
    ['header_length above', u32(Header.HEADER_LENGTH, 65537), 'qcow2 header exceeds cluster size'],
    [
      'small extended clusters',
      (view) => {
        view.setBigUint64(Header.INCOMPATIBLE_FEATURES, 16n);
        view.setUint32(Header.CLUSTER_BITS, MIN_EXTENDED_CLUSTER_BITS - 1);
      },
      'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
    ],
    ['extension length', u32(112 + 4, 65536), 'Header extension too large'],
    ['extension length far above', u32(112 + 4, 0xffffffff), 'Header extension too large'],
    ['raw data file without a data file', u64(Header.AUTOCLEAR_FEATURES, 2n), 'data-file-raw requires a data file'],
    [
      'compression without its bit',
      (_, bytes) => (bytes[Header.COMPRESSION_TYPE] = 1),
      'qcow2: Compression type incompatible feature bit must be set',
    ],
    [
      'compression bit without type',
      u64(Header.INCOMPATIBLE_FEATURES, 8n),
      'qcow2: Compression type incompatible feature bit must not be set',
    ],
  ])('%s', (_, change, message) => {
    expect(failure(cluster(change))).toBe(message);
  });

  it('length of the format name', () => {
    const named = (length: number): string => {
      const extensions = [{ type: Extension.BACKING_FORMAT, data: encodeString('x'.repeat(length)) }];
      return failure(cluster(() => {}, { ...GOOD, extensions }));
    };
    expect(named(MAX_FORMAT_NAME_BYTES)).toBe('parsed');
    expect(named(MAX_FORMAT_NAME_BYTES + 1)).toBe('Backing format name of 16 bytes is too long');
  });

  it('number of extensions', () => {
    const many = (count: number): string =>
      failure(
        cluster((view) => {
          view.setBigUint64(Header.BACKING_FILE_OFFSET, 0n);
          for (let i = 0; i < count; i++) view.setUint32(112 + i * 8, 0x99999999);
          for (let i = 0; i < count; i++) view.setUint32(112 + i * 8 + 4, 0);
          view.setUint32(112 + count * 8, 0);
        }),
      );
    expect(many(MAX_HEADER_EXTENSIONS)).toBe('parsed');
    expect(many(MAX_HEADER_EXTENSIONS + 1)).toBe('Too many header extensions');
  });

  it('cut off anywhere it is refused or read, never anything else', () => {
    const good = cluster(() => {}).subarray(0, 1200);
    for (let length = 0; length < good.length; length++) failure(good.subarray(0, length));
    expect(failure(good.subarray(0, 0))).toBe('Image is not in qcow2 format');
    expect(failure(good.subarray(0, 50))).toBe('qcow2 header too short');
  });
});
