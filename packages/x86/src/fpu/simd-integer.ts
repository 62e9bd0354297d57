/**
 * Handlers of integer SIMD instructions: lane-wise operations of both register files, shifts, shuffles, inserts,
 * extracts, masks, PTEST. SDM Vol. 2B. Nothing here touches MXCSR or the x87 status word.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { OP_I, OP_N, OP_P } from '../decode/row.ts';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ACCESS_READ } from '../translate/translator.ts';
import { FLAG_CF, FLAG_ZF } from '../state.ts';
import { enterMmx, low64, mm, mmSource, mmxReady, setMm, sseReady, xmmSource, zero } from './simd-operands.ts';
import { VECTOR_OPS, byteLanes } from './vector-ops.ts';

const SHR_BYTE = opId('i8x16_shr_s');
const SHR_DWORD = opId('i32x4_shr_s');
const SHR_QUAD = opId('i64x2_shr_s');
const BITSELECT = opId('v128_bitselect');
const ANY_TRUE = opId('v128_any_true');
const AND = opId('v128_and');
const ANDNOT = opId('v128_andnot');
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

/** Shift by a vector's low 64 bits or an immediate. A count beyond the width gives zero (SRA: the sign). */
const shift = (width: 'i16x8' | 'i32x4' | 'i64x2', bits: number, kind: 'shl' | 'shr_u' | 'shr_s'): Handler => {
  const id = opId(`${width}_${kind}`);
  const arithmetic = kind === 'shr_s';
  const byImmediate = (t: Translator, v: Value): Value => {
    const { imm } = t.insn;
    if (imm >= bits) return arithmetic ? t.b.emit(id, v, t.b.i32(bits - 1)) : zero(t);
    return t.b.emit(id, v, t.b.i32(imm));
  };
  const byVector = (t: Translator, v: Value, countVector: Value): Value => {
    const { b } = t;
    const count = low64(t, countVector);
    const beyond = b.gtU(count, b.i64(bits - 1));
    if (arithmetic) return b.emit(id, v, b.select(beyond, b.i32(bits - 1), b.wrap(count)));
    return b.select(beyond, zero(t), b.emit(id, v, b.wrap(count)));
  };
  return (t, i) => {
    if (i.row.operands[1]!.method !== OP_I) {
      binary(t, (d, s) => byVector(t, d, s));
    } else if (i.row.method0 === OP_N) {
      if (!mmxReady(t)) return;
      const result = byImmediate(t, mm(t, i.rm));
      enterMmx(t);
      setMm(t, i.rm, result);
    } else if (sseReady(t)) t.setXmm(i.rm, byImmediate(t, t.xmm(i.rm)));
  };
};

const byteShift =
  (left: boolean): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const n = Math.min(i.imm, 16);
    const lanes = Uint8Array.from({ length: 16 }, (_, k) => (left ? 16 + k - n : k + n));
    const v = t.xmm(i.rm);
    t.setXmm(i.rm, left ? t.b.shuffle(zero(t), v, lanes) : t.b.shuffle(v, zero(t), lanes));
  };

/** dst = shuffle(dst, src) with byte lanes worked out from the immediate at translation. */
const shuffled =
  (lanes: (imm: number, mmx: boolean) => Uint8Array): Handler =>
  (t, i) =>
    binary(t, (d, s, mmx) => t.b.shuffle(d, s, lanes(i.imm, mmx)));
const field = (imm: number, n: number): number => (imm >> (2 * n)) & 3;

const pshufd = (imm: number): Uint8Array => byteLanes(4, ...[0, 1, 2, 3].map((n) => 4 + field(imm, n)));
const pshuflw = (imm: number): Uint8Array =>
  byteLanes(2, ...[0, 1, 2, 3].map((n) => 8 + field(imm, n)), 12, 13, 14, 15);
const pshufhw = (imm: number): Uint8Array => byteLanes(2, 8, 9, 10, 11, ...[0, 1, 2, 3].map((n) => 12 + field(imm, n)));
const shufps = (imm: number): Uint8Array =>
  byteLanes(4, field(imm, 0), field(imm, 1), 4 + field(imm, 2), 4 + field(imm, 3));
const shufpd = (imm: number): Uint8Array => byteLanes(8, imm & 1, 2 + ((imm >> 1) & 1));
const blend =
  (width: number) =>
  (imm: number): Uint8Array =>
    byteLanes(width, ...Array.from({ length: 16 / width }, (_, n) => n + (((imm >> n) & 1) !== 0 ? 16 / width : 0)));

const palignr: Handler = (t, i) =>
  binary(t, (d, s, mmx) => {
    const n = i.imm;
    const size = mmx ? 8 : 16;
    if (n >= 2 * size) return zero(t);
    // the operands as one value of 2 * size bytes, src low; then zeros
    const within = (k: number): number => (k < size ? k : 16 + k - size);
    if (n <= size)
      return t.b.shuffle(
        s,
        d,
        Uint8Array.from({ length: 16 }, (_, k) => (k + n < 2 * size ? within(k + n) : 0)),
      );
    return t.b.shuffle(
      d,
      zero(t),
      Uint8Array.from({ length: 16 }, (_, k) => (k + n - size < size ? k + n - size : 16)),
    );
  });

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
  const element = t.isMem
    ? b.load('ld32', t.memory(4, ACCESS_READ))
    : b.emit(DWORD_LANE, t.xmm(i.rm), -1, -1, imm >> 6);
  let v = b.emit(REPLACE_DWORD, t.xmm(i.reg), element, -1, (imm >> 4) & 3);
  if ((imm & 15) !== 0)
    v = b.shuffle(v, zero(t), byteLanes(4, ...[0, 1, 2, 3].map((n) => (((imm >> n) & 1) !== 0 ? 4 : n))));
  t.setXmm(i.reg, v);
};

/** Variable blends: the mask is the top bit of each lane of XMM0. */
const variableBlend =
  (shr: number, bits: number): Handler =>
  (t) =>
    binary(t, (d, s) => t.b.emit(BITSELECT, s, d, t.b.emit(shr, t.xmm(0), t.b.i32(bits - 1))));

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
  const { b } = t;
  const s = xmmSource(t, 16);
  const d = t.xmm(i.reg);
  const zf = b.select(b.emit(ANY_TRUE, b.emit(AND, d, s)), b.i32(0), b.i32(FLAG_ZF));
  const cf = b.select(b.emit(ANY_TRUE, b.emit(ANDNOT, s, d)), b.i32(0), b.i32(FLAG_CF));
  t.setEflags(b.or(zf, cf));
};

const phminposuw: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const s = xmmSource(t, 16);
  // Smallest of value * 8 + index: the first minimum.
  let best = -1;
  for (let n = 0; n < 8; n++) {
    const key = b.or(b.shl(b.emit(WORD_LANE_U, s, -1, -1, n), b.i32(3)), b.i32(n));
    best = best < 0 ? key : b.select(b.ltU(key, best), key, best);
  }
  t.setXmm(i.reg, b.emit(REPLACE_DWORD, zero(t), b.or(b.shr(best, b.i32(3)), b.shl(b.and(best, b.i32(7)), b.i32(16)))));
};

const SUB_SAT_U = opId('i8x16_sub_sat_u');
const OR = opId('v128_or');
const ADD_WORD = opId('i16x8_add');

const EXTEND_LOW_U = opId('i16x8_extend_low_i8x16_u');
/** Eight sums of four absolute differences; |a - b| of byte k and window k..k+7. */
const mpsadbw: Handler = (t, i) =>
  binary(t, (d, s) => {
    const { b } = t;
    const from = ((i.imm >> 2) & 1) * 4;
    const block = (i.imm & 3) * 4;
    let sum = -1;
    for (let k = 0; k < 4; k++) {
      const window = b.shuffle(
        d,
        d,
        Uint8Array.from({ length: 16 }, (_, n) => Math.min(15, from + k + n)),
      );
      const byte = b.shuffle(s, s, new Uint8Array(16).fill(block + k));
      const difference = b.emit(
        EXTEND_LOW_U,
        b.emit(OR, b.emit(SUB_SAT_U, window, byte), b.emit(SUB_SAT_U, byte, window)),
      );
      sum = sum < 0 ? difference : b.emit(ADD_WORD, sum, difference);
    }
    return sum;
  });

export const SIMD_INTEGER_HANDLERS: HandlerTable = {
  ...Object.fromEntries(Object.keys(VECTOR_OPS).map((name) => [name, lanewise(name)])),
  psrlw: shift('i16x8', 16, 'shr_u'),
  psrld: shift('i32x4', 32, 'shr_u'),
  psrlq: shift('i64x2', 64, 'shr_u'),
  psraw: shift('i16x8', 16, 'shr_s'),
  psrad: shift('i32x4', 32, 'shr_s'),
  psllw: shift('i16x8', 16, 'shl'),
  pslld: shift('i32x4', 32, 'shl'),
  psllq: shift('i64x2', 64, 'shl'),
  pslldq: byteShift(true),
  psrldq: byteShift(false),
  pshufd: shuffled(pshufd),
  pshuflw: shuffled(pshuflw),
  pshufhw: shuffled(pshufhw),
  // the four words of an MMX register are the low ones of a v128
  pshufw: shuffled(pshuflw),
  shufps: shuffled(shufps),
  shufpd: shuffled(shufpd),
  blendps: shuffled(blend(4)),
  blendpd: shuffled(blend(8)),
  pblendw: shuffled(blend(2)),
  palignr,
  insertps,
  ptest,
  phminposuw,
  mpsadbw,
  pmovmskb,
  pblendvb: variableBlend(SHR_BYTE, 8),
  blendvps: variableBlend(SHR_DWORD, 32),
  blendvpd: variableBlend(SHR_QUAD, 64),
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
