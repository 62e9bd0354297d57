/**
 * 64-bit addresses as numbers and as halves. A canonical 48-bit address is exact as a signed number; what is not canonical
 * is refused while it still is two halves, or by a compare of the number, whose rounding then does not matter.
 * SDM Vol. 1 §3.3.7.1 "Canonical Addressing"; docs/adr/0015. Hot path throughout: no allocation.
 */
export const TWO32 = 0x1_0000_0000;
const LOWEST = -(2 ** 47);
const END = 2 ** 47;

/** The signed number of two halves; exact if it is canonical. */
export const numberOf = (low: number, high: number): number => (high | 0) * TWO32 + (low >>> 0);
/** High half of a number, as i32 bits when stored. */
export const highHalf = (n: number): number => Math.floor(n / TWO32);
/** Bits 63 to 47 are equal. */
export const canonicalHigh = (high: number): boolean => {
  const top = high >> 15;
  return top === 0 || top === -1;
};
export const canonicalNumber = (n: number): boolean => n >= LOWEST && n < END;
