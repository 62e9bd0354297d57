/**
 * Handlers of SSE floating-point arithmetic, comparison and rounding. The exact form passes operands to soft-float
 * wasm helpers through env scratch; the fast form (hot translation under HF_SSE_FAST) is in float-lanes.ts.
 *
 * When HF_SSE_FAST does not hold, the flags go through the script helper `sse_flags`: it merges them into MXCSR and
 * raises #XM (or #UD without CR4.OSXMMEXCPT) if one is unmasked, before anything else has changed; the block then ends,
 * since the flag may have come to hold. SDM Vol. 1 §11.5 "SSE, SSE2, and SSE3 Exceptions", Vol. 2 under the mnemonics.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ENV, HF_SSE_FAST } from '../state.ts';
import { LANES, bailSpecialLanes, laneOf, scalarFast, special, vectorFast, withLane } from './float-lanes.ts';
import type { Arithmetic, FloatType } from './float-lanes.ts';
import { MXCSR_FLAGS, MXCSR_MASK_SHIFT, SSE_DST, SSE_SRC } from './mxcsr.ts';
import { sseReady, xmmSource, zero } from './simd-operands.ts';
import { byteLanes } from './vector-ops.ts';

const ENVLD_V128 = opId('envld_v128');
const V128_NOT = opId('v128_not');
const ANDNOT = opId('v128_andnot');
const XOR = opId('v128_xor');
const REPLACE = { f32: opId('i32x4_replace_lane'), f64: opId('i64x2_replace_lane') };
const bytesOf = (type: FloatType): number => (type === 'f64' ? 8 : 4);
const allLanes = (type: FloatType): number => (type === 'f64' ? 2 : 4);

export const isFast = (t: Translator): boolean => t.hot && (t.flags & HF_SSE_FAST) !== 0;
export const mxcsr = (t: Translator): Value => t.envLoad(ENV.MXCSR);

/**
 * Flags of an exact operation into MXCSR; whatever the instruction writes must be computed already (values of env
 * scratch included) and is set by `commit`.
 */
export function finishFlags(t: Translator, flags: Value, commit: () => void): void {
  const { b } = t;
  if ((t.flags & HF_SSE_FAST) !== 0) {
    t.envStore(ENV.MXCSR, b.or(mxcsr(t), b.and(flags, b.i32(MXCSR_FLAGS))));
    commit();
  } else if (t.hot) {
    // stay here while every flag raised is masked and known already
    const m = mxcsr(t);
    b.bailIf(b.and(b.and(flags, b.not(b.and(m, b.shr(m, b.i32(MXCSR_MASK_SHIFT))))), b.i32(MXCSR_FLAGS)));
    commit();
  } else {
    t.call('sse_flags', flags);
    commit();
    t.exitNext();
  }
}

/** Operands into scratch: destination (keeps the lanes that are not computed) and source. */
export function spill(t: Translator, d: Value, s: Value): void {
  t.envStore(SSE_DST, d);
  t.envStore(SSE_SRC, s);
}
export const scratchVector = (t: Translator, offset: number): Value => t.b.emit(ENVLD_V128, -1, -1, -1, offset);

/** One operation on the low `lanes` lanes; the lanes above are those of `a`. Flags of the exact form are collected. */
function compute(
  t: Translator,
  type: FloatType,
  op: Arithmetic,
  lanes: number,
  a: Value,
  c: Value,
  flags: Value[],
): Value {
  const { b } = t;
  if (isFast(t)) {
    if (lanes !== 1) return vectorFast(b, type, op, a, c);
    const l = LANES[type];
    return withLane(b, l, a, scalarFast(b, type, op, laneOf(b, l, a), laneOf(b, l, c)));
  }
  spill(t, a, c);
  const operands = op === 'sqrt' ? [] : [b.envAddr(SSE_DST)];
  flags.push(t.callw(`sse_${op}_${type}`, b.envAddr(SSE_DST), ...operands, b.envAddr(SSE_SRC), b.i32(lanes), mxcsr(t)));
  return scratchVector(t, SSE_DST);
}
function commit(t: Translator, flags: readonly Value[], result: Value): void {
  const { reg } = t.insn;
  if (flags.length === 0) t.setXmm(reg, result);
  else
    finishFlags(
      t,
      flags.reduce((x, y) => t.b.or(x, y)),
      () => t.setXmm(reg, result),
    );
}

const arithmetic =
  (type: FloatType, op: Arithmetic, packed: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const s = xmmSource(t, packed ? 16 : bytesOf(type));
    const flags: Value[] = [];
    commit(t, flags, compute(t, type, op, packed ? allLanes(type) : 1, t.xmm(i.reg), s, flags));
  };

// --- comparisons ------------------------------------------------------------------------------------------------------
/** Predicates 0-7 of CMPPS on operands that are ordered: eq lt le, never, ne nlt nle, always. */
function orderedCompare(t: Translator, type: FloatType, predicate: number, a: Value, c: Value): Value {
  const { b } = t;
  const { scalar } = LANES[type];
  const base = predicate & 3;
  const yes = base === 3 ? b.i32(0) : b.emit(scalar[['eq', 'lt', 'le'][base]!]!, a, c);
  return (predicate & 4) !== 0 ? b.eqz(yes) : yes;
}
function orderedCompareLanes(t: Translator, type: FloatType, predicate: number, a: Value, c: Value): Value {
  const { b } = t;
  const { vector } = LANES[type];
  const base = predicate & 3;
  const yes = base === 3 ? b.v128(new Uint8Array(16)) : b.emit(vector[['eq', 'lt', 'le'][base]!]!, a, c);
  return (predicate & 4) !== 0 ? b.emit(V128_NOT, yes) : yes;
}
const compare =
  (type: FloatType, packed: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const s = xmmSource(t, packed ? 16 : bytesOf(type));
    const d = t.xmm(i.reg);
    const predicate = i.imm & 7;
    if (isFast(t)) {
      if (packed) {
        bailSpecialLanes(b, type, d, s);
        t.setXmm(i.reg, orderedCompareLanes(t, type, predicate, d, s));
        return;
      }
      const l = LANES[type];
      const [a, c] = [laneOf(b, l, d), laneOf(b, l, s)];
      b.bailIf(special(b, type, a, c));
      const mask = b.neg(orderedCompare(t, type, predicate, a, c));
      t.setXmm(i.reg, b.emit(REPLACE[type], d, type === 'f64' ? b.extS(mask) : mask));
      return;
    }
    spill(t, d, s);
    const flags = t.callw(
      `sse_cmp_${type}`,
      b.envAddr(SSE_DST),
      b.envAddr(SSE_DST),
      b.envAddr(SSE_SRC),
      b.i32((packed ? allLanes(type) : 1) | (predicate << 8)),
      mxcsr(t),
    );
    commit(t, [flags], scratchVector(t, SSE_DST));
  };

/** COMISS/SD (quiet 0), UCOMISS/SD (quiet 1). */
const comis =
  (type: FloatType, quiet: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const s = xmmSource(t, bytesOf(type));
    const d = t.xmm(i.reg);
    if (isFast(t)) {
      const l = LANES[type];
      const [a, c] = [laneOf(b, l, d), laneOf(b, l, s)];
      b.bailIf(special(b, type, a, c));
      t.setEflags(b.or(b.emit(l.scalar['lt']!, a, c), b.shl(b.emit(l.scalar['eq']!, a, c), b.i32(6))));
      return;
    }
    spill(t, d, s);
    const result = t.callw(`sse_comis_${type}`, b.envAddr(SSE_DST), b.envAddr(SSE_SRC), b.i32(quiet), mxcsr(t));
    finishFlags(t, result, () => t.setEflags(b.shr(result, b.i32(16))));
  };

// --- horizontal, alternating, dot product -------------------------------------------------------------------------------
const EVEN = { f32: byteLanes(4, 0, 2, 4, 6), f64: byteLanes(8, 0, 2) };
const ODD = { f32: byteLanes(4, 1, 3, 5, 7), f64: byteLanes(8, 1, 3) };
const horizontal =
  (type: FloatType, op: 'add' | 'sub'): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const s = xmmSource(t, 16);
    const d = t.xmm(i.reg);
    const flags: Value[] = [];
    commit(
      t,
      flags,
      compute(t, type, op, allLanes(type), t.b.shuffle(d, s, EVEN[type]), t.b.shuffle(d, s, ODD[type]), flags),
    );
  };
const EVEN_SIGNS = {
  f32: Uint8Array.of(0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0),
  f64: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0),
};
/** a - b in even lanes is a + (-b), unless b is a NaN: its sign must show. */
const addsub =
  (type: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const s = xmmSource(t, 16);
    const flip = b.emit(ANDNOT, b.v128(EVEN_SIGNS[type]), b.emit(LANES[type].vector['ne']!, s, s));
    const flags: Value[] = [];
    commit(t, flags, compute(t, type, 'add', allLanes(type), t.xmm(i.reg), b.emit(XOR, s, flip), flags));
  };
/** Lanes of a vector kept where the bit of `mask` is set, else zero. */
function maskLanes(t: Translator, type: FloatType, v: Value, mask: number): Value {
  const n = allLanes(type);
  return t.b.shuffle(
    v,
    zero(t),
    byteLanes(bytesOf(type), ...Array.from({ length: n }, (_, k) => (((mask >> k) & 1) !== 0 ? k : n))),
  );
}
const dotProduct =
  (type: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    const s = xmmSource(t, 16);
    const flags: Value[] = [];
    const select = (i.imm >> 4) & 15;
    const n = allLanes(type);
    let sum = compute(
      t,
      type,
      'mul',
      n,
      maskLanes(t, type, t.xmm(i.reg), select),
      maskLanes(t, type, s, select),
      flags,
    );
    for (let lanes = n; lanes > 1; lanes >>= 1) {
      sum = compute(t, type, 'add', n, b.shuffle(sum, sum, EVEN[type]), b.shuffle(sum, sum, ODD[type]), flags);
    }
    commit(t, flags, maskLanes(t, type, sum, i.imm & 15));
  };

// --- rounding, approximations ---------------------------------------------------------------------------------------------
const round =
  (type: FloatType, packed: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const { b } = t;
    spill(t, t.xmm(i.reg), xmmSource(t, packed ? 16 : bytesOf(type)));
    const flags = t.callw(
      `sse_round_${type}`,
      b.envAddr(SSE_DST),
      b.envAddr(SSE_SRC),
      b.i32((packed ? allLanes(type) : 1) | (i.imm << 8)),
      mxcsr(t),
    );
    commit(t, [flags], scratchVector(t, SSE_DST));
  };
const approximate =
  (name: string, lanes: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    spill(t, t.xmm(i.reg), xmmSource(t, lanes === 1 ? 4 : 16));
    t.callw(name, t.b.envAddr(SSE_DST), t.b.envAddr(SSE_SRC), t.b.i32(lanes));
    t.setXmm(i.reg, scratchVector(t, SSE_DST));
  };

const FORMS: readonly (readonly [suffix: string, FloatType, packed: boolean])[] = [
  ['ps', 'f32', true],
  ['pd', 'f64', true],
  ['ss', 'f32', false],
  ['sd', 'f64', false],
];

export const SIMD_FLOAT_HANDLERS: HandlerTable = {
  ...Object.fromEntries(
    FORMS.flatMap(([suffix, type, packed]) => [
      ...(['add', 'sub', 'mul', 'div', 'min', 'max', 'sqrt'] as const).map(
        (op) => [`${op}${suffix}`, arithmetic(type, op, packed)] as const,
      ),
      [`cmp${suffix}`, compare(type, packed)] as const,
      [`round${suffix}`, round(type, packed)] as const,
    ]),
  ),
  comiss: comis('f32', 0),
  comisd: comis('f64', 0),
  ucomiss: comis('f32', 1),
  ucomisd: comis('f64', 1),
  haddps: horizontal('f32', 'add'),
  haddpd: horizontal('f64', 'add'),
  hsubps: horizontal('f32', 'sub'),
  hsubpd: horizontal('f64', 'sub'),
  addsubps: addsub('f32'),
  addsubpd: addsub('f64'),
  dpps: dotProduct('f32'),
  dppd: dotProduct('f64'),
  rcpps: approximate('sse_rcp_f32', 4),
  rcpss: approximate('sse_rcp_f32', 1),
  rsqrtps: approximate('sse_rsqrt_f32', 4),
  rsqrtss: approximate('sse_rsqrt_f32', 1),
};
