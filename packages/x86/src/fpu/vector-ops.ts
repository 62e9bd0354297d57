/**
 * Integer vector arithmetic of MMX, SSE2, SSSE3, SSE4 as IR: (destination, source) -> result, both v128.
 *
 * Most are lane-wise and serve both register files: with MMX only the low 8 bytes of operands and result count.
 * Where the 64-bit form is no prefix of the 128-bit one (packs, unpack high, horizontal), `mmx` picks it.
 * SDM Vol. 2B under the mnemonic that names each entry.
 */
import { opId } from '@emkit/ir';
import type { IrBuilder, Value } from '@emkit/ir';

export type VectorOp = (b: IrBuilder, d: Value, s: Value, mmx: boolean) => Value;

const op2 = (name: string): VectorOp => {
  const id = opId(name);
  return (b, d, s) => b.emit(id, d, s);
};
const op1 = (name: string): VectorOp => {
  const id = opId(name);
  return (b, _d, s) => b.emit(id, s);
};
const lanes = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
/** Byte lanes of a 16-lane shuffle from lane numbers of `width` bytes. */
export const byteLanes = (width: number, ...from: number[]): Uint8Array =>
  Uint8Array.from(from.flatMap((n) => Array.from({ length: width }, (_, k) => n * width + k)));
const splatBytes = (width: number, value: number): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, n) => (value >>> (8 * (n % width))) & 0xff);

const AND = opId('v128_and');
const OR = opId('v128_or');
const XOR = opId('v128_xor');
const ANDNOT = opId('v128_andnot');
const NARROW_W_S = opId('i8x16_narrow_i16x8_s');
const NARROW_W_U = opId('i8x16_narrow_i16x8_u');
const NARROW_D_S = opId('i16x8_narrow_i32x4_s');
const NARROW_D_U = opId('i16x8_narrow_i32x4_u');
const SWIZZLE = opId('i8x16_swizzle');
const W_ADD_SAT = opId('i16x8_add_sat_s');
const W_MUL = opId('i16x8_mul');
const W_SHL = opId('i16x8_shl');
const W_SHR_S = opId('i16x8_shr_s');
const W_SHR_U = opId('i16x8_shr_u');
const W_EQ = opId('i16x8_eq');
const Q15 = opId('i16x8_q15mulr_sat_s');
const B_SUB_SAT_U = opId('i8x16_sub_sat_u');
const D_ADD = opId('i32x4_add');
const Q_SHR_U = opId('i64x2_shr_u');
const EXTADD_B = opId('i16x8_extadd_pairwise_i8x16_u');
const EXTADD_W = opId('i32x4_extadd_pairwise_i16x8_u');

/** Both low halves: the operand of an operation that makes one MMX register of two. */
const LOW_HALVES = lanes(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);

const pack =
  (id: number): VectorOp =>
  (b, d, s, mmx) => {
    if (!mmx) return b.emit(id, d, s);
    const both = b.shuffle(d, s, LOW_HALVES);
    return b.emit(id, both, both);
  };

const unpackLow = (width: number): VectorOp => {
  const n = 16 / width;
  const low = byteLanes(width, ...Array.from({ length: n }, (_, k) => (k >> 1) + (k & 1) * n));
  return (b, d, s) => b.shuffle(d, s, low);
};
const unpackHigh = (width: number): VectorOp => {
  const n = 16 / width;
  const high = byteLanes(width, ...Array.from({ length: n }, (_, k) => (k >> 1) + (k & 1) * n + n / 2));
  const highMmx = byteLanes(
    width,
    ...Array.from({ length: n }, (_, k) => (((k >> 1) % (n / 2)) + (k & 1) * n + (n >> 2)) % (2 * n)),
  );
  return (b, d, s, mmx) => b.shuffle(d, s, mmx ? highMmx : high);
};

/** High halves of the 16-bit products. */
const HIGH_WORDS = lanes(2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
const mulHigh = (sign: 's' | 'u'): VectorOp => {
  const low = opId(`i32x4_extmul_low_i16x8_${sign}`);
  const high = opId(`i32x4_extmul_high_i16x8_${sign}`);
  return (b, d, s, mmx) => {
    const products = b.emit(low, d, s);
    return b.shuffle(products, mmx ? products : b.emit(high, d, s), HIGH_WORDS);
  };
};

const EVEN_DWORDS = byteLanes(4, 0, 2, 0, 2);
const mulDwords = (sign: 's' | 'u'): VectorOp => {
  const id = opId(`i64x2_extmul_low_i32x4_${sign}`);
  return (b, d, s, mmx) =>
    mmx ? b.emit(id, d, s) : b.emit(id, b.shuffle(d, d, EVEN_DWORDS), b.shuffle(s, s, EVEN_DWORDS));
};

const LOW_DWORDS = Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0);
const psadbw: VectorOp = (b, d, s) => {
  const difference = b.emit(OR, b.emit(B_SUB_SAT_U, d, s), b.emit(B_SUB_SAT_U, s, d));
  const sums = b.emit(EXTADD_W, b.emit(EXTADD_B, difference));
  return b.emit(AND, b.emit(D_ADD, sums, b.emit(Q_SHR_U, sums, b.i32(32))), b.v128(LOW_DWORDS));
};

/** Lanes 0 2 4.. and 1 3 5.. of d then s; in MMX of the low halves. */
function horizontal(width: number, name: string): VectorOp {
  const id = opId(name);
  const n = 16 / width;
  const pick = (odd: number, mmx: boolean): Uint8Array =>
    byteLanes(
      width,
      ...Array.from({ length: n }, (_, k) => {
        const half = mmx ? n / 4 : n / 2;
        const source = Math.floor(k / half) % 2;
        return source * n + (k % half) * 2 + odd;
      }),
    );
  const even = pick(0, false);
  const odd = pick(1, false);
  const evenMmx = pick(0, true);
  const oddMmx = pick(1, true);
  return (b, d, s, mmx) => b.emit(id, b.shuffle(d, s, mmx ? evenMmx : even), b.shuffle(d, s, mmx ? oddMmx : odd));
}

const sign = (width: 'i8x16' | 'i16x8' | 'i32x4', shift: number): VectorOp => {
  const shr = opId(`${width}_shr_s`);
  const sub = opId(`${width}_sub`);
  const ne = opId(`${width}_ne`);
  const zeros = new Uint8Array(16);
  return (b, d, s) => {
    const negative = b.emit(shr, s, b.i32(shift));
    const value = b.emit(sub, b.emit(XOR, d, negative), negative);
    return b.emit(AND, value, b.emit(ne, s, b.v128(zeros)));
  };
};

const SWIZZLE_MASK = splatBytes(1, 0x8f);
const SWIZZLE_MASK_MMX = splatBytes(1, 0x87);
const LOW_BYTES = splatBytes(2, 0xff);
const WORD_MIN = splatBytes(2, 0x8000);

/** Unsigned bytes of d times signed bytes of s, pairs added with saturation. */
const pmaddubsw: VectorOp = (b, d, s) => {
  const eight = b.i32(8);
  const even = b.emit(W_MUL, b.emit(AND, d, b.v128(LOW_BYTES)), b.emit(W_SHR_S, b.emit(W_SHL, s, eight), eight));
  const odd = b.emit(W_MUL, b.emit(W_SHR_U, d, eight), b.emit(W_SHR_S, s, eight));
  return b.emit(W_ADD_SAT, even, odd);
};
/** q15mulr saturates -1 * -1 to 7FFF where PMULHRSW wraps to 8000. */
const pmulhrsw: VectorOp = (b, d, s) => {
  const min = b.v128(WORD_MIN);
  return b.emit(XOR, b.emit(Q15, d, s), b.emit(AND, b.emit(W_EQ, d, min), b.emit(W_EQ, s, min)));
};

/** By mnemonic in lower case. */
export const VECTOR_OPS: Readonly<Record<string, VectorOp>> = {
  punpcklbw: unpackLow(1),
  punpcklwd: unpackLow(2),
  punpckldq: unpackLow(4),
  punpcklqdq: unpackLow(8),
  punpckhbw: unpackHigh(1),
  punpckhwd: unpackHigh(2),
  punpckhdq: unpackHigh(4),
  punpckhqdq: unpackHigh(8),
  unpcklps: unpackLow(4),
  unpckhps: unpackHigh(4),
  unpcklpd: unpackLow(8),
  unpckhpd: unpackHigh(8),
  packsswb: pack(NARROW_W_S),
  packuswb: pack(NARROW_W_U),
  packssdw: pack(NARROW_D_S),
  packusdw: pack(NARROW_D_U),
  pcmpgtb: op2('i8x16_gt_s'),
  pcmpgtw: op2('i16x8_gt_s'),
  pcmpgtd: op2('i32x4_gt_s'),
  pcmpgtq: op2('i64x2_gt_s'),
  pcmpeqb: op2('i8x16_eq'),
  pcmpeqw: op2('i16x8_eq'),
  pcmpeqd: op2('i32x4_eq'),
  pcmpeqq: op2('i64x2_eq'),
  paddb: op2('i8x16_add'),
  paddw: op2('i16x8_add'),
  paddd: op2('i32x4_add'),
  paddq: op2('i64x2_add'),
  psubb: op2('i8x16_sub'),
  psubw: op2('i16x8_sub'),
  psubd: op2('i32x4_sub'),
  psubq: op2('i64x2_sub'),
  paddsb: op2('i8x16_add_sat_s'),
  paddsw: op2('i16x8_add_sat_s'),
  paddusb: op2('i8x16_add_sat_u'),
  paddusw: op2('i16x8_add_sat_u'),
  psubsb: op2('i8x16_sub_sat_s'),
  psubsw: op2('i16x8_sub_sat_s'),
  psubusb: op2('i8x16_sub_sat_u'),
  psubusw: op2('i16x8_sub_sat_u'),
  pminub: op2('i8x16_min_u'),
  pmaxub: op2('i8x16_max_u'),
  pminsw: op2('i16x8_min_s'),
  pmaxsw: op2('i16x8_max_s'),
  pminsb: op2('i8x16_min_s'),
  pmaxsb: op2('i8x16_max_s'),
  pminuw: op2('i16x8_min_u'),
  pmaxuw: op2('i16x8_max_u'),
  pminsd: op2('i32x4_min_s'),
  pmaxsd: op2('i32x4_max_s'),
  pminud: op2('i32x4_min_u'),
  pmaxud: op2('i32x4_max_u'),
  pavgb: op2('i8x16_avgr_u'),
  pavgw: op2('i16x8_avgr_u'),
  pand: op2('v128_and'),
  por: op2('v128_or'),
  pxor: op2('v128_xor'),
  pandn: (b, d, s) => b.emit(ANDNOT, s, d),
  andps: op2('v128_and'),
  orps: op2('v128_or'),
  xorps: op2('v128_xor'),
  andnps: (b, d, s) => b.emit(ANDNOT, s, d),
  andpd: op2('v128_and'),
  orpd: op2('v128_or'),
  xorpd: op2('v128_xor'),
  andnpd: (b, d, s) => b.emit(ANDNOT, s, d),
  pmullw: op2('i16x8_mul'),
  pmulld: op2('i32x4_mul'),
  pmulhw: mulHigh('s'),
  pmulhuw: mulHigh('u'),
  pmuludq: mulDwords('u'),
  pmuldq: mulDwords('s'),
  pmaddwd: op2('i32x4_dot_i16x8_s'),
  psadbw,
  pshufb: (b, d, s, mmx) => b.emit(SWIZZLE, d, b.emit(AND, s, b.v128(mmx ? SWIZZLE_MASK_MMX : SWIZZLE_MASK))),
  phaddw: horizontal(2, 'i16x8_add'),
  phaddd: horizontal(4, 'i32x4_add'),
  phaddsw: horizontal(2, 'i16x8_add_sat_s'),
  phsubw: horizontal(2, 'i16x8_sub'),
  phsubd: horizontal(4, 'i32x4_sub'),
  phsubsw: horizontal(2, 'i16x8_sub_sat_s'),
  pmaddubsw,
  pmulhrsw,
  psignb: sign('i8x16', 7),
  psignw: sign('i16x8', 15),
  psignd: sign('i32x4', 31),
  pabsb: op1('i8x16_abs'),
  pabsw: op1('i16x8_abs'),
  pabsd: op1('i32x4_abs'),
  pmovsxbw: op1('i16x8_extend_low_i8x16_s'),
  pmovzxbw: op1('i16x8_extend_low_i8x16_u'),
  pmovsxwd: op1('i32x4_extend_low_i16x8_s'),
  pmovzxwd: op1('i32x4_extend_low_i16x8_u'),
  pmovsxdq: op1('i64x2_extend_low_i32x4_s'),
  pmovzxdq: op1('i64x2_extend_low_i32x4_u'),
  ...extensions('s', 'pmovsx'),
  ...extensions('u', 'pmovzx'),
};

/** PMOVSX/ZX over more than one doubling. */
function extensions(sign: 's' | 'u', name: string): Record<string, VectorOp> {
  const bw = opId(`i16x8_extend_low_i8x16_${sign}`);
  const wd = opId(`i32x4_extend_low_i16x8_${sign}`);
  const dq = opId(`i64x2_extend_low_i32x4_${sign}`);
  return {
    [`${name}bd`]: (b, _d, s) => b.emit(wd, b.emit(bw, s)),
    [`${name}bq`]: (b, _d, s) => b.emit(dq, b.emit(wd, b.emit(bw, s))),
    [`${name}wq`]: (b, _d, s) => b.emit(dq, b.emit(wd, s)),
  };
}
