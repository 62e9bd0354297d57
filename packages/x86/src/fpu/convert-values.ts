/**
 * Conversions of SSE and AVX as functions of values, in the way of float-values.ts: 128 bits in and out, flags collected, nothing
 * set. A vector result of 64 bits has zeros above. SDM Vol. 2A "CVT*".
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Translator } from '../translate/translator.ts';
import { LANES, badConversion, bailOutOfInt32, bailSpecialLanes, laneOf, withLane } from './float-lanes.ts';
import type { FloatType } from './float-lanes.ts';
import { isFast, mxcsr, scratchVector, spill } from './float-values.ts';
import { SSE_DST, SSE_SRC } from './mxcsr.ts';
import { low64, zeroExtend64 } from './simd-operands.ts';

const ENVLD_I64 = opId('envld_i64');
const SPLAT64 = opId('i64x2_splat');
const F64_FROM_I32 = opId('f64_convert_i32_s');
const F32_FROM_I32 = opId('f32_convert_i32_s');
const F64_FROM_I64 = opId('f64_convert_i64_s');
const F32_FROM_I64 = opId('f32_convert_i64_s');
const F64X2_FROM_I32 = opId('f64x2_convert_low_i32x4_s');
const F32X4_FROM_I32 = opId('f32x4_convert_i32x4_s');
const F64_FROM_F32 = opId('f64_promote_f32');
const F32_FROM_F64 = opId('f32_demote_f64');
const F64X2_FROM_F32 = opId('f64x2_promote_low_f32x4');
const I32_FROM: Readonly<Record<FloatType, number>> = {
  f32: opId('i32_trunc_sat_f32_s'),
  f64: opId('i32_trunc_sat_f64_s'),
};
const I64_FROM: Readonly<Record<FloatType, number>> = {
  f32: opId('i64_trunc_sat_f32_s'),
  f64: opId('i64_trunc_sat_f64_s'),
};
const I32X4_FROM: Readonly<Record<FloatType, number>> = {
  f32: opId('i32x4_trunc_sat_f32x4_s'),
  f64: opId('i32x4_trunc_sat_f64x2_s_zero'),
};
const F64_LT = opId('f64_lt');
const F64_GT = opId('f64_gt');
const F64_GE = opId('f64_ge');
const REINTERPRET = opId('f64_reinterpret_i64');
const ALL = new Uint8Array(16).fill(0xff);

export const scratch64 = (t: Translator): Value => t.b.emit(ENVLD_I64, -1, -1, -1, SSE_DST);

/** Exact conversion of `lanes` lanes at SSE_SRC into SSE_DST. */
export const convert = (t: Translator, name: string, lanes: number): Value =>
  t.callw(name, t.b.envAddr(SSE_DST), t.b.envAddr(SSE_SRC), t.b.i32(lanes), mxcsr(t));

// --- scalars ------------------------------------------------------------------------------------------------------------
/** CVTSI2SS, CVTSI2SD: lane 0 of `d` from an i32 or i64. Only 32 bits to f64 are always exact. */
export function fromGeneral(t: Translator, type: FloatType, d: Value, v: Value, wide: boolean, flags: Value[]): Value {
  if (isFast(t) || (type === 'f64' && !wide)) {
    const id = type === 'f64' ? (wide ? F64_FROM_I64 : F64_FROM_I32) : wide ? F32_FROM_I64 : F32_FROM_I32;
    return withLane(t.b, LANES[type], d, t.b.emit(id, v));
  }
  t.envStore(SSE_DST, d);
  t.envStore(SSE_SRC, v);
  flags.push(convert(t, `sse_cvt_${wide ? 'i64' : 'i32'}_${type}`, 1));
  return scratchVector(t, SSE_DST);
}
/** CVT(T)SS2SI, CVT(T)SD2SI: an i32 or i64 from lane 0. */
export function toGeneral(
  t: Translator,
  type: FloatType,
  truncate: boolean,
  s: Value,
  wide: boolean,
  flags: Value[],
): Value {
  const { b } = t;
  if (isFast(t)) {
    const l = LANES[type];
    let x = laneOf(b, l, s);
    if (!truncate) x = b.emit(l.scalar['nearest']!, x);
    const double = type === 'f32' ? b.emit(F64_FROM_F32, x) : x;
    const limit = (hi: number, lo: number): Value => b.emit(REINTERPRET, b.i64Parts(lo, hi));
    // -2^31 - 1 < x < 2^31, or -2^63 <= x < 2^63 (no double lies just below): false for NaNs
    const above = wide
      ? b.emit(F64_GE, double, limit(0xc3e00000, 0))
      : b.emit(F64_GT, double, limit(0xc1e00000, 0x00200000));
    b.bailIf(b.eqz(b.and(above, b.emit(F64_LT, double, limit(wide ? 0x43e00000 : 0x41e00000, 0)))));
    return b.emit((wide ? I64_FROM : I32_FROM)[type], x);
  }
  t.envStore(SSE_SRC, s);
  flags.push(convert(t, `sse_cvt${truncate ? 't' : ''}_${type}_${wide ? 'i64' : 'i32'}`, 1));
  return wide ? scratch64(t) : t.envLoad(SSE_DST);
}
/** CVTSS2SD, CVTSD2SS: lane 0 of `d` from lane 0 of `s`. */
export function scalarFormat(t: Translator, from: FloatType, to: FloatType, d: Value, s: Value, flags: Value[]): Value {
  const { b } = t;
  if (isFast(t)) {
    const x = laneOf(b, LANES[from], s);
    const r = b.emit(from === 'f32' ? F64_FROM_F32 : F32_FROM_F64, x);
    b.bailIf(badConversion(b, from, x, to, r));
    return withLane(b, LANES[to], d, r);
  }
  spill(t, d, s);
  flags.push(convert(t, `sse_cvt_${from}_${to}`, 1));
  return scratchVector(t, SSE_DST);
}

// --- vectors ------------------------------------------------------------------------------------------------------------
/** CVTDQ2PD: the two low integers; always exact. */
export const doublesFromInt32 = (t: Translator, s: Value): Value => t.b.emit(F64X2_FROM_I32, s);
/** CVTDQ2PS. */
export function floatsFromInt32(t: Translator, s: Value, flags: Value[]): Value {
  if (isFast(t)) return t.b.emit(F32X4_FROM_I32, s);
  t.envStore(SSE_SRC, s);
  flags.push(convert(t, 'sse_cvt_i32_f32', 4));
  return scratchVector(t, SSE_DST);
}
/** CVT(T)PS2DQ, CVT(T)PD2DQ. */
export function toInt32(t: Translator, type: FloatType, truncate: boolean, s: Value, flags: Value[]): Value {
  const { b } = t;
  if (isFast(t)) {
    const x = truncate ? s : b.emit(LANES[type].vector['nearest']!, s);
    bailOutOfInt32(b, type, x, ALL);
    return b.emit(I32X4_FROM[type], x);
  }
  t.envStore(SSE_SRC, s);
  flags.push(convert(t, `sse_cvt${truncate ? 't' : ''}_${type}_i32`, type === 'f64' ? 2 : 4));
  return type === 'f64' ? zeroExtend64(t, scratch64(t)) : scratchVector(t, SSE_DST);
}
/** CVTPS2PD: the two low lanes. */
export function widen(t: Translator, s: Value, flags: Value[]): Value {
  const { b } = t;
  if (isFast(t)) {
    const low = b.emit(SPLAT64, low64(t, s));
    bailSpecialLanes(b, 'f32', low, low);
    return b.emit(F64X2_FROM_F32, s);
  }
  t.envStore(SSE_SRC, s);
  flags.push(convert(t, 'sse_cvt_f32_f64', 2));
  return scratchVector(t, SSE_DST);
}
/** CVTPD2PS. */
export function narrow(t: Translator, s: Value, flags: Value[]): Value {
  t.envStore(SSE_SRC, s);
  flags.push(convert(t, 'sse_cvt_f64_f32', 2));
  return zeroExtend64(t, scratch64(t));
}
/** VCVTPH2PS: the four low halves. */
export function floatsFromHalves(t: Translator, s: Value, flags: Value[]): Value {
  t.envStore(SSE_SRC, s);
  flags.push(convert(t, 'sse_cvt_f16_f32', 4));
  return scratchVector(t, SSE_DST);
}
/** VCVTPS2PH: four halves as an i64. */
export function halvesFromFloats(t: Translator, s: Value, imm: number, flags: Value[]): Value {
  const { b } = t;
  t.envStore(SSE_SRC, s);
  flags.push(t.callw('sse_cvt_f32_f16', b.envAddr(SSE_DST), b.envAddr(SSE_SRC), b.i32(4 | ((imm & 7) << 8)), mxcsr(t)));
  return scratch64(t);
}
