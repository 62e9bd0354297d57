/**
 * The one op table: every IR op's operands, result, side effects and meaning. Builder, verifier, printer, parser,
 * passes and the lowering table of `@emkit/codegen` are driven by it.
 *
 * Ops named like a WebAssembly instruction mean exactly that instruction (WebAssembly core 2.0, "Numeric
 * Instructions", "Vector Instructions"); division ops must be guarded by the frontend, they never see a zero divisor
 * or an overflow. Signatures: operand letters, a colon, a result letter:
 * i = i32, l = i64, f = f32, d = f64, v = v128, a = guest linear address (i32 or i64), - = no result.
 */
import { F32, F64, I32, I64, NONE, V128 } from './types.ts';
import type { IrType } from './types.ts';

export type Effect =
  /** Value depends on operands only: may be folded, shared, moved, dropped. */
  | 'pure'
  /** Reads or writes one named global (`imm` = index). */
  | 'get'
  | 'set'
  /** Reads or writes env memory that is not a global. Ordered among themselves and with calls. */
  | 'envld'
  | 'envst'
  /** Guest memory: may leave the block with a fault, before any effect of this op. */
  | 'load'
  | 'store'
  /** Guest memory in bulk, hot translation only: does all of it, or leaves to the exact (cold) form of this instruction before any of it. */
  | 'bulk'
  /** May leave the block at the start of the current instruction. */
  | 'guard'
  /**
   * Calls: `callw` touches env memory only and cannot leave; `callj` may do anything; `calld` calls a device, which knows nothing of the
   * registers, and may make the block end behind this instruction.
   */
  | 'callw'
  | 'callj'
  | 'calld'
  | 'marker'
  | 'term';

export interface OpDef {
  readonly id: number;
  readonly name: string;
  readonly ins: readonly IrType[];
  /** Index of the operand that is a guest address (i32 or i64), or -1. */
  readonly addressOperand: number;
  readonly out: IrType;
  readonly effect: Effect;
  readonly commutative: boolean;
  readonly doc: string;
}

const LETTER: Readonly<Record<string, IrType>> = { i: I32, l: I64, f: F32, d: F64, v: V128, a: I32, '-': NONE };

interface Row {
  name: string;
  sig: string;
  effect: Effect;
  doc: string;
}
const rows: Row[] = [];
const add = (sig: string, effect: Effect, doc: string, ...names: string[]): void => {
  for (const name of names.join(' ').split(' ')) rows.push({ name, sig, effect, doc });
};

// --- constants ------------------------------------------------------------------------------------------------
add(':i', 'pure', 'imm', 'i32_const');
add(':l', 'pure', 'imm = low half, imm2 = high half', 'i64_const');
add(':v', 'pure', "imm = index into the block's 16-byte constants", 'v128_const');
add(':i', 'pure', 'absolute WebAssembly address of env + imm', 'env_addr');
add(
  ':l',
  'pure',
  'bytes from where the block was translated to where it runs: 0 but in regions that run elsewhere too',
  'code_offset',
);

// --- integers -------------------------------------------------------------------------------------------------
const intBinary = 'add sub mul and or xor shl shr_s shr_u rotl rotr div_s div_u rem_s rem_u'.split(' ');
const intCompare = 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'.split(' ');
for (const [t, s] of [
  ['i32', 'i'],
  ['i64', 'l'],
] as const) {
  for (const n of intBinary) add(`${s}${s}:${s}`, 'pure', `WebAssembly ${t}.${n}`, `${t}_${n}`);
  for (const n of intCompare) add(`${s}${s}:i`, 'pure', `WebAssembly ${t}.${n}`, `${t}_${n}`);
  add(`${s}:i`, 'pure', `WebAssembly ${t}.eqz`, `${t}_eqz`);
  add(`${s}:${s}`, 'pure', 'WebAssembly', `${t}_clz ${t}_ctz ${t}_popcnt ${t}_extend8_s ${t}_extend16_s`);
  add(`${s}:${s}`, 'pure', 'bytes reversed', `${t}_bswap`);
  add(`${s}${s}i:${s}`, 'pure', 'i2 ? i0 : i1', `${t}_select`);
}
add('l:l', 'pure', 'WebAssembly', 'i64_extend32_s');
add('l:i', 'pure', 'WebAssembly', 'i32_wrap_i64');
add('i:l', 'pure', 'WebAssembly', 'i64_extend_i32_s i64_extend_i32_u');

// --- floating point -------------------------------------------------------------------------------------------
for (const [t, s] of [
  ['f32', 'f'],
  ['f64', 'd'],
] as const) {
  add(
    `${s}${s}:${s}`,
    'pure',
    'WebAssembly',
    ...['add', 'sub', 'mul', 'div', 'min', 'max', 'copysign'].map((n) => `${t}_${n}`),
  );
  add(`${s}${s}:i`, 'pure', 'WebAssembly', ...['eq', 'ne', 'lt', 'gt', 'le', 'ge'].map((n) => `${t}_${n}`));
  add(
    `${s}:${s}`,
    'pure',
    'WebAssembly',
    ...['sqrt', 'neg', 'abs', 'ceil', 'floor', 'trunc', 'nearest'].map((n) => `${t}_${n}`),
  );
  add(`${s}${s}i:${s}`, 'pure', 'i2 ? i0 : i1', `${t}_select`);
  add(`i:${s}`, 'pure', 'WebAssembly', `${t}_convert_i32_s ${t}_convert_i32_u`);
  add(`l:${s}`, 'pure', 'WebAssembly', `${t}_convert_i64_s ${t}_convert_i64_u`);
  add(`${s}:i`, 'pure', 'WebAssembly', `i32_trunc_sat_${t}_s i32_trunc_sat_${t}_u`);
  add(`${s}:l`, 'pure', 'WebAssembly', `i64_trunc_sat_${t}_s i64_trunc_sat_${t}_u`);
}
add('f:i', 'pure', 'WebAssembly', 'i32_reinterpret_f32');
add('d:l', 'pure', 'WebAssembly', 'i64_reinterpret_f64');
add('i:f', 'pure', 'WebAssembly', 'f32_reinterpret_i32');
add('l:d', 'pure', 'WebAssembly', 'f64_reinterpret_i64');
add('f:d', 'pure', 'WebAssembly', 'f64_promote_f32');
add('d:f', 'pure', 'WebAssembly', 'f32_demote_f64');

// --- vectors --------------------------------------------------------------------------------------------------
add('vvi:v', 'pure', 'i2 ? i0 : i1', 'v128_select');
add('v:v', 'pure', 'WebAssembly', 'v128_not');
add('vv:v', 'pure', 'WebAssembly', 'v128_and v128_or v128_xor v128_andnot');
add('vvv:v', 'pure', 'WebAssembly: (i0 & i2) | (i1 & ~i2)', 'v128_bitselect');
add('v:i', 'pure', 'WebAssembly', 'v128_any_true');
add('vv:v', 'pure', "WebAssembly, imm = index of the 16 lane numbers in the block's constants", 'i8x16_shuffle');
add('vv:v', 'pure', 'WebAssembly', 'i8x16_swizzle');
for (const t of ['i8x16', 'i16x8', 'i32x4', 'i64x2']) {
  const scalar = t === 'i64x2' ? 'l' : 'i';
  add(`${scalar}:v`, 'pure', 'WebAssembly', `${t}_splat`);
  add('vv:v', 'pure', 'WebAssembly', `${t}_add ${t}_sub ${t}_eq ${t}_ne ${t}_lt_s ${t}_gt_s ${t}_le_s ${t}_ge_s`);
  if (t !== 'i64x2')
    add(
      'vv:v',
      'pure',
      'WebAssembly',
      `${t}_lt_u ${t}_gt_u ${t}_le_u ${t}_ge_u ${t}_min_s ${t}_min_u ${t}_max_s ${t}_max_u`,
    );
  if (t !== 'i8x16') add('vv:v', 'pure', 'WebAssembly', `${t}_mul`);
  add('v:v', 'pure', 'WebAssembly', `${t}_abs ${t}_neg`);
  add('v:i', 'pure', 'WebAssembly', `${t}_bitmask ${t}_all_true`);
  add('vi:v', 'pure', 'WebAssembly (count modulo the lane width)', `${t}_shl ${t}_shr_s ${t}_shr_u`);
  add(`v${scalar}:v`, 'pure', 'WebAssembly, imm = lane', `${t}_replace_lane`);
  if (t === 'i8x16' || t === 'i16x8') {
    add('v:i', 'pure', 'WebAssembly, imm = lane', `${t}_extract_lane_s ${t}_extract_lane_u`);
    add('vv:v', 'pure', 'WebAssembly', `${t}_add_sat_s ${t}_add_sat_u ${t}_sub_sat_s ${t}_sub_sat_u ${t}_avgr_u`);
  } else add(`v:${scalar}`, 'pure', 'WebAssembly, imm = lane', `${t}_extract_lane`);
}
add('v:v', 'pure', 'WebAssembly', 'i8x16_popcnt');
add(
  'vv:v',
  'pure',
  'WebAssembly',
  'i8x16_narrow_i16x8_s i8x16_narrow_i16x8_u i16x8_narrow_i32x4_s i16x8_narrow_i32x4_u',
);
add('vv:v', 'pure', 'WebAssembly', 'i32x4_dot_i16x8_s i16x8_q15mulr_sat_s');
for (const [wide, narrow] of [
  ['i16x8', 'i8x16'],
  ['i32x4', 'i16x8'],
  ['i64x2', 'i32x4'],
]) {
  for (const half of ['low', 'high'])
    for (const sign of ['s', 'u']) {
      add('v:v', 'pure', 'WebAssembly', `${wide}_extend_${half}_${narrow}_${sign}`);
      add('vv:v', 'pure', 'WebAssembly', `${wide}_extmul_${half}_${narrow}_${sign}`);
    }
}
add(
  'v:v',
  'pure',
  'WebAssembly',
  'i16x8_extadd_pairwise_i8x16_s i16x8_extadd_pairwise_i8x16_u i32x4_extadd_pairwise_i16x8_s i32x4_extadd_pairwise_i16x8_u',
);
for (const [t, s] of [
  ['f32x4', 'f'],
  ['f64x2', 'd'],
] as const) {
  add(`${s}:v`, 'pure', 'WebAssembly', `${t}_splat`);
  add(`v:${s}`, 'pure', 'WebAssembly, imm = lane', `${t}_extract_lane`);
  add(`v${s}:v`, 'pure', 'WebAssembly, imm = lane', `${t}_replace_lane`);
  add(
    'vv:v',
    'pure',
    'WebAssembly',
    ...['add', 'sub', 'mul', 'div', 'min', 'max', 'pmin', 'pmax', 'eq', 'ne', 'lt', 'gt', 'le', 'ge'].map(
      (n) => `${t}_${n}`,
    ),
  );
  add(
    'v:v',
    'pure',
    'WebAssembly',
    ...['sqrt', 'neg', 'abs', 'ceil', 'floor', 'trunc', 'nearest'].map((n) => `${t}_${n}`),
  );
}
add(
  'v:v',
  'pure',
  'WebAssembly',
  'f32x4_convert_i32x4_s f32x4_convert_i32x4_u f64x2_convert_low_i32x4_s f64x2_convert_low_i32x4_u f32x4_demote_f64x2_zero f64x2_promote_low_f32x4 i32x4_trunc_sat_f32x4_s i32x4_trunc_sat_f64x2_s_zero',
);

// --- CPU state ------------------------------------------------------------------------------------------------
for (const [t, s] of [
  ['i32', 'i'],
  ['i64', 'l'],
  ['v128', 'v'],
] as const) {
  add(`:${s}`, 'get', 'value of global imm', `get_${t}`);
  add(`${s}:-`, 'set', 'global imm = i0', `set_${t}`);
  add(`:${s}`, 'envld', 'little-endian load at env + imm', `envld_${t}`);
  add(`i:${s}`, 'envld', 'load at env + imm + i0 (i0 bounded by the frontend)', `envldx_${t}`);
  add(`${s}:-`, 'envst', 'store i0 at env + imm', `envst_${t}`);
  add(`i${s}:-`, 'envst', 'store i1 at env + imm + i0', `envstx_${t}`);
}
add(':i', 'envld', 'zero-extending load at env + imm', 'envld_8u envld_16u');
add('i:i', 'envld', 'zero-extending load at env + imm + i0', 'envldx_8u envldx_16u');
add('i:-', 'envst', 'store the low bits of i0 at env + imm', 'envst_8 envst_16');
add('ii:-', 'envst', 'store the low bits of i1 at env + imm + i0', 'envstx_8 envstx_16');

// --- guest memory ---------------------------------------------------------------------------------------------
// imm = MEM_* flags. Every op exists for 32-bit and for 64-bit linear addresses (suffix _a64).
for (const suffix of ['', '_a64']) {
  const a = suffix === '' ? 'a' : 'l';
  add(
    `${a}:i`,
    'load',
    'guest load, zero- or sign-extended to i32',
    ...['ld8u', 'ld8s', 'ld16u', 'ld16s', 'ld32'].map((n) => n + suffix),
  );
  add(`${a}:l`, 'load', 'guest load of 8 bytes', `ld64${suffix}`);
  add(`${a}:v`, 'load', 'guest load of 16 bytes', `ld128${suffix}`);
  add(`${a}i:-`, 'store', 'guest store of the low bits of i1', ...['st8', 'st16', 'st32'].map((n) => n + suffix));
  add(`${a}l:-`, 'store', 'guest store of 8 bytes', `st64${suffix}`);
  add(`${a}v:-`, 'store', 'guest store of 16 bytes', `st128${suffix}`);
}

// Within one page of RAM each (of bytes that may be written and hold no code, where written): else the instruction's cold form runs.
for (const [suffix, a] of [
  ['', 'a'],
  ['_a64', 'l'],
] as const) {
  add(
    `${a}${a}i:-`,
    'bulk',
    'copy i2 bytes from guest address i1 to i0, lowest first; not if i0 lies among them',
    `copy${suffix}`,
  );
  add(`${a}ii:-`, 'bulk', 'fill i2 bytes at guest address i0 with the low byte of i1', `fill${suffix}`);
}

// --- guards and calls -----------------------------------------------------------------------------------------
add(
  'i:-',
  'guard',
  'if i0 != 0 raise exception imm with error code imm2 at this instruction (imm2 -1: none)',
  'raise_if',
);
add(
  'i:-',
  'guard',
  'hot translation only: if i0 != 0 leave, and let the exact (cold) form of this instruction run',
  'bail_if',
);
add('i:-', 'guard', 'hot translation only: bail_if, but only while the accelerator has pending work', 'bail_if_work');
for (let n = 0; n <= 6; n++)
  add(
    `${'i'.repeat(n)}:i`,
    'callw',
    "call WebAssembly helper imm (index into the target's list); touches env memory only",
    `callw${n}`,
  );
for (let n = 0; n <= 4; n++)
  add(
    `${'i'.repeat(n)}:i`,
    'callj',
    'call script helper imm; may read and write all state, may fault; cold only',
    `callj${n}`,
  );

for (let n = 2; n <= 3; n++)
  add(
    `${'i'.repeat(n)}:i`,
    'calld',
    'hot translation only: call script helper imm, which neither faults nor looks at the state; last but for sets in a block that ends in jmp',
    `calld${n}`,
  );

// --- structure ------------------------------------------------------------------------------------------------
add(':-', 'marker', 'nothing: what a pass leaves of an op it removed', 'nop');
add(
  ':-',
  'marker',
  'instruction boundary: imm = program counter (low half), imm2 = (high half), c = ordinal in the block; absent where nothing may leave',
  'insn_start',
);
add(':-', 'term', 'continue at pc imm (imm2 = high half)', 'jmp');
add(
  'i:-',
  'term',
  'if i0 != 0 continue at pc imm, else at pc imm2 (low halves; both share the high half of the block)',
  'br',
);
add('i:-', 'term', 'continue at pc i0; imm = JUMP_* kind', 'jmp_ind');
add('l:-', 'term', 'continue at pc i0; imm = JUMP_* kind', 'jmp_ind_a64');
add(
  ':-',
  'term',
  'pc and flags are in env: look up again. imm = EXIT_*: whether the accelerator looks for pending work first',
  'exit',
);

/** Memory-op flags (`imm` of ld* and st*). */
export const MEM_RMW = 1; // a store to the same address follows: check for write permission now (#PF with W=1)
/** Access as supervisor whatever CPL is: descriptor tables, TSS, frames on an inner stack. Hot translation only: the cold tier's mode is fixed. */
export const MEM_SUPERVISOR = 2;
/** 64-bit addresses: an access through the stack segment, whose non-canonical address is another exception. */
export const MEM_STACK = 4;
/**
 * With MEM_RMW, of an ld128: the upper half of a store of 32 bytes that follows in two parts. Both halves are checked, the lower
 * one first; nothing is read, the value must not be used.
 */
export const MEM_WIDE = 8;

/** Kinds of `exit`: go on; look for pending work if the accelerator has noted any; look in any case (halted, traps to come). */
export const EXIT_LOOKUP = 0;
export const EXIT_WORK = 1;
export const EXIT_ALWAYS = 2;

/** Kinds of `jmp_ind`: a hint to region formation. */
export const JUMP_PLAIN = 0;
export const JUMP_CALL = 1;
export const JUMP_RET = 2;

const COMMUTATIVE = /^(i32|i64)_(add|mul|and|or|xor|eq|ne)$|^v128_(and|or|xor)$|^i\d+x\d+_(add|mul|eq|ne)$/;

export const OPS: readonly OpDef[] = rows.map((r, id) => {
  const [ins, out] = r.sig.split(':') as [string, string];
  return {
    id,
    name: r.name,
    ins: [...ins].map((c) => LETTER[c] as IrType),
    addressOperand: r.effect === 'load' || r.effect === 'store' ? 0 : -1,
    out: LETTER[out] as IrType,
    effect: r.effect,
    commutative: COMMUTATIVE.test(r.name),
    doc: r.doc,
  };
});
/** By op id: 1 for ops that only hot translations may have. */
export const HOT_ONLY = Uint8Array.from(OPS, (o) =>
  o.effect === 'bulk' || o.effect === 'calld' || o.name.startsWith('bail_if') ? 1 : 0,
);

const byName = new Map(OPS.map((o) => [o.name, o]));
if (byName.size !== OPS.length) throw new Error('duplicate IR op name');

/** Op by name; throws on an unknown name (a bug of the caller). */
export function opNamed(name: string): OpDef {
  const op = byName.get(name);
  if (op === undefined) throw new Error(`unknown IR op '${name}'`);
  return op;
}
/** Numeric id of a named op: resolve once at module load, never on a hot path. */
export const opId = (name: string): number => opNamed(name).id;
