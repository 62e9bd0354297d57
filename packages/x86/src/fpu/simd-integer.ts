/**
 * Handlers of integer SIMD instructions: lane-wise operations of both register files, shifts, shuffles, inserts,
 * extracts, masks, PTEST; their VEX forms on 128 or 256 bits. SDM Vol. 2B. Nothing here touches MXCSR or the x87 status word.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { OP_I, OP_N, OP_P } from '../decode/row.ts';
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
  enterMmx,
  first,
  firstXmm,
  isVex,
  isYmm,
  mm,
  mmSource,
  mmxReady,
  setMm,
  setResult,
  source,
  sseReady,
  xmmSource,
  ymm,
  zero,
} from './simd-operands.ts';
import { VECTOR_OPS, byteLanes } from './vector-ops.ts';

const BITMASK_BYTES = opId('i8x16_bitmask');
const BITMASK_WORDS4 = opId('i32x4_bitmask');
const BITMASK_QUADS = opId('i64x2_bitmask');
const WORD_LANE_U = opId('i16x8_extract_lane_u');
const BYTE_LANE_U = opId('i8x16_extract_lane_u');
const DWORD_LANE = opId('i32x4_extract_lane');
const REPLACE_WORD = opId('i16x8_replace_lane');
const REPLACE_BYTE = opId('i8x16_replace_lane');
const REPLACE_DWORD = opId('i32x4_replace_lane');
const QUAD_LANE = opId('i64x2_extract_lane');
const REPLACE_QUAD = opId('i64x2_replace_lane');

/** Bytes of the memory form of operand 1 (its row size is log2). */
const sourceBytes = (t: Translator): number => 1 << t.size(1);

/** dst = f(dst, src), MMX or XMM by the row's first operand. */
export function binary(t: Translator, f: (d: Value, s: Value, mmx: boolean) => Value): void {
  const { reg, row } = t.insn;
  if (row.method0 === OP_P) {
    if (!mmxReady(t)) return;
    const result = f(mm(t, reg), mmSource(t, sourceBytes(t)), true);
    enterMmx(t);
    setMm(t, reg, result);
  } else {
    if (!sseReady(t)) return;
    eachHalf(t, (d, s) => f(d, s, false), isVex(t) ? 16 : sourceBytes(t));
  }
}

const lanewise = (name: string): Handler => {
  const op = VECTOR_OPS[name]!;
  return (t) => binary(t, (d, s, mmx) => op(t.b, d, s, mmx));
};

/** Shift of the r/m register by an immediate; with VEX into the register in vvvv. */
function shiftRegister(t: Translator, f: (v: Value) => Value): void {
  if (!sseReady(t)) return;
  const { rm, vexV } = t.insn;
  const v = ymm(t, rm);
  const lo = f(v.lo);
  setResult(t, lo, isYmm(t) ? f(v.hi) : -1, isVex(t) ? vexV : rm);
}
/** Shift by a vector's low 64 bits (of both halves by the same) or an immediate. */
const shift = (width: ShiftWidth, kind: ShiftKind): Handler => {
  return (t, i) => {
    const { operands, method0 } = i.row;
    if (operands[operands.length - 1]!.method !== OP_I) {
      if (method0 === OP_P) {
        binary(t, (d, s) => shiftByVector(t, width, kind, d, s));
        return;
      }
      if (!sseReady(t)) return;
      const count = xmmSource(t, 16);
      const v = first(t);
      const lo = shiftByVector(t, width, kind, v.lo, count);
      setResult(t, lo, isYmm(t) ? shiftByVector(t, width, kind, v.hi, count) : -1);
    } else if (method0 === OP_N) {
      if (!mmxReady(t)) return;
      const result = shiftByImmediate(t, width, kind, mm(t, i.rm), i.imm);
      enterMmx(t);
      setMm(t, i.rm, result);
    } else shiftRegister(t, (v) => shiftByImmediate(t, width, kind, v, i.imm));
  };
};
const byteShift =
  (left: boolean): Handler =>
  (t, i) =>
    shiftRegister(t, (v) => shiftBytes(t, v, left, i.imm));

/** As `binary`, f being given the immediate; for the upper half less the `bits` of it that are for the lower. */
function withImmediate(t: Translator, bits: number, f: (d: Value, s: Value, imm: number, mmx: boolean) => Value): void {
  let { imm } = t.insn;
  binary(t, (d, s, mmx) => {
    const v = f(d, s, imm, mmx);
    imm >>= bits;
    return v;
  });
}
/** dst = shuffle(dst, src) with byte lanes worked out from the immediate at translation. */
const shuffled =
  (name: ShuffleName, bits = 0): Handler =>
  (t) =>
    withImmediate(t, bits, (d, s, imm) => t.b.shuffle(d, s, SHUFFLES[name](imm)));
const palignr: Handler = (t, i) => binary(t, (d, s, mmx) => alignRight(t, d, s, i.imm, mmx ? 8 : 16));

/** PINSRx: lane of dst = general register or memory. */
const insert =
  (id: number, laneMask: number, mmx: boolean): Handler =>
  (t, i) => {
    if (mmx ? !mmxReady(t) : !sseReady(t)) return;
    const v = t.read(isVex(t) ? 2 : 1);
    const lane = i.imm & laneMask;
    if (mmx) {
      const result = t.b.emit(id, mm(t, i.reg), v, -1, lane);
      enterMmx(t);
      setMm(t, i.reg, result);
    } else setResult(t, t.b.emit(id, firstXmm(t), v, -1, lane));
  };
/** PEXTRW Gd: the vector is the r/m register. */
const extractToG = (t: Translator): void => {
  const { reg, rm, imm, row } = t.insn;
  const isMmx = row.operands[1]!.method === OP_N;
  if (isMmx ? !mmxReady(t) : !sseReady(t)) return;
  const v = t.b.emit(WORD_LANE_U, isMmx ? mm(t, rm) : t.xmm(rm), -1, -1, imm & (isMmx ? 3 : 7));
  if (isMmx) enterMmx(t);
  t.setReg(reg, 2, v);
};
/** SSE4.1 PEXTRx, EXTRACTPS: the vector is the reg register. */
const extract =
  (id: number, laneMask: number): Handler =>
  (t, i) => {
    if (sseReady(t)) t.write(0, t.b.emit(id, t.xmm(i.reg), -1, -1, i.imm & laneMask));
  };

const insertps: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const { imm } = i;
  const element = t.isMem
    ? b.load('ld32', t.memory(4, ACCESS_READ))
    : b.emit(DWORD_LANE, t.xmm(i.rm), -1, -1, imm >> 6);
  let v = b.emit(REPLACE_DWORD, firstXmm(t), element, -1, (imm >> 4) & 3);
  if ((imm & 15) !== 0)
    v = b.shuffle(v, zero(t), byteLanes(4, ...[0, 1, 2, 3].map((n) => (((imm >> n) & 1) !== 0 ? 4 : n))));
  setResult(t, v);
};

/** Variable blends: the mask is XMM0, with VEX the register in the top bits of the immediate. */
const variableBlend =
  (width: BlendWidth): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const s = source(t);
    const d = first(t);
    const mask = ymm(t, isVex(t) ? (i.imm >> 4) & (i.is64 ? 15 : 7) : 0);
    const lo = blendByMask(t, width, d.lo, s.lo, mask.lo);
    setResult(t, lo, isYmm(t) ? blendByMask(t, width, d.hi, s.hi, mask.hi) : -1);
  };

const pmovmskb: Handler = (t, i) => {
  const isMmx = i.row.operands[1]!.method === OP_N;
  if (isMmx ? !mmxReady(t) : !sseReady(t)) return;
  if (isMmx) {
    const mask = t.b.emit(BITMASK_BYTES, mm(t, i.rm));
    enterMmx(t);
    t.setReg(i.reg, 2, t.b.and(mask, t.b.i32(0xff)));
  } else t.setReg(i.reg, 2, maskBits(t, BITMASK_BYTES, 16));
};
/** Top bits of the lanes of the r/m register, of which 128 bits hold `lanes`. */
function maskBits(t: Translator, id: number, lanes: number): Value {
  const v = ymm(t, t.insn.rm);
  const low = t.b.emit(id, v.lo);
  return isYmm(t) ? t.b.or(low, t.b.shl(t.b.emit(id, v.hi), t.b.i32(lanes))) : low;
}
const movmsk =
  (id: number, lanes: number): Handler =>
  (t, i) => {
    if (sseReady(t)) t.setReg(i.reg, 2, maskBits(t, id, lanes));
  };

const ptest: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const s = source(t);
  const d = ymm(t, i.reg);
  t.setEflags(
    testVectors(
      t,
      isYmm(t)
        ? [
            [d.lo, s.lo],
            [d.hi, s.hi],
          ]
        : [[d.lo, s.lo]],
    ),
  );
};
const phminposuw: Handler = (t) => {
  if (sseReady(t)) setResult(t, minimumWord(t, xmmSource(t, 16)));
};
const mpsadbw: Handler = (t) => withImmediate(t, 3, (d, s, imm) => sumsOfDifferences(t, d, s, imm));

export const SIMD_INTEGER_HANDLERS: HandlerTable = {
  ...Object.fromEntries(Object.keys(VECTOR_OPS).map((name) => [name, lanewise(name)])),
  psrlw: shift('i16x8', 'shr_u'),
  psrld: shift('i32x4', 'shr_u'),
  psrlq: shift('i64x2', 'shr_u'),
  psraw: shift('i16x8', 'shr_s'),
  psrad: shift('i32x4', 'shr_s'),
  psllw: shift('i16x8', 'shl'),
  pslld: shift('i32x4', 'shl'),
  psllq: shift('i64x2', 'shl'),
  pslldq: byteShift(true),
  psrldq: byteShift(false),
  pshufd: shuffled('pshufd'),
  pshuflw: shuffled('pshuflw'),
  pshufhw: shuffled('pshufhw'),
  pshufw: shuffled('pshuflw'),
  shufps: shuffled('shufps'),
  shufpd: shuffled('shufpd', 2),
  blendps: shuffled('blendps', 4),
  blendpd: shuffled('blendpd', 2),
  pblendw: shuffled('pblendw'),
  palignr,
  insertps,
  ptest,
  phminposuw,
  mpsadbw,
  pmovmskb,
  pblendvb: variableBlend('i8x16'),
  blendvps: variableBlend('i32x4'),
  blendvpd: variableBlend('i64x2'),
  movmskps: movmsk(BITMASK_WORDS4, 4),
  movmskpd: movmsk(BITMASK_QUADS, 2),
  pinsrw_mmx: insert(REPLACE_WORD, 3, true),
  pinsrw: insert(REPLACE_WORD, 7, false),
  pinsrb: insert(REPLACE_BYTE, 15, false),
  pinsrd: insert(REPLACE_DWORD, 3, false),
  pinsrq: insert(REPLACE_QUAD, 1, false),
  pextrw: extractToG,
  pextrw_41: extract(WORD_LANE_U, 7),
  pextrb: extract(BYTE_LANE_U, 15),
  pextrd: extract(DWORD_LANE, 3),
  pextrq: extract(QUAD_LANE, 1),
};
