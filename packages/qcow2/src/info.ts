/** What `info` says: QEMU's words and order. */
import type { ImageInfo, JsonValue } from '@emkit/storage';
import {
  COMPAT_LAZY_REFCOUNTS,
  COMPRESSION_ZSTD,
  CRYPT_NONE,
  INCOMPAT_CORRUPT,
  INCOMPAT_DIRTY,
  INCOMPAT_EXTL2,
} from './constants.ts';
import type { Qcow2Core } from './core.ts';
import type { ImageParts } from './parts.ts';

export function imageInfo(core: Qcow2Core, parts: ImageParts): ImageInfo {
  const { header, geometry } = core;
  const has = (bit: bigint): boolean => (header.incompatibleFeatures & bit) !== 0n;
  const extra = parts.info?.() ?? {};
  const data: Record<string, JsonValue> = {
    compat: header.version === 2 ? '0.10' : '1.1',
    'compression-type': header.compressionType === COMPRESSION_ZSTD ? 'zstd' : 'zlib',
  };
  if (header.version === 3) data['lazy-refcounts'] = (header.compatibleFeatures & COMPAT_LAZY_REFCOUNTS) !== 0n;
  if (extra.bitmaps !== undefined) data['bitmaps'] = extra.bitmaps;
  data['refcount-bits'] = geometry.refcountBits;
  if (extra.encrypt !== undefined) data['encrypt'] = extra.encrypt;
  if (core.isIdentity) {
    if (header.dataFile !== undefined) data['data-file'] = header.dataFile;
    data['data-file-raw'] = core.isDataFileRaw;
  }
  if (header.version === 3) {
    data['corrupt'] = has(INCOMPAT_CORRUPT);
    data['extended-l2'] = has(INCOMPAT_EXTL2);
  }
  const snapshots = parts.snapshots?.list();
  return {
    format: 'qcow2',
    virtualSize: header.size,
    clusterSize: geometry.clusterSize,
    ...(header.cryptMethod === CRYPT_NONE ? {} : { encrypted: true }),
    dirty: has(INCOMPAT_DIRTY),
    ...(snapshots === undefined || snapshots.length === 0 ? {} : { snapshots }),
    formatSpecific: { type: 'qcow2', data },
  };
}
