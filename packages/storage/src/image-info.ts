/** What `info` says of an image, in QEMU's words: `emkit-img info --output=json` prints it. */
import type { SnapshotInfo } from './block-driver.ts';

/** JSON as QEMU prints it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

export interface ImageInfo {
  readonly format: string;
  /** Bytes. */
  readonly virtualSize: number;
  readonly clusterSize?: number | undefined;
  readonly encrypted?: boolean | undefined;
  readonly compressed?: boolean | undefined;
  /** Was not closed in order. */
  readonly dirty: boolean;
  readonly snapshots?: readonly SnapshotInfo[] | undefined;
  /** QEMU's "format-specific": `type` and `data`, keys in QEMU's spelling and order. */
  readonly formatSpecific?: { readonly type: string; readonly data: { readonly [key: string]: JsonValue } } | undefined;
}
