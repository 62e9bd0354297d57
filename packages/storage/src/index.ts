export { BlockError, isBlockError } from './block-error.ts';
export type { BlockErrorContext, BlockErrorKind } from './block-error.ts';
export type {
  BitmapInfo,
  BitmapStore,
  BlockDriver,
  BlockImage,
  BlockStatus,
  CheckOptions,
  CheckResult,
  CreateOptions,
  DirtyRanges,
  Measurement,
  OpenOptions,
  OptionSpec,
  Preallocation,
  Reference,
  ResizeOptions,
  Resolver,
  SnapshotInfo,
  SnapshotStore,
} from './block-driver.ts';
export type { ImageInfo, JsonValue } from './image-info.ts';
export { isZero } from './is-zero.ts';
export { MemoryStorage } from './memory-storage.ts';
export { AsyncMutex } from './mutex.ts';
export { checkAborted, checkAligned, checkRange, writable, zeroRange } from './ranges.ts';
export { settleAll } from './settle-all.ts';
export { fromReader } from './reader.ts';
export type { Reader } from './reader.ts';
export type { AbortSignal, Extent, IoOptions, Storage, WritableStorage, ZeroOptions } from './storage.ts';
