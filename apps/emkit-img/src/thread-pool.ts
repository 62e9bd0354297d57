/** The size of libuv's thread pool, which file calls and compression share. */
import type * as Os from 'node:os';

/** Reads should overlap even on one core; more than these wait for one disk. */
const LEAST = 2;
const MOST = 8;

/**
 * One thread a core, before the pool's first use, unless the user has said something. libuv's four get into each other's way on two cores: writes to one file go one after
 * the other, and who waits for its turn takes the core from who reads; on more cores four do not compress as fast as they could.
 *
 * `isWriter`: the pool does nothing but write one file, so one thread is all.
 */
export function sizeThreadPool({ isWriter = false }: { readonly isWriter?: boolean } = {}): void {
  process.env['UV_THREADPOOL_SIZE'] ??= String(isWriter ? 1 : Math.min(MOST, Math.max(LEAST, cores())));
}

/** Node's module for it is loaded only here, since that takes most of a millisecond. */
function cores(): number {
  const { availableParallelism }: typeof Os = process.getBuiltinModule('node:os');
  return availableParallelism();
}
