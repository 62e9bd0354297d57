/**
 * Fields within 32-bit words, and sign extension.
 * All results of `extract` and `deposit` are unsigned (0 .. 2^32-1). Inputs may be signed or unsigned 32-bit numbers.
 * Positions and lengths are not checked at run time (these stand in hot paths): start >= 0, length >= 1, start + length <= 32.
 */

/** The `length` bits of `value` from bit `start` upwards. Hot path. */
export function extract(value: number, start: number, length: number): number {
  // Shift counts are taken mod 32 by the language, so build the mask from the other side: length 32 gives all ones.
  return ((value >>> start) & (0xffff_ffff >>> (32 - length))) >>> 0;
}

/** `value` with the `length` bits from bit `start` upwards replaced by the low bits of `field`. Hot path. */
export function deposit(value: number, start: number, length: number, field: number): number {
  const mask = (0xffff_ffff >>> (32 - length)) << start;
  return ((value & ~mask) | ((field << start) & mask)) >>> 0;
}

/** The low `bits` (1 .. 32) of `value` as a two's-complement number. Hot path. */
export function signExtend(value: number, bits: number): number {
  const shift = 32 - bits;
  return (value << shift) >> shift;
}
