/**
 * A disk over another one that it does not change: writes are held in memory, cluster by cluster, and are lost at the end. For `snapshot=on` without
 * a temporary file, and for pages. The one below must not change meanwhile.
 */
import { BlockError, type BlockImage, type Storage } from '@emkit/storage';

export interface CowOptions {
  /** Bytes per piece, a power of two; default 64 KiB. */
  readonly clusterSize?: number | undefined;
  /** Most bytes held; a write beyond is `no-space`. Default 1 GiB. */
  readonly limit?: number | undefined;
}

export function cowStorage(_below: Storage, _options: CowOptions = {}): BlockImage {
  throw new BlockError('unsupported-feature', 'not written yet');
}
