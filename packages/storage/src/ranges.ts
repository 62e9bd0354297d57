/** Checks and small operations on byte ranges that every format needs. */
import { BlockError } from './block-error.ts';
import type { AbortSignal, Storage, WritableStorage } from './storage.ts';

/** Throws `out-of-bounds` unless `offset` and `length` are safe non-negative integers, multiples of `alignment`, with a safe sum. */
export function checkAligned(offset: number, length: number, alignment: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0)
    throw new BlockError('out-of-bounds', `request of ${length} bytes at ${offset} is no range`);
  if (length > Number.MAX_SAFE_INTEGER - offset)
    throw new BlockError('out-of-bounds', `request of ${length} bytes at ${offset} ends beyond 2^53`);
  if (offset % alignment !== 0 || length % alignment !== 0)
    throw new BlockError('out-of-bounds', `request of ${length} bytes at ${offset} is not aligned to ${alignment}`);
}

/** Throws `out-of-bounds` unless the range lies within `size`. Hot path. */
export function checkRange(offset: number, length: number, size: number): void {
  if (offset >= 0 && length >= 0 && length <= size - offset && Number.isInteger(offset) && Number.isInteger(length))
    return;
  throw new BlockError('out-of-bounds', `request of ${length} bytes at ${offset} is outside the disk of ${size} bytes`);
}

/** Throws `aborted` if the signal says so. */
export function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new BlockError('aborted', 'the request was aborted', { cause: signal.reason });
}

/** Throws `read-only` unless the storage can be written. */
export function writable(storage: Storage): WritableStorage {
  if (storage.write === undefined || storage.flush === undefined || storage.truncate === undefined)
    throw new BlockError('read-only', `${storage.name ?? 'the storage'} cannot be written`);
  return storage as WritableStorage;
}

const ZERO_CHUNK = 1 << 20;

/** Zeroes a range by the cheapest way that the storage has. */
export async function zeroRange(
  storage: WritableStorage,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<void> {
  if (length === 0) return;
  if (storage.writeZeroes !== undefined) return storage.writeZeroes(offset, length, { unmap: true, signal });
  const zeroes = new Uint8Array(Math.min(length, ZERO_CHUNK));
  for (let done = 0; done < length; done += zeroes.length) {
    checkAborted(signal);
    await storage.write(offset + done, zeroes.subarray(0, Math.min(zeroes.length, length - done)));
  }
}
