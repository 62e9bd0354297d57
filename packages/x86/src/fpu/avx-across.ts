/**
 * Handlers of AVX and AVX2 instructions that move data between the halves or choose by lane: broadcasts, 128-bit inserts and
 * extracts, permutations, shifts by lane. SDM Vol. 2C under the mnemonics.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ } from '../translate/translator.ts';
import {
  eachHalf,
  first,
  isYmm,
  low32,
  low64,
  setResult,
  source,
  sseReady,
  storeAddress,
  xmmSource,
  ymm,
  zero,
} from './simd-operands.ts';
import type { Halves } from './simd-operands.ts';
import { byteLanes } from './vector-ops.ts';

const AND = opId('v128_and');
const OR = opId('v128_or');
const SWIZZLE = opId('i8x16_swizzle');
const B_ADD = opId('i8x16_add');
const B_SUB = opId('i8x16_sub');
const D_MUL = opId('i32x4_mul');
const Q_MUL = opId('i64x2_mul');
const Q_SHR = opId('i64x2_shr_u');
const SPLAT32 = opId('i32x4_splat');
const SPLAT64 = opId('i64x2_splat');
/** By log2 of the element's bytes. */
const SPLAT = [opId('i8x16_splat'), opId('i16x8_splat'), SPLAT32, SPLAT64];

const repeated = (...bytes: number[]): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, n) => bytes[n % bytes.length]!);

// --- broadcasts -----------------------------------------------------------------------------------------------------------
const broadcast =
  (size: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    let v: Value;
    if (size === 4) v = xmmSource(t, 16);
    else if (t.isMem) {
      const x = t.load(size, t.memory(1 << size, ACCESS_READ));
      v = b.emit(SPLAT[size]!, x);
    } else {
      const s = t.xmm(i.rm);
      if (size === 3) v = b.emit(SPLAT64, low64(t, s));
      else if (size === 2) v = b.emit(SPLAT32, low32(t, s));
      else v = b.shuffle(s, s, repeated(...(size === 0 ? [0] : [0, 1])));
    }
    setResult(t, v, isYmm(t) ? v : -1);
  };

// --- 128-bit pieces ---------------------------------------------------------------------------------------------------------
const insert128: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const s = xmmSource(t, 16);
  const d = first(t);
  if ((i.imm & 1) === 0) setResult(t, s, d.hi);
  else setResult(t, d.lo, s);
};
const extract128: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const v = ymm(t, i.reg);
  const half = (i.imm & 1) === 0 ? v.lo : v.hi;
  if (t.isMem) t.store(4, storeAddress(t, 16), half);
  else setResult(t, half, -1, i.rm);
};
const perm2x128: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const s = source(t);
  const d = first(t);
  const pieces = [d.lo, d.hi, s.lo, s.hi];
  const piece = (control: number): Value => ((control & 8) !== 0 ? zero(t) : pieces[control & 3]!);
  setResult(t, piece(i.imm), piece(i.imm >> 4));
};
/** VPERMQ, VPERMPD. */
const permq: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const s = source(t);
  const half = (imm: number): Value => t.b.shuffle(s.lo, s.hi, byteLanes(8, imm & 3, (imm >> 2) & 3));
  setResult(t, half(i.imm), half(i.imm >> 4));
};

// --- permutations by vector ---------------------------------------------------------------------------------------------------
const BYTES_OF_DWORD = repeated(0, 1, 2, 3);
const BYTES_OF_QUAD = repeated(0, 1, 2, 3, 4, 5, 6, 7);
/** Byte numbers of the dwords whose numbers are in the lanes of `v` (masked by `mask`). */
const dwordBytes = (t: Translator, v: Value, mask: number): Value => {
  const { b } = t;
  const n = b.emit(AND, v, b.v128(repeated(mask, 0, 0, 0)));
  return b.emit(B_ADD, b.emit(D_MUL, n, b.v128(repeated(4, 4, 4, 4))), b.v128(BYTES_OF_DWORD));
};
/** VPERMD, VPERMPS: the numbers are in vvvv. What is out of a swizzle's range comes out zero. */
const permd: Handler = (t) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const s = source(t);
  const pick = (numbers: Value): Value => {
    const bytes = dwordBytes(t, numbers, 7);
    return b.emit(OR, b.emit(SWIZZLE, s.lo, bytes), b.emit(SWIZZLE, s.hi, b.emit(B_SUB, bytes, b.v128(repeated(16)))));
  };
  const control: Halves = first(t);
  setResult(t, pick(control.lo), pick(control.hi));
};
const permilps: Handler = (t) => {
  if (sseReady(t)) eachHalf(t, (d, s) => t.b.emit(SWIZZLE, d, dwordBytes(t, s, 3)));
};
/** Bit 1 of each control chooses. */
const permilpd: Handler = (t) => {
  if (!sseReady(t)) return;
  const { b } = t;
  eachHalf(t, (d, s) => {
    const n = b.emit(AND, b.emit(Q_SHR, s, b.i32(1)), b.v128(repeated(1, 0, 0, 0, 0, 0, 0, 0)));
    const bytes = b.emit(B_ADD, b.emit(Q_MUL, n, b.v128(repeated(8))), b.v128(BYTES_OF_QUAD));
    return b.emit(SWIZZLE, d, bytes);
  });
};
const permilpdImmediate: Handler = (t, i) => {
  if (!sseReady(t)) return;
  let { imm } = i;
  eachHalf(t, (_d, s) => {
    const v = t.b.shuffle(s, s, byteLanes(8, imm & 1, (imm >> 1) & 1));
    imm >>= 2;
    return v;
  });
};

// --- shifts by lane -----------------------------------------------------------------------------------------------------------
type Kind = 'shl' | 'shr' | 'sar';
const shiftByLane = (size: 2 | 3, kind: Kind): Handler => {
  const lanes = size === 2 ? 4 : 2;
  const bits = 8 << size;
  const extract = opId(size === 2 ? 'i32x4_extract_lane' : 'i64x2_extract_lane');
  const replace = opId(size === 2 ? 'i32x4_replace_lane' : 'i64x2_replace_lane');
  return (t) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const constant = (n: number): Value => (size === 2 ? b.i32(n) : b.i64(n));
    eachHalf(t, (d, s) => {
      let result = d;
      for (let n = 0; n < lanes; n++) {
        const x = b.emit(extract, d, -1, -1, n);
        const count = b.emit(extract, s, -1, -1, n);
        const within = b.ltU(count, constant(bits));
        const v =
          kind === 'sar'
            ? b.sar(x, b.select(within, count, constant(bits - 1)))
            : b.select(within, b[kind](x, count), constant(0));
        result = b.emit(replace, result, v, -1, n);
      }
      return result;
    });
  };
};

export const AVX_ACROSS_HANDLERS: HandlerTable = {
  vbroadcastb: broadcast(0),
  vbroadcastw: broadcast(1),
  vbroadcastd: broadcast(2),
  vbroadcastq: broadcast(3),
  vbroadcast128: broadcast(4),
  vinsertf128: insert128,
  vinserti128: insert128,
  vextractf128: extract128,
  vextracti128: extract128,
  vperm2f128: perm2x128,
  vperm2i128: perm2x128,
  vpermq: permq,
  vpermd: permd,
  vpermilps: permilps,
  vpermilpd: permilpd,
  vpermilpd_imm: permilpdImmediate,
  vpsllvd: shiftByLane(2, 'shl'),
  vpsllvq: shiftByLane(3, 'shl'),
  vpsrlvd: shiftByLane(2, 'shr'),
  vpsrlvq: shiftByLane(3, 'shr'),
  vpsravd: shiftByLane(2, 'sar'),
};
