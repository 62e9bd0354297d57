/**
 * Constant folding of 32-bit integer ops; of 64-bit ones see fold64.ts.
 */
import type { Folder } from './fold64.ts';
import { OPS, opId } from './ops.ts';
import type { Value } from './types.ts';

type Fold1 = (a: number) => number;
type Fold2 = (a: number, b: number) => number;

const bool = (x: boolean): number => (x ? 1 : 0);
const popcnt = (x: number): number => {
  let n = 0;
  for (let v = x >>> 0; v !== 0; v &= v - 1) n++;
  return n;
};

const UNARY: Readonly<Record<string, Fold1>> = {
  i32_eqz: (a) => bool(a === 0),
  i32_clz: (a) => Math.clz32(a),
  i32_ctz: (a) => (a === 0 ? 32 : 31 - Math.clz32(a & -a)),
  i32_popcnt: popcnt,
  i32_extend8_s: (a) => (a << 24) >> 24,
  i32_extend16_s: (a) => (a << 16) >> 16,
  i32_bswap: (a) => ((a & 0xff) << 24) | ((a & 0xff00) << 8) | ((a >>> 8) & 0xff00) | (a >>> 24),
};

const BINARY: Readonly<Record<string, Fold2>> = {
  i32_add: (a, b) => (a + b) | 0,
  i32_sub: (a, b) => (a - b) | 0,
  i32_mul: Math.imul,
  i32_and: (a, b) => a & b,
  i32_or: (a, b) => a | b,
  i32_xor: (a, b) => a ^ b,
  i32_shl: (a, b) => a << b,
  i32_shr_s: (a, b) => a >> b,
  i32_shr_u: (a, b) => (a >>> b) | 0,
  i32_rotl: (a, b) => ((b & 31) === 0 ? a : (a << (b & 31)) | (a >>> ((32 - b) & 31))),
  i32_rotr: (a, b) => ((b & 31) === 0 ? a : (a >>> (b & 31)) | (a << ((32 - b) & 31))),
  i32_eq: (a, b) => bool(a === b),
  i32_ne: (a, b) => bool(a !== b),
  i32_lt_s: (a, b) => bool(a < b),
  i32_lt_u: (a, b) => bool(a >>> 0 < b >>> 0),
  i32_gt_s: (a, b) => bool(a > b),
  i32_gt_u: (a, b) => bool(a >>> 0 > b >>> 0),
  i32_le_s: (a, b) => bool(a <= b),
  i32_le_u: (a, b) => bool(a >>> 0 <= b >>> 0),
  i32_ge_s: (a, b) => bool(a >= b),
  i32_ge_u: (a, b) => bool(a >>> 0 >= b >>> 0),
};

const COMMUTATIVE = Uint8Array.from(OPS, (o) => (o.commutative ? 1 : 0));

/** Folders by op id; undefined where an op is never folded. */
export const FOLD1: readonly (Fold1 | undefined)[] = OPS.map((o) => UNARY[o.name]);
export const FOLD2: readonly (Fold2 | undefined)[] = OPS.map((o) => BINARY[o.name]);

/** What `op(x, constant k)` is when it needs no op: the operand itself, or a constant. */
export type Identity = 'x' | number | undefined;

const CONST = opId('i32_const');
const ADD = opId('i32_add');
const SUB = opId('i32_sub');
const AND = opId('i32_and');
const OR = opId('i32_or');
const XOR = opId('i32_xor');
const MUL = opId('i32_mul');
const SHIFTS = new Set(['i32_shl', 'i32_shr_s', 'i32_shr_u', 'i32_rotl', 'i32_rotr'].map(opId));

/** Identities of 32-bit ops with a constant right operand. */
export function identity(op: number, k: number): Identity {
  if (k === 0) {
    if (op === ADD || op === SUB || op === OR || op === XOR || SHIFTS.has(op)) return 'x';
    if (op === AND || op === MUL) return 0;
  } else if (k === 1 && op === MUL) return 'x';
  else if (k === -1) {
    if (op === AND) return 'x';
    if (op === OR) return -1;
  }
  return undefined;
}

/** The value that a pure op of operands `a`, `b`, `c` needs no op of its own for, or -1. */
export function fold32(f: Folder, op: number, a: Value, b: Value, c: Value): Value {
  const { block } = f;
  const aConst = block.op[a] === CONST;
  if (b < 0) {
    const fold = FOLD1[op];
    if (aConst && fold !== undefined) return f.i32(fold(block.imm[a]!));
  } else if (block.op[b] === CONST) {
    const k = block.imm[b]!;
    if (aConst) {
      const fold = FOLD2[op];
      if (fold !== undefined) return f.i32(fold(block.imm[a]!, k));
    }
    if (c < 0) {
      const same = identity(op, k);
      if (same !== undefined) return same === 'x' ? a : f.i32(same);
      // (x + k1) + k2 -> x + (k1 + k2); x - k -> x + (-k): one form for address arithmetic
      if (op === SUB) return f.emit(ADD, a, f.i32(-k));
      if (op === ADD && block.op[a] === ADD && block.op[block.b[a]!] === CONST)
        return f.emit(ADD, block.a[a]!, f.i32(block.imm[block.b[a]!]! + k));
    }
  } else if (aConst && COMMUTATIVE[op] !== 0) return f.emit(op, b, a);
  return -1;
}
