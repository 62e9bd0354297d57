/**
 * Handlers of AVX and F16C conversions: the operations of convert-values.ts. Where element sizes differ, 256 bits of one side are
 * 128 of the other. SDM Vol. 2A "CVT*", Vol. 2C "VCVTPH2PS", "VCVTPS2PH".
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_WRITE } from '../translate/translator.ts';
import {
  doublesFromInt32,
  floatsFromHalves,
  floatsFromInt32,
  fromGeneral,
  halvesFromFloats,
  narrow,
  scalarFormat,
  toGeneral,
  toInt32,
  widen,
} from './convert-values.ts';
import { packed, scalar } from './avx-float.ts';
import { bytesOf, finish } from './float-values.ts';
import type { FloatType } from './float-values.ts';
import { firstXmm, isYmm, setResult, source, sseReady, xmmSource, ymm, zeroExtend64 } from './simd-operands.ts';
import { byteLanes } from './vector-ops.ts';

const REPLACE64 = opId('i64x2_replace_lane');
const UPPER_QUAD = byteLanes(8, 1, 0);
const LOW_QUADS = byteLanes(8, 0, 2);

const fromInteger =
  (type: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const v = t.read(2);
    const r = fromGeneral(t, type, firstXmm(t), v, i.size === 3, flags);
    finish(t, flags, () => setResult(t, r));
  };
const toInteger =
  (type: FloatType, truncate: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const wide = i.size === 3;
    const r = toGeneral(t, type, truncate, xmmSource(t, bytesOf(type)), wide, flags);
    finish(t, flags, () => t.setReg(i.reg, wide ? 3 : 2, r));
  };
/** From the low 8 bytes of 128 bits to 128: of 256 the second result comes from the upper 8. */
const widening =
  (f: (t: Translator, s: Value, flags: Value[]) => Value): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const s = xmmSource(t, isYmm(t) ? 16 : 8);
    const lo = f(t, s, flags);
    const hi = isYmm(t) ? f(t, t.b.shuffle(s, s, UPPER_QUAD), flags) : -1;
    finish(t, flags, () => setResult(t, lo, hi));
  };
/** From 128 bits to 8 bytes; the two results of 256 bits are one XMM register. */
const narrowing =
  (f: (t: Translator, s: Value, flags: Value[]) => Value): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const s = source(t);
    let r = f(t, s.lo, flags);
    if (isYmm(t)) r = t.b.shuffle(r, f(t, s.hi, flags), LOW_QUADS);
    finish(t, flags, () => setResult(t, r));
  };

// --- half precision ---------------------------------------------------------------------------------------------------------
/** To memory: #XM comes before #PF, and a store that faults leaves its flags in MXCSR (recorded hardware). */
const vcvtps2ph: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const wide = isYmm(t);
  const v = ymm(t, i.reg);
  const flags: Value[] = [];
  const size = wide ? 4 : 3;
  const address = t.isMem ? t.memory(1 << size, ACCESS_WRITE) : -1;
  const low = halvesFromFloats(t, v.lo, i.imm, flags);
  const high = wide ? halvesFromFloats(t, v.hi, i.imm, flags) : -1;
  const vector = wide ? b.emit(REPLACE64, zeroExtend64(t, low), high, -1, 1) : zeroExtend64(t, low);
  if (address < 0) {
    finish(t, flags, () => setResult(t, vector, -1, i.rm));
    return;
  }
  t.call(
    'sse_flags',
    flags.reduce((x, y) => b.or(x, y)),
  );
  t.store(size, address, wide ? vector : low);
  t.exitNext();
};

export const AVX_CONVERT_HANDLERS: HandlerTable = {
  vcvtsi2ss: fromInteger('f32'),
  vcvtsi2sd: fromInteger('f64'),
  vcvtss2si: toInteger('f32', false),
  vcvttss2si: toInteger('f32', true),
  vcvtsd2si: toInteger('f64', false),
  vcvttsd2si: toInteger('f64', true),
  vcvtss2sd: scalar(4, (t, d, s, flags) => scalarFormat(t, 'f32', 'f64', d, s, flags)),
  vcvtsd2ss: scalar(8, (t, d, s, flags) => scalarFormat(t, 'f64', 'f32', d, s, flags)),
  vcvtps2pd: widening(widen),
  vcvtdq2pd: widening((t, s) => doublesFromInt32(t, s)),
  vcvtph2ps: widening(floatsFromHalves),
  vcvtpd2ps: narrowing(narrow),
  vcvtpd2dq: narrowing((t, s, flags) => toInt32(t, 'f64', false, s, flags)),
  vcvttpd2dq: narrowing((t, s, flags) => toInt32(t, 'f64', true, s, flags)),
  vcvtdq2ps: packed((t, _d, s, flags) => floatsFromInt32(t, s, flags)),
  vcvtps2dq: packed((t, _d, s, flags) => toInt32(t, 'f32', false, s, flags)),
  vcvttps2dq: packed((t, _d, s, flags) => toInt32(t, 'f32', true, s, flags)),
  vcvtps2ph,
};
