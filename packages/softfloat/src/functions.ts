/**
 * Every export of the module: name, parameters and meaning. The one place to read before calling any of them.
 *
 * All parameters are i32 and there is exactly one i32 result. Operands in memory, any alignment, `dst` may be any source:
 * f80 = 10 bytes (significand u64 at +0, sign and exponent u16 at +8; bytes 10-15 of a slot are never touched);
 * f32/f64/integers little-endian; SSE lanes consecutive from the address. Only `lanes` result lanes are written.
 *
 * x87 results ("flags"): newly raised IE DE ZE OE UE PE in bits 0-5 and, for rounding operations, C1 (0x200) = rounded up
 * in magnitude. `fcw` is the whole control word. If IE, DE or ZE was raised unmasked nothing is stored; an unmasked
 * OE or UE stores the result with its exponent moved by 24576 (to f32, f64, integers: nothing is stored).
 * Stack faults, tags, TOP and pops are the caller's.
 *
 * SSE results ("flags"): newly raised IE DE ZE OE UE PE in bits 0-5. `mxcsr` is the whole register. If any raised
 * exception is unmasked nothing is stored: the caller raises #XM when `flags & ~(mxcsr >> 7) & 0x3f`.
 */
export interface SoftFloatFunction {
  readonly name: string;
  readonly params: readonly string[];
  readonly doc: string;
}

const row = (name: string, params: string, doc: string): SoftFloatFunction => ({
  name,
  params: params.split(' '),
  doc,
});

const X87_ARITH: readonly SoftFloatFunction[] = [
  row('f80_add', 'dst a b fcw', 'a + b'),
  row('f80_sub', 'dst a b fcw', 'a - b (FSUBR: swap a and b)'),
  row('f80_mul', 'dst a b fcw', 'a * b'),
  row('f80_div', 'dst a b fcw', 'a / b (FDIVR: swap a and b)'),
  // D8/DC memory forms: src is f32 / f64. Not the same as loading first: NaN choice and DE differ.
  row('f80_add_m32', 'dst a src fcw', 'a + f32'),
  row('f80_add_m64', 'dst a src fcw', 'a + f64'),
  row('f80_mul_m32', 'dst a src fcw', 'a * f32'),
  row('f80_mul_m64', 'dst a src fcw', 'a * f64'),
  row('f80_sub_m32', 'dst a src fcw', 'a - f32'),
  row('f80_sub_m64', 'dst a src fcw', 'a - f64'),
  row('f80_subr_m32', 'dst a src fcw', 'f32 - a'),
  row('f80_subr_m64', 'dst a src fcw', 'f64 - a'),
  row('f80_div_m32', 'dst a src fcw', 'a / f32'),
  row('f80_div_m64', 'dst a src fcw', 'a / f64'),
  row('f80_divr_m32', 'dst a src fcw', 'f32 / a'),
  row('f80_divr_m64', 'dst a src fcw', 'f64 / a'),
  // DA/DE integer memory forms: f80_from_i16 / f80_from_i32 into a scratch slot, then the register form (exact).
  row('f80_sqrt', 'dst a fcw', 'square root'),
  row('f80_rndint', 'dst a fcw', 'round to an integer by RC (FRNDINT)'),
  row('f80_scale', 'dst a b fcw', 'a * 2^trunc(b) (FSCALE)'),
  row(
    'f80_prem',
    'dst a b fcw',
    'partial remainder, truncating quotient (FPREM); result also holds C0 0x100, C1 0x200, C2 0x400, C3 0x4000, and 0x10000 when no quotient was formed (NaN, invalid, unmasked DE): then C0 and C3 of the FSW stay as they were, C1 and C2 are cleared',
  ),
  row('f80_prem1', 'dst a b fcw', 'the same, quotient to nearest (FPREM1)'),
  row(
    'f80_xtract',
    'dstExp dstSig a fcw',
    'exponent and significand (FXTRACT: dstExp = new ST(1), dstSig = new ST(0)); ZE for zero',
  ),
];

const X87_COMPARE: readonly SoftFloatFunction[] = [
  row(
    'f80_cmp',
    'a b quiet',
    'C0 0x100 (a < b), C3 0x4000 (equal), C0|C2|C3 unordered; or-ed with IE, DE. quiet = 1: FUCOM. FCOM/FUCOM: write C0 C2 C3, clear C1. FCOMI/FUCOMI: CF = C0, PF = C2, ZF = C3, OF SF AF = 0, FSW condition codes untouched. Recorded hardware writes them even when IE or DE is unmasked',
  ),
  row('f80_cmp_m32', 'a src', 'FCOM m32'),
  row('f80_cmp_m64', 'a src', 'FCOM m64'),
  row('f80_xam', 'a empty', 'FXAM: C3 C2 C0 class and C1 sign; empty = 1 when the tag says so. No exceptions'),
];

const X87_CONVERT: readonly SoftFloatFunction[] = [
  row(
    'f80_from_f32',
    'dst src fcw',
    'FLD m32 (IE for a signalling NaN; DE for a denormal, which is stored and pushed even when DE is unmasked, as on recorded hardware)',
  ),
  row('f80_from_f64', 'dst src fcw', 'FLD m64'),
  row('f80_from_i16', 'dst src', 'FILD m16; returns 0'),
  row('f80_from_i32', 'dst src', 'FILD m32; returns 0'),
  row('f80_from_i64', 'dst src', 'FILD m64; returns 0'),
  row('f80_from_bcd', 'dst src', 'FBLD; returns 0'),
  row('f80_to_f32', 'dst src fcw', 'FST m32'),
  row('f80_to_f64', 'dst src fcw', 'FST m64'),
  row('f80_to_i16', 'dst src fcw trunc', 'FIST m16; trunc = 1: FISTTP'),
  row('f80_to_i32', 'dst src fcw trunc', 'FIST m32'),
  row('f80_to_i64', 'dst src fcw trunc', 'FISTP m64'),
  row('f80_to_bcd', 'dst src fcw', 'FBSTP'),
  row(
    'f80_const',
    'dst index fcw',
    '0 FLD1, 1 FLDL2T, 2 FLDL2E, 3 FLDPI, 4 FLDLG2, 5 FLDLN2, 6 FLDZ (D9 E8+index); returns 0',
  ),
];

const X87_TRANSCENDENTAL: readonly SoftFloatFunction[] = [
  row('f80_2xm1', 'dst a fcw', '2^a - 1 (F2XM1)'),
  row('f80_yl2x', 'dst x y fcw', 'y * log2(x): x = ST(0), y = ST(1) (FYL2X)'),
  row('f80_yl2xp1', 'dst x y fcw', 'y * log2(x + 1) (FYL2XP1)'),
  row('f80_atan', 'dst y x fcw', 'arctan(y / x) in the quadrant of (x, y): y = ST(1), x = ST(0) (FPATAN)'),
  row('f80_sin', 'dst a fcw', 'sine; |a| >= 2^63: returns C2, stores nothing'),
  row('f80_cos', 'dst a fcw', 'cosine; C2 as above'),
  row('f80_sincos', 'dstSin dstCos a fcw', 'both (FSINCOS: dstSin = ST(1), dstCos = new ST(0)); C2 as above'),
  row('f80_tan', 'dstTan dstOne a fcw', 'tangent, and what FPTAN pushes: 1.0, or the same NaN; C2 as above'),
];

const BINARY_OPS = ['add', 'sub', 'mul', 'div', 'min', 'max'] as const;
const FLOATS = ['f32', 'f64'] as const;

const SSE: readonly SoftFloatFunction[] = FLOATS.flatMap((t) => [
  ...BINARY_OPS.map((op) =>
    row(
      `sse_${op}_${t}`,
      'dst a b lanes mxcsr',
      `${op.toUpperCase()} of \`lanes\` ${t} lanes; a is the destination operand`,
    ),
  ),
  row(`sse_sqrt_${t}`, 'dst a lanes mxcsr', `square root of ${t} lanes`),
  row(
    `sse_cmp_${t}`,
    'dst a b lanesPred mxcsr',
    'CMPccPS/PD/SS/SD: lanes | predicate 0-7 << 8; all-ones or zero lanes',
  ),
  row(
    `sse_comis_${t}`,
    'a b quiet mxcsr',
    'COMIS (quiet = 0) or UCOMIS: flags | EFLAGS image << 16 (CF bit 16, PF bit 18, ZF bit 22; OF SF AF are 0)',
  ),
  row(
    `sse_fma_${t}`,
    'dst a b c lanesNeg mxcsr',
    'fused a * b + c in the order of the mnemonic (132: op1 op3 op2; 213: op2 op1 op3; 231: op2 op3 op1): lanes | 0x100 to negate the product | 0x200 to negate c',
  ),
  row(`sse_round_${t}`, 'dst a lanesImm mxcsr', 'ROUNDPS/PD/SS/SD: lanes | imm8 << 8'),
]).concat(
  [
    ['f32', 'f64'],
    ['f64', 'f32'],
    ['i32', 'f32'],
    ['i32', 'f64'],
    ['i64', 'f32'],
    ['i64', 'f64'],
    ['f32', 'i32'],
    ['f32', 'i64'],
    ['f64', 'i32'],
    ['f64', 'i64'],
  ].map(([from, to]) =>
    row(`sse_cvt_${from}_${to}`, 'dst src lanes mxcsr', `${from} lanes to ${to}, current rounding`),
  ),
  ['f32', 'f64'].flatMap((from) =>
    ['i32', 'i64'].map((to) =>
      row(`sse_cvtt_${from}_${to}`, 'dst src lanes mxcsr', `${from} lanes to ${to}, truncating`),
    ),
  ),
  [
    row('sse_cvt_f16_f32', 'dst src lanes mxcsr', 'VCVTPH2PS: half-precision lanes to f32'),
    row('sse_cvt_f32_f16', 'dst src lanesImm mxcsr', 'VCVTPS2PH: lanes | imm8 << 8; 2 bytes are written for each lane'),
    row('sse_rcp_f32', 'dst a lanes', 'RCPPS/SS: 1 / a; returns 0'),
    row('sse_rsqrt_f32', 'dst a lanes', 'RSQRTPS/SS: 1 / sqrt(a); returns 0'),
  ],
);

/** Not floating point either. */
const FLAGS: readonly SoftFloatFunction[] = [
  row(
    'x86_flags',
    'op resultLow resultHigh operandLow operandHigh carryIn',
    "CF PF AF ZF SF OF as EFLAGS bits, out of the x86 package's lazy flags (its flags.ts)",
  ),
];

/** Not floating point: vector instructions too long for a few operations. 16-byte operands; return 0 unless said otherwise. */
const VECTOR: readonly SoftFloatFunction[] = [
  row('aes_enc', 'dst a b', 'AESENC: a is the state, b the round key'),
  row('aes_enclast', 'dst a b', 'AESENCLAST'),
  row('aes_dec', 'dst a b', 'AESDEC'),
  row('aes_declast', 'dst a b', 'AESDECLAST'),
  row('aes_imc', 'dst a', 'AESIMC'),
  row('aes_keygen', 'dst a imm', 'AESKEYGENASSIST'),
  row('clmul', 'dst a b imm', 'PCLMULQDQ: bit 0 of imm chooses the half of a, bit 4 that of b'),
  row('sha1_rnds4', 'dst a b imm', 'SHA1RNDS4'),
  row('sha1_nexte', 'dst a b', 'SHA1NEXTE'),
  row('sha1_msg1', 'dst a b', 'SHA1MSG1'),
  row('sha1_msg2', 'dst a b', 'SHA1MSG2'),
  row('sha256_rnds2', 'dst a b c', 'SHA256RNDS2: c is XMM0, of which the low half counts'),
  row('sha256_msg1', 'dst a b', 'SHA256MSG1'),
  row('sha256_msg2', 'dst a b', 'SHA256MSG2'),
  row(
    'pcmpstr',
    'dst a b control lenA lenB',
    'PCMPxSTRx: control is imm8, | 0x100 for explicit lengths (as signed 32-bit values; else ignored). Writes the mask; returns EFLAGS CF ZF SF OF | index << 16',
  ),
];

export const SOFTFLOAT_FUNCTIONS: readonly SoftFloatFunction[] = [
  ...X87_ARITH,
  ...X87_COMPARE,
  ...X87_CONVERT,
  ...X87_TRANSCENDENTAL,
  ...SSE,
  ...FLAGS,
  ...VECTOR,
];
