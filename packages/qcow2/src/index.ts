export { DEFAULT_CODECS } from './codecs.ts';
export type { Codecs } from './codecs.ts';
export { createQcow2, qcow2 } from './driver.ts';
export { parseHeader } from './header.ts';
export type { ParseHeaderOptions, Qcow2Header } from './header.ts';
export type { HeaderExtension } from './header-extensions.ts';
export {
  MAX_CLUSTER_BITS,
  MAX_L1_BYTES,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MAX_VIRTUAL_SIZE,
  MIN_CLUSTER_BITS,
} from './limits.ts';
