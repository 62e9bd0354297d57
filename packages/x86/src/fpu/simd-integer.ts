/**
 * Handlers of integer SIMD instructions: lane-wise operations of both register files, shifts, shuffles, inserts,
 * extracts, masks, PTEST. SDM Vol. 2B. Nothing here touches MXCSR or the x87 status word.
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
import { enterMmx, mm, mmSource, mmxReady, setMm, sseReady, xmmSource, zero } from './simd-operands.ts';
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
    t.setXmm(reg, f(t.xmm(reg), xmmSource(t, sourceBytes(t)), false));
  }
}

const lanewise = (name: string): Handler => {
  const op = VECTOR_OPS[name]!;
  return (t) => binary(t, (d, s, mmx) => op(t.b, d, s, mmx));
};

/** Shift by a vector's low 64 bits or an immediate. */
const shift =
  (width: ShiftWidth, kind: ShiftKind): Handler =>
  (t, i) => {
    if (i.row.operands[1]!.method !== OP_I) {
      binary(t, (d, s) => shiftByVector(t, width, kind, d, s));
    } else if (i.row.method0 === OP_N) {
      if (!mmxReady(t)) return;
      const result = shiftByImmediate(t, width, kind, mm(t, i.rm), i.imm);
      enterMmx(t);
      setMm(t, i.rm, result);
    } else if (sseReady(t)) t.setXmm(i.rm, shiftByImmediate(t, width, kind, t.xmm(i.rm), i.imm));
  };
const byteShift =
  (left: boolean): Handler =>
  (t, i) => {
    if (sseReady(t)) t.setXmm(i.rm, shiftBytes(t, t.xmm(i.rm), left, i.imm));
  };

/** dst = shuffle(dst, src) with byte lanes worked out from the immediate at translation. */
const shuffled =
  (name: ShuffleName): Handler =>
  (t, i) =>
    binary(t, (d, s) => t.b.shuffle(d, s, SHUFFLES[name](i.imm)));
const palignr: Handler = (t, i) => binary(t, (d, s, mmx) => alignRight(t, d, s, i.imm, mmx ? 8 : 16));

/** PINSRx: lane of dst = general register or memory. */
const insert =
  (id: number, laneMask: number, mmx: boolean): Handler =>
  (t, i) => {
    if (mmx ? !mmxReady(t) : !sseReady(t)) return;
    const v = t.read(1);
    const lane = i.imm & laneMask;
    if (mmx) {
      const result = t.b.emit(id, mm(t, i.reg), v, -1, lane);
      enterMmx(t);
      setMm(t, i.reg, result);
    } else t.setXmm(i.reg, t.b.emit(id, t.xmm(i.reg), v, -1, lane));
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
  const element = t.isMem ? t.load(2, t.memory(4, ACCESS_READ)) : b.emit(DWORD_LANE, t.xmm(i.rm), -1, -1, imm >> 6);
  let v = b.emit(REPLACE_DWORD, t.xmm(i.reg), element, -1, (imm >> 4) & 3);
  if ((imm & 15) !== 0)
    v = b.shuffle(v, zero(t), byteLanes(4, ...[0, 1, 2, 3].map((n) => (((imm >> n) & 1) !== 0 ? 4 : n))));
  t.setXmm(i.reg, v);
};

/** Variable blends: the mask is XMM0. */
const variableBlend =
  (width: BlendWidth): Handler =>
  (t) =>
    binary(t, (d, s) => blendByMask(t, width, d, s, t.xmm(0)));

const pmovmskb: Handler = (t, i) => {
  const isMmx = i.row.operands[1]!.method === OP_N;
  if (isMmx ? !mmxReady(t) : !sseReady(t)) return;
  const mask = t.b.emit(BITMASK_BYTES, isMmx ? mm(t, i.rm) : t.xmm(i.rm));
  if (isMmx) enterMmx(t);
  t.setReg(i.reg, 2, isMmx ? t.b.and(mask, t.b.i32(0xff)) : mask);
};
const movmsk =
  (id: number): Handler =>
  (t, i) => {
    if (sseReady(t)) t.setReg(i.reg, 2, t.b.emit(id, t.xmm(i.rm)));
  };

const ptest: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const s = xmmSource(t, 16);
  t.setEflags(testVectors(t, [[t.xmm(i.reg), s]]));
};
const phminposuw: Handler = (t, i) => {
  if (sseReady(t)) t.setXmm(i.reg, minimumWord(t, xmmSource(t, 16)));
};
const mpsadbw: Handler = (t, i) => binary(t, (d, s) => sumsOfDifferences(t, d, s, i.imm));

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
  shufpd: shuffled('shufpd'),
  blendps: shuffled('blendps'),
  blendpd: shuffled('blendpd'),
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
  movmskps: movmsk(BITMASK_WORDS4),
  movmskpd: movmsk(BITMASK_QUADS),
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
