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

/** Whether all bytes are zero. Hot path. */
export function isZero(bytes: Uint8Array): boolean {
  const { length, byteOffset } = bytes;
  let at = 0;
  for (const head = Math.min(length, -byteOffset & 7); at < head; at++) if (bytes[at] !== 0) return false;
  const words = (length - at) >> 3;
  if (words > 0) {
    // NaN is unequal to 0 as well, and -0 must not count as zero: so integers, not doubles
    const view = new Int32Array(bytes.buffer, byteOffset + at, words * 2);
    // most data differs early
    for (let i = 0; i < view.length; i += 2) if (((view[i] as number) | (view[i + 1] as number)) !== 0) return false;
    at += words * 8;
  }
  for (; at < length; at++) if (bytes[at] !== 0) return false;
  return true;
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
