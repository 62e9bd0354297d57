/** The binary interchange formats and what the arithmetic needs to know of them. IEEE 754-2008 table 3.5; SDM Vol. 1 §4.2.2. */

export interface Format {
  readonly name: 'f16' | 'f32' | 'f64';
  readonly bytes: number;
  /** Precision in bits, the implicit one included. */
  readonly precision: number;
  readonly bias: number;
  /** Biased exponent of infinities and NaNs. */
  readonly maxExp: number;
}

export const F16: Format = { name: 'f16', bytes: 2, precision: 11, bias: 15, maxExp: 0x1f };
export const F32: Format = { name: 'f32', bytes: 4, precision: 24, bias: 127, maxExp: 0xff };
export const F64: Format = { name: 'f64', bytes: 8, precision: 53, bias: 1023, maxExp: 0x7ff };

/** Position of the sign. */
export const topBit = (t: Format): number => 8 * t.bytes - 1;

/** The 80-bit format: bias of the exponent, and its value for infinities and NaNs. */
export const F80_BIAS = 16383;
export const F80_MAX_EXP = 0x7fff;
/** What an unmasked overflow or underflow takes from or adds to the exponent. SDM Vol. 1 §8.5.4, §8.5.5. */
export const F80_EXP_ADJUST = 24576;
