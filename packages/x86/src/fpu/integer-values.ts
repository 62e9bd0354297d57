/**
 * Integer SIMD operations that are more than one op, as functions of values of 128 bits (vector-ops.ts has those of two operands
 * without an immediate). MMX uses some of them on its low halves. SDM Vol. 2B under the mnemonics.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Translator } from '../translate/translator.ts';
import { FLAG_CF, FLAG_ZF } from '../state.ts';
import { low64, zero } from './simd-operands.ts';
import { byteLanes } from './vector-ops.ts';

const BITSELECT = opId('v128_bitselect');
const ANY_TRUE = opId('v128_any_true');
const AND = opId('v128_and');
const ANDNOT = opId('v128_andnot');
const OR = opId('v128_or');
const WORD_LANE_U = opId('i16x8_extract_lane_u');
const REPLACE_DWORD = opId('i32x4_replace_lane');
const SUB_SAT_U = opId('i8x16_sub_sat_u');
const ADD_WORD = opId('i16x8_add');
const EXTEND_LOW_U = opId('i16x8_extend_low_i8x16_u');

// --- shifts -----------------------------------------------------------------------------------------------------------
export type ShiftWidth = 'i16x8' | 'i32x4' | 'i64x2';
export type ShiftKind = 'shl' | 'shr_u' | 'shr_s';
const BITS: Readonly<Record<ShiftWidth, number>> = { i16x8: 16, i32x4: 32, i64x2: 64 };
const WIDTHS = Object.keys(BITS) as ShiftWidth[];
const KINDS: readonly ShiftKind[] = ['shl', 'shr_u', 'shr_s'];
const SHIFT = Object.fromEntries(WIDTHS.flatMap((w) => KINDS.map((k) => [`${w}_${k}`, opId(`${w}_${k}`)] as const)));

/** A count beyond the width gives zero (arithmetic: the sign). */
export function shiftByImmediate(t: Translator, width: ShiftWidth, kind: ShiftKind, v: Value, count: number): Value {
  const id = SHIFT[`${width}_${kind}`]!;
  const bits = BITS[width];
  if (count >= bits) return kind === 'shr_s' ? t.b.emit(id, v, t.b.i32(bits - 1)) : zero(t);
  return t.b.emit(id, v, t.b.i32(count));
}
/** The count is the low 64 bits of a vector. */
export function shiftByVector(t: Translator, width: ShiftWidth, kind: ShiftKind, v: Value, countVector: Value): Value {
  const { b } = t;
  const id = SHIFT[`${width}_${kind}`]!;
  const bits = BITS[width];
  const count = low64(t, countVector);
  const beyond = b.gtU(count, b.i64(bits - 1));
  if (kind === 'shr_s') return b.emit(id, v, b.select(beyond, b.i32(bits - 1), b.wrap(count)));
  return b.select(beyond, zero(t), b.emit(id, v, b.wrap(count)));
}
/** PSLLDQ, PSRLDQ. */
export function shiftBytes(t: Translator, v: Value, left: boolean, count: number): Value {
  const n = Math.min(count, 16);
  const lanes = Uint8Array.from({ length: 16 }, (_, k) => (left ? 16 + k - n : k + n));
  return left ? t.b.shuffle(zero(t), v, lanes) : t.b.shuffle(v, zero(t), lanes);
}

// --- shuffles by immediate ----------------------------------------------------------------------------------------------
const field = (imm: number, n: number): number => (imm >> (2 * n)) & 3;
const blend =
  (width: number) =>
  (imm: number): Uint8Array =>
    byteLanes(width, ...Array.from({ length: 16 / width }, (_, n) => n + (((imm >> n) & 1) !== 0 ? 16 / width : 0)));
export type ShuffleName = 'pshufd' | 'pshuflw' | 'pshufhw' | 'shufps' | 'shufpd' | 'blendps' | 'blendpd' | 'pblendw';
/** Byte lanes of a shuffle of (destination or first source, last source); the PSHUFs look at the latter alone. */
export const SHUFFLES: Readonly<Record<ShuffleName, (imm: number) => Uint8Array>> = {
  pshufd: (imm) => byteLanes(4, ...[0, 1, 2, 3].map((n) => 4 + field(imm, n))),
  // also PSHUFW: the four words of an MMX register are the low ones of a v128
  pshuflw: (imm) => byteLanes(2, ...[0, 1, 2, 3].map((n) => 8 + field(imm, n)), 12, 13, 14, 15),
  pshufhw: (imm) => byteLanes(2, 8, 9, 10, 11, ...[0, 1, 2, 3].map((n) => 12 + field(imm, n))),
  shufps: (imm) => byteLanes(4, field(imm, 0), field(imm, 1), 4 + field(imm, 2), 4 + field(imm, 3)),
  shufpd: (imm) => byteLanes(8, imm & 1, 2 + ((imm >> 1) & 1)),
  blendps: blend(4),
  blendpd: blend(8),
  pblendw: blend(2),
};
/** PALIGNR: the operands of `size` bytes as one value, src low, shifted right by n bytes. */
export function alignRight(t: Translator, d: Value, s: Value, n: number, size: 8 | 16): Value {
  if (n >= 2 * size) return zero(t);
  const within = (k: number): number => (k < size ? k : 16 + k - size);
  if (n <= size)
    return t.b.shuffle(
      s,
      d,
      Uint8Array.from({ length: 16 }, (_, k) => (k + n < 2 * size ? within(k + n) : 0)),
    );
  return t.b.shuffle(
    d,
    zero(t),
    Uint8Array.from({ length: 16 }, (_, k) => (k + n - size < size ? k + n - size : 16)),
  );
}

// --- blends by mask, tests ------------------------------------------------------------------------------------------------
export type BlendWidth = 'i8x16' | 'i32x4' | 'i64x2';
const SIGN_SHIFT: Readonly<Record<BlendWidth, readonly [number, number]>> = {
  i8x16: [opId('i8x16_shr_s'), 7],
  i32x4: [opId('i32x4_shr_s'), 31],
  i64x2: [opId('i64x2_shr_s'), 63],
};
/** Lanes of s where the top bit of the mask's lane is set, else of d. */
export function blendByMask(t: Translator, width: BlendWidth, d: Value, s: Value, mask: Value): Value {
  const [shift, count] = SIGN_SHIFT[width];
  return t.b.emit(BITSELECT, s, d, t.b.emit(shift, mask, t.b.i32(count)));
}
/** PTEST, VPTEST: EFLAGS from all pairs of (destination, source). */
export function testVectors(t: Translator, pairs: readonly (readonly [d: Value, s: Value])[]): Value {
  const { b } = t;
  const anyOf = (f: (d: Value, s: Value) => Value): Value =>
    b.emit(
      ANY_TRUE,
      pairs.map(([d, s]) => f(d, s)).reduce((x, y) => b.emit(OR, x, y)),
    );
  const zf = b.select(
    anyOf((d, s) => b.emit(AND, d, s)),
    b.i32(0),
    b.i32(FLAG_ZF),
  );
  const cf = b.select(
    anyOf((d, s) => b.emit(ANDNOT, s, d)),
    b.i32(0),
    b.i32(FLAG_CF),
  );
  return b.or(zf, cf);
}

// --- PHMINPOSUW, MPSADBW --------------------------------------------------------------------------------------------------
export function minimumWord(t: Translator, s: Value): Value {
  const { b } = t;
  // Smallest of value * 8 + index: the first minimum.
  let best = -1;
  for (let n = 0; n < 8; n++) {
    const key = b.or(b.shl(b.emit(WORD_LANE_U, s, -1, -1, n), b.i32(3)), b.i32(n));
    best = best < 0 ? key : b.select(b.ltU(key, best), key, best);
  }
  return b.emit(REPLACE_DWORD, zero(t), b.or(b.shr(best, b.i32(3)), b.shl(b.and(best, b.i32(7)), b.i32(16))));
}
/** MPSADBW: eight sums of four absolute differences; |a - b| of byte k and window k..k+7. */
export function sumsOfDifferences(t: Translator, d: Value, s: Value, imm: number): Value {
  const { b } = t;
  const from = ((imm >> 2) & 1) * 4;
  const block = (imm & 3) * 4;
  let sum = -1;
  for (let k = 0; k < 4; k++) {
    const window = b.shuffle(
      d,
      d,
      Uint8Array.from({ length: 16 }, (_, n) => Math.min(15, from + k + n)),
    );
    const byte = b.shuffle(s, s, new Uint8Array(16).fill(block + k));
    const difference = b.emit(
      EXTEND_LOW_U,
      b.emit(OR, b.emit(SUB_SAT_U, window, byte), b.emit(SUB_SAT_U, byte, window)),
    );
    sum = sum < 0 ? difference : b.emit(ADD_WORD, sum, difference);
  }
  return sum;
}
