/**
 * SSE and AVX floating-point operations as functions of values: 128 bits in, 128 bits out; a 256-bit instruction is two of them.
 * The exact form passes operands to soft-float wasm helpers through env scratch and adds what they return to `flags`; the fast
 * form (hot translation under HF_SSE_FAST) is in float-lanes.ts and raises no flag. Nothing is set: when all parts of an
 * instruction are computed, `finish` puts the flags into MXCSR and lets the instruction write.
 *
 * When HF_SSE_FAST does not hold, the flags go through the script helper `sse_flags`: it merges them into MXCSR and
 * raises #XM (or #UD without CR4.OSXMMEXCPT) if one is unmasked, before anything else has changed; the block then ends,
 * since the flag may have come to hold. SDM Vol. 1 §11.5 "SSE, SSE2, and SSE3 Exceptions", Vol. 2 under the mnemonics.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Translator } from '../translate/translator.ts';
import { ENV, HF_SSE_FAST } from '../state.ts';
import { LANES, bailSpecialLanes, laneOf, scalarFast, special, vectorFast, withLane } from './float-lanes.ts';
import type { Arithmetic, FloatType } from './float-lanes.ts';
import { MXCSR_FLAGS, MXCSR_MASK_SHIFT, SSE_DST, SSE_SRC } from './mxcsr.ts';
import { zero } from './simd-operands.ts';
import { byteLanes } from './vector-ops.ts';

export type { FloatType };

const ENVLD_V128 = opId('envld_v128');
const V128_NOT = opId('v128_not');
const ANDNOT = opId('v128_andnot');
const XOR = opId('v128_xor');
const REPLACE = { f32: opId('i32x4_replace_lane'), f64: opId('i64x2_replace_lane') };

/** A third operand of helpers. */
const SSE_THIRD = SSE_SRC + 16;

export const bytesOf = (type: FloatType): number => (type === 'f64' ? 8 : 4);
/** Lanes of 128 bits. */
export const lanesOf = (type: FloatType): number => (type === 'f64' ? 2 : 4);

export const isFast = (t: Translator): boolean =>
  t.hot && t.optimisations['native-floats'] && (t.flags & HF_SSE_FAST) !== 0;
export const mxcsr = (t: Translator): Value => t.envLoad(ENV.MXCSR);

/** Flags of all parts of an instruction into MXCSR; whatever it writes is computed already and is set by `commit`. */
export function finish(t: Translator, flags: readonly Value[], commit: () => void): void {
  if (flags.length === 0) commit();
  else
    finishFlags(
      t,
      flags.reduce((x, y) => t.b.or(x, y)),
      commit,
    );
}
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

// --- arithmetic -------------------------------------------------------------------------------------------------------
/** a op c (sqrt: of c) on the low `lanes` lanes; the lanes above are those of `a`. */
export function arithmetic(
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

/** What FMA instructions negate. */
export const FMA_NEGATE_PRODUCT = 1;
export const FMA_NEGATE_ADDEND = 2;
/** x * y + z with one rounding, in the order of the operands that NaNs are chosen in; the lanes above are those of `d`. */
export function fusedMultiplyAdd(
  t: Translator,
  type: FloatType,
  negate: number,
  lanes: number,
  d: Value,
  operands: readonly [x: Value, y: Value, z: Value],
  flags: Value[],
): Value {
  const { b } = t;
  const result = SSE_THIRD + 16;
  spill(t, operands[0], operands[1]);
  t.envStore(SSE_THIRD, operands[2]);
  t.envStore(result, d);
  const places = [SSE_DST, SSE_SRC, SSE_THIRD].map((at) => b.envAddr(at));
  flags.push(t.callw(`sse_fma_${type}`, b.envAddr(result), ...places, b.i32(lanes | (negate << 8)), mxcsr(t)));
  return scratchVector(t, result);
}

// --- comparisons ------------------------------------------------------------------------------------------------------
/** Predicates 0-7 of CMPPS on operands that are ordered: eq lt le, never, ne nlt nle, always. Those above differ for NaNs only. */
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
  const yes = base === 3 ? zero(t) : b.emit(vector[['eq', 'lt', 'le'][base]!]!, a, c);
  return (predicate & 4) !== 0 ? b.emit(V128_NOT, yes) : yes;
}
/** Masks of lanes by predicate: 0-7 of SSE, 0-31 of AVX (SDM Vol. 2A "CMPPD" table 3-1). */
export function compare(
  t: Translator,
  type: FloatType,
  predicate: number,
  lanes: number,
  a: Value,
  c: Value,
  flags: Value[],
): Value {
  const { b } = t;
  if (isFast(t)) {
    if (lanes !== 1) {
      bailSpecialLanes(b, type, a, c);
      return orderedCompareLanes(t, type, predicate, a, c);
    }
    const l = LANES[type];
    const [x, y] = [laneOf(b, l, a), laneOf(b, l, c)];
    b.bailIf(special(b, type, x, y));
    const mask = b.neg(orderedCompare(t, type, predicate, x, y));
    return b.emit(REPLACE[type], a, type === 'f64' ? b.extS(mask) : mask);
  }
  spill(t, a, c);
  flags.push(
    t.callw(
      `sse_cmp_${type}`,
      b.envAddr(SSE_DST),
      b.envAddr(SSE_DST),
      b.envAddr(SSE_SRC),
      b.i32(lanes | (predicate << 8)),
      mxcsr(t),
    ),
  );
  return scratchVector(t, SSE_DST);
}
/** COMISS/SD (quiet 0), UCOMISS/SD (quiet 1): EFLAGS. */
export function compareToFlags(
  t: Translator,
  type: FloatType,
  quiet: number,
  a: Value,
  c: Value,
  flags: Value[],
): Value {
  const { b } = t;
  if (isFast(t)) {
    const l = LANES[type];
    const [x, y] = [laneOf(b, l, a), laneOf(b, l, c)];
    b.bailIf(special(b, type, x, y));
    return b.or(b.emit(l.scalar['lt']!, x, y), b.shl(b.emit(l.scalar['eq']!, x, y), b.i32(6)));
  }
  spill(t, a, c);
  const result = t.callw(`sse_comis_${type}`, b.envAddr(SSE_DST), b.envAddr(SSE_SRC), b.i32(quiet), mxcsr(t));
  flags.push(result);
  return b.shr(result, b.i32(16));
}

// --- horizontal, alternating, dot product -------------------------------------------------------------------------------
const EVEN = { f32: byteLanes(4, 0, 2, 4, 6), f64: byteLanes(8, 0, 2) };
const ODD = { f32: byteLanes(4, 1, 3, 5, 7), f64: byteLanes(8, 1, 3) };
export function horizontal(
  t: Translator,
  type: FloatType,
  op: 'add' | 'sub',
  a: Value,
  c: Value,
  flags: Value[],
): Value {
  return arithmetic(t, type, op, lanesOf(type), t.b.shuffle(a, c, EVEN[type]), t.b.shuffle(a, c, ODD[type]), flags);
}
const EVEN_SIGNS = {
  f32: Uint8Array.of(0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0),
  f64: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0),
};
/** a - c in even lanes is a + (-c), unless c is a NaN: its sign must show. */
export function addSubtract(t: Translator, type: FloatType, a: Value, c: Value, flags: Value[]): Value {
  const { b } = t;
  const flip = b.emit(ANDNOT, b.v128(EVEN_SIGNS[type]), b.emit(LANES[type].vector['ne']!, c, c));
  return arithmetic(t, type, 'add', lanesOf(type), a, b.emit(XOR, c, flip), flags);
}
/** Lanes of a vector kept where the bit of `mask` is set, else zero. */
function maskLanes(t: Translator, type: FloatType, v: Value, mask: number): Value {
  const n = lanesOf(type);
  return t.b.shuffle(
    v,
    zero(t),
    byteLanes(bytesOf(type), ...Array.from({ length: n }, (_, k) => (((mask >> k) & 1) !== 0 ? k : n))),
  );
}
/**
 * Each lane has a sum of its own: the same number, but of several NaNs the one that the order of the addends prefers, as processors do.
 */
const SWAP_PAIR = { f32: byteLanes(4, 1, 0, 3, 2), f64: byteLanes(8, 1, 0) };
const SWAP_HALVES = byteLanes(4, 2, 3, 0, 1);
/**
 * DPPS, DPPD of the pairs [first, second] of each 128 bits. An unmasked exception of the products ends the instruction before the sums,
 * whose flags do not show then. SDM Vol. 2A "DPPS".
 */
export function dotProduct(
  t: Translator,
  type: FloatType,
  imm: number,
  pairs: readonly (readonly [Value, Value])[],
  flags: Value[],
): Value[] {
  const { b } = t;
  const n = lanesOf(type);
  let stopped = -1;
  const step = (op: Arithmetic, operands: readonly (readonly [Value, Value])[]): Value[] => {
    const raised: Value[] = [];
    const results = operands.map(([x, y]) => arithmetic(t, type, op, n, x, y, raised));
    if (raised.length === 0) return results;
    let all = raised.reduce((x, y) => b.or(x, y));
    if (stopped >= 0) all = b.select(stopped, b.i32(0), all);
    flags.push(all);
    const masks = b.shr(mxcsr(t), b.i32(MXCSR_MASK_SHIFT));
    const unmasked = b.and(b.and(all, b.i32(MXCSR_FLAGS)), b.not(masks));
    stopped = stopped < 0 ? unmasked : b.or(stopped, unmasked);
    return results;
  };
  const select = (imm >> 4) & 15;
  const chosen = (v: Value): Value => maskLanes(t, type, v, select);
  const products = step(
    'mul',
    pairs.map(([x, y]) => [chosen(x), chosen(y)]),
  );
  const swapped = (v: Value): Value => b.shuffle(v, v, SWAP_PAIR[type]);
  let sums: Value[];
  if (type === 'f64')
    sums = step(
      'add',
      products.map((v) => [v, swapped(v)]),
    );
  else {
    const halves = step(
      'add',
      products.map((v) => [swapped(v), v]),
    );
    sums = step(
      'add',
      halves.map((v) => [v, b.shuffle(v, v, SWAP_HALVES)]),
    );
  }
  return sums.map((v) => maskLanes(t, type, v, imm & 15));
}

// --- rounding, approximations ---------------------------------------------------------------------------------------------
/** ROUNDxx; the lanes above are those of `d`. */
export function round(
  t: Translator,
  type: FloatType,
  imm: number,
  lanes: number,
  d: Value,
  s: Value,
  flags: Value[],
): Value {
  const { b } = t;
  spill(t, d, s);
  flags.push(
    t.callw(`sse_round_${type}`, b.envAddr(SSE_DST), b.envAddr(SSE_SRC), b.i32(lanes | ((imm & 15) << 8)), mxcsr(t)),
  );
  return scratchVector(t, SSE_DST);
}
/** RCPxx, RSQRTxx: no flags. */
export function approximate(t: Translator, op: 'rcp' | 'rsqrt', lanes: number, d: Value, s: Value): Value {
  spill(t, d, s);
  t.callw(`sse_${op}_f32`, t.b.envAddr(SSE_DST), t.b.envAddr(SSE_SRC), t.b.i32(lanes));
  return scratchVector(t, SSE_DST);
}
