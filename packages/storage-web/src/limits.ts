/** Limits of what comes over the network, and defaults. Bytes unless they say otherwise. */

/** Default of `blockSize`: the unit of requests and of the cache. */
export const BLOCK_SIZE = 65536;
export const MIN_BLOCK_SIZE = 512;
export const MAX_BLOCK_SIZE = 4 << 20;

/** Default of `cacheBytes`. */
export const CACHE_BYTES = 32 << 20;

/** Default of `maxWholeBody`: how much a server without ranges may send, which is then kept. */
export const MAX_WHOLE_BODY = 16 << 20;

/** One request asks for at most this much (or one block, if that is more). */
export const MAX_REQUEST = 4 << 20;

/** A read of the caller's is worked off in pieces of this much, so that blocks in memory stay few. */
export const READ_WINDOW = 16 << 20;

/** Default of `readAhead`: the window for sequential reads grows up to it. */
export const READ_AHEAD = 1 << 20;

/** Default of `concurrency`, requests; what browsers open to one server. */
export const CONCURRENCY = 6;

/** Default of `timeoutMs`: milliseconds without a byte. */
export const TIMEOUT_MS = 30_000;

/** Default of `retries` behind the first attempt, and the milliseconds before the first of them; each waits twice as long. */
export const RETRIES = 3;
export const BACKOFF_MS = 250;
/** Milliseconds between two attempts at most. */
export const MAX_BACKOFF_MS = 10_000;

/** Ranges that `accessed()` remembers. */
export const MAX_ACCESSED = 16_384;

/** A Blob is read in pieces of at most this much. */
export const BLOB_CHUNK = 8 << 20;
