/**
 * Handlers of SSE and SSE2 conversions; what is computed is in convert-values.ts. Those of MMX registers are here whole.
 * SDM Vol. 2A "CVT*".
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ } from '../translate/translator.ts';
import { isWide } from './address.ts';
import {
  convert,
  doublesFromInt32,
  floatsFromInt32,
  fromGeneral,
  narrow,
  scalarFormat,
  scratch64,
  toGeneral,
  toInt32,
  widen,
} from './convert-values.ts';
import { bytesOf, finish, finishFlags, scratchVector, spill } from './float-values.ts';
import type { FloatType } from './float-values.ts';
import { SSE_DST, SSE_SRC } from './mxcsr.ts';
import { enterMmx, mm, setMm64, sseMmxReady, sseReady, xmmSource } from './simd-operands.ts';

const SPLAT64 = opId('i64x2_splat');

/** XMM register = f(source of `bytes` bytes). */
const unary =
  (bytes: number, compute: (t: Translator, s: Value, flags: Value[]) => Value): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const result = compute(t, xmmSource(t, bytes), flags);
    finish(t, flags, () => t.setXmm(i.reg, result));
  };
const general =
  (type: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const v = t.read(1);
    const result = fromGeneral(t, type, t.xmm(i.reg), v, isWide(t), flags);
    finish(t, flags, () => t.setXmm(i.reg, result));
  };
const intoGeneral =
  (type: FloatType, truncate: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const result = toGeneral(t, type, truncate, xmmSource(t, bytesOf(type)), isWide(t), flags);
    finish(t, flags, () => t.setReg(i.reg, isWide(t) ? 3 : 2, result));
  };
const scalar =
  (from: FloatType, to: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const s = xmmSource(t, bytesOf(from));
    const result = scalarFormat(t, from, to, t.xmm(i.reg), s, flags);
    finish(t, flags, () => t.setXmm(i.reg, result));
  };

// --- MMX ----------------------------------------------------------------------------------------------------------------
/** From MMX or 8 bytes of memory. The f64 form with a memory operand has nothing to do with MMX state. */
const fromMmx =
  (type: FloatType): Handler =>
  (t, i) => {
    const usesMmx = type === 'f32' || !t.isMem;
    if (usesMmx ? !sseMmxReady(t) : !sseReady(t)) return;
    const s = t.isMem ? t.b.emit(SPLAT64, t.load(3, t.memory(8, ACCESS_READ))) : mm(t, i.rm);
    if (type === 'f64') {
      if (usesMmx) enterMmx(t);
      t.setXmm(i.reg, doublesFromInt32(t, s));
      return;
    }
    spill(t, t.xmm(i.reg), s);
    finishFlags(t, convert(t, 'sse_cvt_i32_f32', 2), () => {
      enterMmx(t);
      t.setXmm(i.reg, scratchVector(t, SSE_DST));
    });
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

export const SIMD_CONVERT_HANDLERS: HandlerTable = {
  cvtsi2sd: general('f64'),
  cvtsi2ss: general('f32'),
  cvtdq2pd: unary(8, doublesFromInt32),
  cvtdq2ps: unary(16, floatsFromInt32),
  cvtpi2ps: fromMmx('f32'),
  cvtpi2pd: fromMmx('f64'),
  cvtss2si: intoGeneral('f32', false),
  cvttss2si: intoGeneral('f32', true),
  cvtsd2si: intoGeneral('f64', false),
  cvttsd2si: intoGeneral('f64', true),
  cvtps2pi: toMmx('f32', false),
  cvttps2pi: toMmx('f32', true),
  cvtpd2pi: toMmx('f64', false),
  cvttpd2pi: toMmx('f64', true),
  cvtps2dq: unary(16, (t, s, flags) => toInt32(t, 'f32', false, s, flags)),
  cvttps2dq: unary(16, (t, s, flags) => toInt32(t, 'f32', true, s, flags)),
  cvtpd2dq: unary(16, (t, s, flags) => toInt32(t, 'f64', false, s, flags)),
  cvttpd2dq: unary(16, (t, s, flags) => toInt32(t, 'f64', true, s, flags)),
  cvtss2sd: scalar('f32', 'f64'),
  cvtsd2ss: scalar('f64', 'f32'),
  cvtps2pd: unary(8, widen),
  cvtpd2ps: unary(16, narrow),
};
