/**
 * Handlers of AVX floating-point arithmetic, comparison and rounding, and of FMA: the operations of float-values.ts on scalars,
 * on 128 bits, or on both halves of 256. SDM Vol. 1 §14.1.2, §14.5; Vol. 2 under the mnemonics.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import {
  FMA_NEGATE_ADDEND,
  FMA_NEGATE_PRODUCT,
  addSubtract,
  approximate,
  arithmetic,
  bytesOf,
  compare,
  compareToFlags,
  dotProduct,
  finish,
  fusedMultiplyAdd,
  horizontal,
  isFast,
  lanesOf,
  round,
} from './float-values.ts';
import type { FloatType } from './float-values.ts';
import { LANES } from './float-lanes.ts';
import { first, firstXmm, isYmm, setResult, source, sseReady, xmmSource, ymm } from './simd-operands.ts';

const ANDNOT = opId('v128_andnot');
const XOR = opId('v128_xor');

/** What an operation does to 128 bits: first and second source; flags are collected. */
export type Part = (t: Translator, d: Value, s: Value, flags: Value[]) => Value;
export const packed =
  (f: Part): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const s = source(t);
    const d = first(t);
    const lo = f(t, d.lo, s.lo, flags);
    const hi = isYmm(t) ? f(t, d.hi, s.hi, flags) : -1;
    finish(t, flags, () => setResult(t, lo, hi));
  };
export const scalar =
  (bytes: number, f: Part): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const s = xmmSource(t, bytes);
    const lo = f(t, firstXmm(t), s, flags);
    finish(t, flags, () => setResult(t, lo));
  };
/** PS, PD, SS and SD forms of an operation on `lanes` lanes. */
const forms = (name: string, f: (type: FloatType, lanes: number) => Part): HandlerTable => ({
  [`v${name}ps`]: packed(f('f32', 4)),
  [`v${name}pd`]: packed(f('f64', 2)),
  [`v${name}ss`]: scalar(4, f('f32', 1)),
  [`v${name}sd`]: scalar(8, f('f64', 1)),
});

// --- comparisons --------------------------------------------------------------------------------------------------------
/** The helper's predicate is then what `truth` says. */
const TRUTH = 0x80;
/** By predicate modulo 8: true for less 1, equal 2, greater 4. */
const ORDERED_TRUTH = [2, 1, 3, 0, 5, 6, 4, 7];
/** Predicates (modulo 16) that hold for NaNs. SDM Vol. 2A "CMPPD", Table 3-1. */
const UNORDERED_TRUE = [3, 4, 5, 6, 8, 9, 10, 15];
/** True for less 1, equal 2, greater 4, unordered 8; 16: a quiet NaN is invalid. */
function truth(predicate: number): number {
  const signals = ((predicate & 3) === 1 || (predicate & 3) === 2) !== predicate >= 16;
  return ORDERED_TRUTH[predicate & 7]! | (UNORDERED_TRUE.includes(predicate & 15) ? 8 : 0) | (signals ? 16 : 0);
}
/** Among operands that are ordered, which the fast form demands, all 32 predicates are the first eight. */
const compareLanes =
  (type: FloatType, lanes: number): Part =>
  (t, d, s, flags) => {
    const predicate = t.insn.imm & 31;
    return compare(t, type, isFast(t) ? predicate & 7 : TRUTH | truth(predicate), lanes, d, s, flags);
  };
const compareScalars =
  (type: FloatType, quiet: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const s = xmmSource(t, bytesOf(type));
    const result = compareToFlags(t, type, quiet, t.xmm(i.reg), s, flags);
    finish(t, flags, () => t.setEflags(result));
  };

// --- FMA ------------------------------------------------------------------------------------------------------------------
/** VFMADD132 and so on: the digits are the operands of the product, then the addend; dst is 1, vvvv 2, r/m 3. */
const FMA_ORDERS: Readonly<Record<string, readonly [x: number, y: number, z: number]>> = {
  132: [0, 2, 1],
  213: [1, 0, 2],
  231: [1, 2, 0],
};
const FMA_SIGNS: Readonly<Record<string, number>> = {
  fmadd: 0,
  fmsub: FMA_NEGATE_ADDEND,
  fnmadd: FMA_NEGATE_PRODUCT,
  fnmsub: FMA_NEGATE_PRODUCT | FMA_NEGATE_ADDEND,
};
/** Sign bits of the lanes whose addend is subtracted: even ones of FMADDSUB, odd ones of FMSUBADD. */
const alternating = (type: FloatType, odd: number): Uint8Array => {
  const width = bytesOf(type);
  const signs = new Uint8Array(16);
  for (let lane = odd; lane < 16 / width; lane += 2) signs[lane * width + width - 1] = 0x80;
  return signs;
};
type Operands = readonly [Value, Value, Value];
function fuse(
  type: FloatType,
  negate: number,
  order: readonly [number, number, number],
  lanes: number,
  signs?: Uint8Array,
): Handler {
  const part = (t: Translator, v: Operands, flags: Value[]): Value => {
    const { b } = t;
    const [x, y] = [v[order[0]]!, v[order[1]]!];
    let z = v[order[2]]!;
    // a NaN keeps its sign
    if (signs !== undefined) z = b.emit(XOR, z, b.emit(ANDNOT, b.v128(signs), b.emit(LANES[type].vector['ne']!, z, z)));
    return fusedMultiplyAdd(t, type, negate, lanes, v[0], [x, y, z], flags);
  };
  return (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const wide = isYmm(t) && lanes > 1;
    const s = lanes === 1 ? { lo: xmmSource(t, bytesOf(type)), hi: -1 } : source(t);
    const d = ymm(t, i.reg);
    const a = first(t);
    const lo = part(t, [d.lo, a.lo, s.lo], flags);
    const hi = wide ? part(t, [d.hi, a.hi, s.hi], flags) : -1;
    finish(t, flags, () => setResult(t, lo, hi));
  };
}
function fmaHandlers(): HandlerTable {
  const all: Record<string, Handler> = {};
  for (const [digits, order] of Object.entries(FMA_ORDERS)) {
    for (const [suffix, type] of [
      ['s', 'f32'],
      ['d', 'f64'],
    ] as const) {
      for (const [name, negate] of Object.entries(FMA_SIGNS)) {
        all[`v${name}${digits}p${suffix}`] = fuse(type, negate, order, lanesOf(type));
        all[`v${name}${digits}s${suffix}`] = fuse(type, negate, order, 1);
      }
      all[`vfmaddsub${digits}p${suffix}`] = fuse(type, 0, order, lanesOf(type), alternating(type, 0));
      all[`vfmsubadd${digits}p${suffix}`] = fuse(type, 0, order, lanesOf(type), alternating(type, 1));
    }
  }
  return all;
}

const ARITHMETIC = ['add', 'sub', 'mul', 'div', 'min', 'max', 'sqrt'] as const;
/** The upper half of VDPPS takes the same immediate. */
const dot =
  (type: FloatType): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const flags: Value[] = [];
    const s = source(t);
    const d = first(t);
    const pairs: (readonly [Value, Value])[] = isYmm(t)
      ? [
          [d.lo, s.lo],
          [d.hi, s.hi],
        ]
      : [[d.lo, s.lo]];
    const [lo, hi] = dotProduct(t, type, i.imm, pairs, flags);
    finish(t, flags, () => setResult(t, lo!, hi ?? -1));
  };

export const AVX_FLOAT_HANDLERS: HandlerTable = {
  ...Object.assign(
    {},
    ...ARITHMETIC.map((op) =>
      forms(op, (type, lanes) => (t, d, s, flags) => arithmetic(t, type, op, lanes, d, s, flags)),
    ),
  ),
  ...forms('cmp', compareLanes),
  ...forms('round', (type, lanes) => (t, d, s, flags) => round(t, type, t.insn.imm, lanes, d, s, flags)),
  ...fmaHandlers(),
  vcomiss: compareScalars('f32', 0),
  vcomisd: compareScalars('f64', 0),
  vucomiss: compareScalars('f32', 1),
  vucomisd: compareScalars('f64', 1),
  vhaddps: packed((t, d, s, flags) => horizontal(t, 'f32', 'add', d, s, flags)),
  vhaddpd: packed((t, d, s, flags) => horizontal(t, 'f64', 'add', d, s, flags)),
  vhsubps: packed((t, d, s, flags) => horizontal(t, 'f32', 'sub', d, s, flags)),
  vhsubpd: packed((t, d, s, flags) => horizontal(t, 'f64', 'sub', d, s, flags)),
  vaddsubps: packed((t, d, s, flags) => addSubtract(t, 'f32', d, s, flags)),
  vaddsubpd: packed((t, d, s, flags) => addSubtract(t, 'f64', d, s, flags)),
  vdpps: dot('f32'),
  vdppd: dot('f64'),
  vrcpps: packed((t, d, s) => approximate(t, 'rcp', 4, d, s)),
  vrcpss: scalar(4, (t, d, s) => approximate(t, 'rcp', 1, d, s)),
  vrsqrtps: packed((t, d, s) => approximate(t, 'rsqrt', 4, d, s)),
  vrsqrtss: scalar(4, (t, d, s) => approximate(t, 'rsqrt', 1, d, s)),
};
