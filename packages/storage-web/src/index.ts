export { BlobStorage } from './blob-storage.ts';
export type { ByteRange } from './access-log.ts';
export type { BlobLike, Fetch, FetchInit, FetchResponse, FileHandleLike, SyncAccessHandle } from './host.ts';
export { HttpRangeStorage } from './http-range-storage.ts';
export type { HttpRangeOptions } from './http-range-storage.ts';
export {
  BLOCK_SIZE,
  CACHE_BYTES,
  CONCURRENCY,
  MAX_ACCESSED,
  MAX_REQUEST,
  MAX_WHOLE_BODY,
  READ_AHEAD,
  RETRIES,
  TIMEOUT_MS,
} from './limits.ts';
export { OpfsStorage } from './opfs-storage.ts';
