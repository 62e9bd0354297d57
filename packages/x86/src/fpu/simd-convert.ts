/**
 * Handlers of SSE and SSE2 conversions. Those that cannot raise a flag (int32 to f64) are plain IR in both tiers; the
 * rest has an exact form (soft-float) and a fast form as in simd-float.ts. SDM Vol. 2A "CVT*".
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ } from '../translate/translator.ts';
import { LANES, badConversion, bailOutOfInt32, bailSpecialLanes, laneOf, withLane } from './float-lanes.ts';
import type { FloatType } from './float-lanes.ts';
import { isWide } from './address.ts';
import { SSE_DST, SSE_SRC } from './mxcsr.ts';
import { enterMmx, low64, mm, setMm64, sseMmxReady, sseReady, xmmSource, zeroExtend64 } from './simd-operands.ts';
import { finishFlags, isFast, mxcsr, scratchVector, spill } from './simd-float.ts';

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

const scratch64 = (t: Translator): Value => t.b.emit(ENVLD_I64, -1, -1, -1, SSE_DST);
const bytesOf = (type: FloatType): number => (type === 'f64' ? 8 : 4);

/** Exact conversion of `lanes` lanes at SSE_SRC into SSE_DST. */
const convert = (t: Translator, name: string, lanes: number): Value =>
  t.callw(name, t.b.envAddr(SSE_DST), t.b.envAddr(SSE_SRC), t.b.i32(lanes), mxcsr(t));

// --- from integers ------------------------------------------------------------------------------------------------------
/** CVTSI2SS, CVTSI2SD. Only 32 bits to f64 are always exact. */
const fromGeneral =
  (type: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const wide = isWide(t);
    const v = t.read(1);
    if (isFast(t) || (type === 'f64' && !wide)) {
      const id = type === 'f64' ? (wide ? F64_FROM_I64 : F64_FROM_I32) : wide ? F32_FROM_I64 : F32_FROM_I32;
      t.setXmm(i.reg, withLane(t.b, LANES[type], t.xmm(i.reg), t.b.emit(id, v)));
      return;
    }
    t.envStore(SSE_DST, t.xmm(i.reg));
    t.envStore(SSE_SRC, v);
    const flags = convert(t, `sse_cvt_${wide ? 'i64' : 'i32'}_${type}`, 1);
    finishFlags(t, flags, () => t.setXmm(i.reg, scratchVector(t, SSE_DST)));
  };
const cvtdq2pd: Handler = (t, i) => {
  if (sseReady(t)) t.setXmm(i.reg, t.b.emit(F64X2_FROM_I32, xmmSource(t, 8)));
};
const cvtdq2ps: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const s = xmmSource(t, 16);
  if (isFast(t)) {
    t.setXmm(i.reg, t.b.emit(F32X4_FROM_I32, s));
    return;
  }
  t.envStore(SSE_SRC, s);
  finishFlags(t, convert(t, 'sse_cvt_i32_f32', 4), () => t.setXmm(i.reg, scratchVector(t, SSE_DST)));
};
/** From MMX or 8 bytes of memory. The f64 form with a memory operand has nothing to do with MMX state. */
const fromMmx =
  (type: FloatType): Handler =>
  (t, i) => {
    const usesMmx = type === 'f32' || !t.isMem;
    if (usesMmx ? !sseMmxReady(t) : !sseReady(t)) return;
    const s = t.isMem ? t.b.emit(SPLAT64, t.b.load('ld64', t.memory(8, ACCESS_READ))) : mm(t, i.rm);
    if (type === 'f64') {
      if (usesMmx) enterMmx(t);
      t.setXmm(i.reg, t.b.emit(F64X2_FROM_I32, s));
      return;
    }
    spill(t, t.xmm(i.reg), s);
    finishFlags(t, convert(t, 'sse_cvt_i32_f32', 2), () => {
      enterMmx(t);
      t.setXmm(i.reg, scratchVector(t, SSE_DST));
    });
  };

// --- to integers ----------------------------------------------------------------------------------------------------------
const toGeneral =
  (type: FloatType, truncate: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const s = xmmSource(t, bytesOf(type));
    const wide = isWide(t);
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
      t.setReg(i.reg, wide ? 3 : 2, b.emit((wide ? I64_FROM : I32_FROM)[type], x));
      return;
    }
    t.envStore(SSE_SRC, s);
    const flags = convert(t, `sse_cvt${truncate ? 't' : ''}_${type}_${wide ? 'i64' : 'i32'}`, 1);
    finishFlags(t, flags, () => t.setReg(i.reg, wide ? 3 : 2, wide ? scratch64(t) : t.envLoad(SSE_DST)));
  };
const toMmx =
  (type: FloatType, truncate: boolean): Handler =>
  (t, i) => {
    if (!sseMmxReady(t)) return;
    t.envStore(SSE_SRC, xmmSource(t, type === 'f64' ? 16 : 8));
    finishFlags(t, convert(t, `sse_cvt${truncate ? 't' : ''}_${type}_i32`, 2), () => {
      enterMmx(t);
      setMm64(t, i.reg, scratch64(t));
    });
  };
const toLanes =
  (type: FloatType, truncate: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const s = xmmSource(t, 16);
    if (isFast(t)) {
      const x = truncate ? s : b.emit(LANES[type].vector['nearest']!, s);
      bailOutOfInt32(b, type, x, ALL);
      t.setXmm(i.reg, b.emit(I32X4_FROM[type], x));
      return;
    }
    t.envStore(SSE_SRC, s);
    const flags = convert(t, `sse_cvt${truncate ? 't' : ''}_${type}_i32`, type === 'f64' ? 2 : 4);
    finishFlags(t, flags, () =>
      t.setXmm(i.reg, type === 'f64' ? zeroExtend64(t, scratch64(t)) : scratchVector(t, SSE_DST)),
    );
  };

// --- between formats --------------------------------------------------------------------------------------------------------
const scalarFormat =
  (from: FloatType, to: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const s = xmmSource(t, bytesOf(from));
    const d = t.xmm(i.reg);
    if (isFast(t)) {
      const x = laneOf(b, LANES[from], s);
      const r = b.emit(from === 'f32' ? F64_FROM_F32 : F32_FROM_F64, x);
      b.bailIf(badConversion(b, from, x, to, r));
      t.setXmm(i.reg, withLane(b, LANES[to], d, r));
      return;
    }
    spill(t, d, s);
    finishFlags(t, convert(t, `sse_cvt_${from}_${to}`, 1), () => t.setXmm(i.reg, scratchVector(t, SSE_DST)));
  };
const cvtps2pd: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const s = xmmSource(t, 8);
  if (isFast(t)) {
    const low = b.emit(SPLAT64, low64(t, s));
    bailSpecialLanes(b, 'f32', low, low);
    t.setXmm(i.reg, b.emit(F64X2_FROM_F32, s));
    return;
  }
  t.envStore(SSE_SRC, s);
  finishFlags(t, convert(t, 'sse_cvt_f32_f64', 2), () => t.setXmm(i.reg, scratchVector(t, SSE_DST)));
};
const cvtpd2ps: Handler = (t, i) => {
  if (!sseReady(t)) return;
  t.envStore(SSE_SRC, xmmSource(t, 16));
  finishFlags(t, convert(t, 'sse_cvt_f64_f32', 2), () => t.setXmm(i.reg, zeroExtend64(t, scratch64(t))));
};

export const SIMD_CONVERT_HANDLERS: HandlerTable = {
  cvtsi2sd: fromGeneral('f64'),
  cvtsi2ss: fromGeneral('f32'),
  cvtdq2pd,
  cvtdq2ps,
  cvtpi2ps: fromMmx('f32'),
  cvtpi2pd: fromMmx('f64'),
  cvtss2si: toGeneral('f32', false),
  cvttss2si: toGeneral('f32', true),
  cvtsd2si: toGeneral('f64', false),
  cvttsd2si: toGeneral('f64', true),
  cvtps2pi: toMmx('f32', false),
  cvttps2pi: toMmx('f32', true),
  cvtpd2pi: toMmx('f64', false),
  cvttpd2pi: toMmx('f64', true),
  cvtps2dq: toLanes('f32', false),
  cvttps2dq: toLanes('f32', true),
  cvtpd2dq: toLanes('f64', false),
  cvttpd2dq: toLanes('f64', true),
  cvtss2sd: scalarFormat('f32', 'f64'),
  cvtsd2ss: scalarFormat('f64', 'f32'),
  cvtps2pd,
  cvtpd2ps,
};
