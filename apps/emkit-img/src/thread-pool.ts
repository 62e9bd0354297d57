/** The size of libuv's thread pool, which file calls and compression share. */
import { availableParallelism } from 'node:os';

/** Reads should overlap even on one core; more than these wait for one disk. */
const LEAST = 2;
const MOST = 8;

/**
 * One thread a core, before the pool's first use, unless the user has said something. libuv's four get into each other's way on two cores: writes to one file go one after
 * the other, and who waits for its turn takes the core from who reads; on more cores four do not compress as fast as they could.
 */
export function sizeThreadPool(): void {
  process.env['UV_THREADPOOL_SIZE'] ??= String(Math.min(MOST, Math.max(LEAST, availableParallelism())));
}
