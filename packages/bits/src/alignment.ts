/**
 * Alignment and size arithmetic on safe integers (0 .. 2^53-1), so that it is also right above 4 GiB, where `&` is not.
 * Alignments are any positive integer; powers of two are not required.
 */
import { BoundsError } from './bounds-error.ts';

/** The largest multiple of `alignment` that is <= `value`. */
export function alignDown(value: number, alignment: number): number {
  return value - (value % alignment);
}

/** The smallest multiple of `alignment` that is >= `value`. */
export function alignUp(value: number, alignment: number): number {
  const over = value % alignment;
  return over === 0 ? value : value - over + alignment;
}

/** True for 1, 2, 4, ... up to 2^52; false for 0, negatives and fractions. */
export function isPowerOfTwo(value: number): boolean {
  if (!Number.isSafeInteger(value) || value <= 0) return false;
  // Divide the upper part away first: bit tests see 32 bits only.
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value >>> 0;
  return high === 0 ? (low & (low - 1)) === 0 : low === 0 && (high & (high - 1)) === 0;
}

/**
 * A size, count or offset from outside as a number that is safe to compute with: an integer in 0 .. `limit`.
 * `what` names the quantity in the error. Throws `BoundsError`.
 */
export function toSize(value: number | bigint, limit: number, what: string): number {
  const size = Number(value);
  if (!Number.isInteger(size) || size < 0 || size > limit || size > Number.MAX_SAFE_INTEGER) {
    throw new BoundsError(`${what} is ${value}, expected an integer in 0 .. ${limit}`);
  }
  return size;
}
