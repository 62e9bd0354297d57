/**
 * Handlers of AVX and AVX2 integer instructions that work in each 128-bit half by itself, and of the logic, shuffles and blends
 * of floating-point mnemonics: the operations of vector-ops.ts and integer-values.ts. SDM Vol. 2B, 2C under the mnemonics.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { OP_H } from '../decode/row.ts';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ } from '../translate/translator.ts';
import {
  SHUFFLES,
  alignRight,
  blendByMask,
  minimumWord,
  shiftByImmediate,
  shiftByVector,
  shiftBytes,
  sumsOfDifferences,
  testVectors,
} from './integer-values.ts';
import type { BlendWidth, ShiftKind, ShiftWidth, ShuffleName } from './integer-values.ts';
import {
  eachHalf,
  first,
  firstXmm,
  isYmm,
  setResult,
  source,
  sseReady,
  xmmSource,
  ymm,
  zero,
} from './simd-operands.ts';
import { VECTOR_OPS, byteLanes } from './vector-ops.ts';

const BITMASK_BYTES = opId('i8x16_bitmask');
const BITMASK_DWORDS = opId('i32x4_bitmask');
const BITMASK_QUADS = opId('i64x2_bitmask');
const REPLACE_BYTE = opId('i8x16_replace_lane');
const REPLACE_WORD = opId('i16x8_replace_lane');
const REPLACE_DWORD = opId('i32x4_replace_lane');
const REPLACE_QUAD = opId('i64x2_replace_lane');
const DWORD_LANE = opId('i32x4_extract_lane');
const QUAD_LANE = opId('i64x2_extract_lane');
const AND = opId('v128_and');

/** dst = f(vvvv, src) in each half; `upper` 1 for the second. */
const halves =
  (f: (t: Translator, d: Value, s: Value, upper: number) => Value): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    let upper = 0;
    eachHalf(t, (d, s) => f(t, d, s, upper++));
  };
const lanewise = (name: string): Handler => {
  const op = VECTOR_OPS[name]!;
  return halves((t, d, s) => op(t.b, d, s, false));
};

// --- shifts ---------------------------------------------------------------------------------------------------------------
const shift =
  (width: ShiftWidth, kind: ShiftKind): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    if (i.row.method0 === OP_H) {
      const v = ymm(t, i.rm);
      const by = (x: Value): Value => shiftByImmediate(t, width, kind, x, i.imm);
      setResult(t, by(v.lo), isYmm(t) ? by(v.hi) : -1, i.vexV);
      return;
    }
    // the count is in 128 bits, whatever the width
    const count = xmmSource(t, 16);
    const v = first(t);
    const by = (x: Value): Value => shiftByVector(t, width, kind, x, count);
    setResult(t, by(v.lo), isYmm(t) ? by(v.hi) : -1);
  };
const byteShift =
  (left: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const v = ymm(t, i.rm);
    const by = (x: Value): Value => shiftBytes(t, x, left, i.imm);
    setResult(t, by(v.lo), isYmm(t) ? by(v.hi) : -1, i.vexV);
  };

// --- shuffles and blends ----------------------------------------------------------------------------------------------------
/** `highBits`: the upper half takes the immediate that much further up. */
const shuffled = (name: ShuffleName, highBits = 0): Handler =>
  halves((t, d, s, upper) => t.b.shuffle(d, s, SHUFFLES[name](t.insn.imm >> (upper * highBits))));
/** The mask is the register in the immediate. */
const variableBlend =
  (width: BlendWidth): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const s = source(t);
    const d = first(t);
    const mask = ymm(t, (i.imm >> 4) & (i.is64 ? 15 : 7));
    const lo = blendByMask(t, width, d.lo, s.lo, mask.lo);
    setResult(t, lo, isYmm(t) ? blendByMask(t, width, d.hi, s.hi, mask.hi) : -1);
  };

/** VPMOVSX, VPMOVZX: the source of the upper half's result is the `bytes` bytes above the lower's. */
const extend = (name: string, bytes: number): Handler => {
  const op = VECTOR_OPS[name]!;
  const above = Uint8Array.from({ length: 16 }, (_, n) => (n + bytes) & 15);
  return (t) => {
    if (!sseReady(t)) return;
    const s = xmmSource(t, isYmm(t) ? 2 * bytes : bytes);
    setResult(t, op(t.b, s, s, false), isYmm(t) ? op(t.b, s, t.b.shuffle(s, s, above), false) : -1);
  };
};
const EXTENSIONS: Readonly<Record<string, number>> = { bw: 8, bd: 4, bq: 2, wd: 8, wq: 4, dq: 8 };

// --- inserts, masks, tests ----------------------------------------------------------------------------------------------------
const insert =
  (id: number, laneMask: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const v = t.read(2);
    setResult(t, t.b.emit(id, firstXmm(t), v, -1, i.imm & laneMask));
  };
const insertDword: Handler = (t, i) => (i.size === 3 ? insert(REPLACE_QUAD, 1) : insert(REPLACE_DWORD, 3))(t, i);
const extractDword: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const wide = i.size === 3;
  t.write(0, t.b.emit(wide ? QUAD_LANE : DWORD_LANE, t.xmm(i.reg), -1, -1, i.imm & (wide ? 1 : 3)));
};
const insertps: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const { imm } = i;
  const element = t.isMem ? t.load(2, t.memory(4, ACCESS_READ)) : b.emit(DWORD_LANE, t.xmm(i.rm), -1, -1, imm >> 6);
  let v = b.emit(REPLACE_DWORD, firstXmm(t), element, -1, (imm >> 4) & 3);
  if ((imm & 15) !== 0)
    v = b.shuffle(v, zero(t), byteLanes(4, ...[0, 1, 2, 3].map((n) => (((imm >> n) & 1) !== 0 ? 4 : n))));
  setResult(t, v);
};
/** Top bits of the lanes, of which 128 bits hold `lanes`. */
const mask =
  (id: number, lanes: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const v = ymm(t, i.rm);
    const low = t.b.emit(id, v.lo);
    t.setReg(i.reg, 2, isYmm(t) ? t.b.or(low, t.b.shl(t.b.emit(id, v.hi), t.b.i32(lanes))) : low);
  };
/** VPTEST; VTESTPS and VTESTPD look at the bits of `only`. */
const test =
  (only?: Uint8Array): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const s = source(t);
    const d = ymm(t, i.reg);
    const seen = (v: Value): Value => (only === undefined ? v : t.b.emit(AND, v, t.b.v128(only)));
    const pairs = [[seen(d.lo), seen(s.lo)] as const];
    if (isYmm(t)) pairs.push([seen(d.hi), seen(s.hi)]);
    t.setEflags(testVectors(t, pairs));
  };
const signs = (width: number): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, n) => (n % width === width - 1 ? 0x80 : 0));

export const AVX_INTEGER_HANDLERS: HandlerTable = {
  ...Object.fromEntries(
    Object.keys(VECTOR_OPS)
      .filter((name) => !/^pmov[sz]x/.test(name))
      .map((name) => [`v${name}`, lanewise(name)]),
  ),
  ...Object.fromEntries(
    Object.entries(EXTENSIONS).flatMap(([s, bytes]) => [
      [`vpmovsx${s}`, extend(`pmovsx${s}`, bytes)],
      [`vpmovzx${s}`, extend(`pmovzx${s}`, bytes)],
    ]),
  ),
  vpsrlw: shift('i16x8', 'shr_u'),
  vpsrld: shift('i32x4', 'shr_u'),
  vpsrlq: shift('i64x2', 'shr_u'),
  vpsraw: shift('i16x8', 'shr_s'),
  vpsrad: shift('i32x4', 'shr_s'),
  vpsllw: shift('i16x8', 'shl'),
  vpslld: shift('i32x4', 'shl'),
  vpsllq: shift('i64x2', 'shl'),
  vpslldq: byteShift(true),
  vpsrldq: byteShift(false),
  vpshufd: shuffled('pshufd'),
  vpshuflw: shuffled('pshuflw'),
  vpshufhw: shuffled('pshufhw'),
  vshufps: shuffled('shufps'),
  vshufpd: shuffled('shufpd', 2),
  vblendps: shuffled('blendps', 4),
  vblendpd: shuffled('blendpd', 2),
  vpblendw: shuffled('pblendw'),
  vpblendd: shuffled('blendps', 4),
  vpermilps_imm: shuffled('pshufd'),
  vpalignr: halves((t, d, s) => alignRight(t, d, s, t.insn.imm, 16)),
  vmpsadbw: halves((t, d, s, upper) => sumsOfDifferences(t, d, s, t.insn.imm >> (3 * upper))),
  vphminposuw: halves((t, _d, s) => minimumWord(t, s)),
  vblendvps: variableBlend('i32x4'),
  vblendvpd: variableBlend('i64x2'),
  vpblendvb: variableBlend('i8x16'),
  vpinsrb: insert(REPLACE_BYTE, 15),
  vpinsrw: insert(REPLACE_WORD, 7),
  vpinsrd: insertDword,
  vpextrd: extractDword,
  vinsertps: insertps,
  vmovmskps: mask(BITMASK_DWORDS, 4),
  vmovmskpd: mask(BITMASK_QUADS, 2),
  vpmovmskb: mask(BITMASK_BYTES, 16),
  vptest: test(),
  vtestps: test(signs(4)),
  vtestpd: test(signs(8)),
};
