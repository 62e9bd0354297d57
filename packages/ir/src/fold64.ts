/**
 * Folding of 64-bit integer ops and of the conversions between widths. Constants are pairs of halves: no BigInt, since this runs for every op of
 * translated 64-bit code. What has an extended 32-bit value for its operand becomes a 32-bit op where that gives the same.
 */
import type { IrBlock } from './block.ts';
import { OPS, opId } from './ops.ts';
import type { Value } from './types.ts';

/** What folding needs of the builder. */
export interface Folder {
  readonly block: IrBlock;
  i32(v: number): Value;
  i64Parts(lo: number, hi: number): Value;
  /** A pure op, folded and shared in turn. */
  emit(op: number, a: Value, b?: Value): Value;
}

const I32_CONST = opId('i32_const');
const CONST = opId('i64_const');
const ADD = opId('i64_add');
const SUB = opId('i64_sub');
const MUL = opId('i64_mul');
const AND = opId('i64_and');
const OR = opId('i64_or');
const XOR = opId('i64_xor');
const SHL = opId('i64_shl');
const SHR_U = opId('i64_shr_u');
const SHR_S = opId('i64_shr_s');
const ROTL = opId('i64_rotl');
const ROTR = opId('i64_rotr');
const EQZ = opId('i64_eqz');
const EXTEND32_S = opId('i64_extend32_s');
const WRAP = opId('i32_wrap_i64');
const EXT_S = opId('i64_extend_i32_s');
const EXT_U = opId('i64_extend_i32_u');
const EQZ_32 = opId('i32_eqz');
const AND_32 = opId('i32_and');
const SHL_32 = opId('i32_shl');
const SHR_U_32 = opId('i32_shr_u');

const COMMUTATIVE = new Set([ADD, MUL, AND, OR, XOR, opId('i64_eq'), opId('i64_ne')]);
const COMPARE = Uint8Array.from(OPS, (o) => (/^i64_(eq|ne|[lg][te]_[su])$/.test(o.name) ? 1 : 0));
const SIGNED = Uint8Array.from(OPS, (o) => (/^i64_[lg][te]_s$/.test(o.name) ? 1 : 0));
/** The 32-bit op of the same name, where low halves of operands give the low half of the result; or a comparison. */
const NARROW = Int16Array.from(OPS, (o) =>
  /^i64_(add|sub|mul|and|or|xor|eq|ne|[lg][te]_u)$/.test(o.name) ? opId(o.name.replace('i64', 'i32')) : -1,
);
/** Ops that `fold64` is asked about. */
export const FOLDS_64 = Uint8Array.from(OPS, (o) =>
  COMPARE[o.id] !== 0 ||
  [ADD, SUB, MUL, AND, OR, XOR, SHL, SHR_U, SHR_S, ROTL, ROTR, EQZ, EXTEND32_S, WRAP, EXT_S, EXT_U].includes(o.id)
    ? 1
    : 0,
);

/** The value that the op needs no op of its own for, or -1. */
export function fold64(f: Folder, op: number, a: Value, b: Value): Value {
  const { block } = f;
  if (b < 0) return unary(f, op, a);
  if (block.op[b] === CONST) {
    if (block.op[a] === CONST) return constants(f, op, a, b);
    return withConstant(f, op, a, b);
  }
  if (block.op[a] === CONST && COMMUTATIVE.has(op)) return f.emit(op, b, a);
  if (COMPARE[op] !== 0 && block.op[a] === EXT_U && block.op[b] === EXT_U && NARROW[op]! >= 0)
    return f.emit(NARROW[op]!, block.a[a]!, block.a[b]!);
  return -1;
}

function unary(f: Folder, op: number, a: Value): Value {
  const { block } = f;
  const of = block.op[a]!;
  const lo = block.imm[a]!;
  switch (op) {
    case WRAP:
      return of === CONST ? f.i32(lo) : wrap(f, a);
    case EXT_U:
      return of === I32_CONST ? f.i64Parts(lo, 0) : -1;
    case EXT_S:
      if (of === WRAP) return f.emit(EXTEND32_S, block.a[a]!);
      return of === I32_CONST ? f.i64Parts(lo, lo >> 31) : -1;
    case EXTEND32_S:
      if (of === EXT_S) return a;
      if (of === EXT_U) return f.emit(EXT_S, block.a[a]!);
      return of === CONST ? f.i64Parts(lo, lo >> 31) : -1;
    case EQZ:
      if (of === EXT_U || of === EXT_S) return f.emit(EQZ_32, block.a[a]!);
      return of === CONST ? f.i32((lo | block.imm2[a]!) === 0 ? 1 : 0) : -1;
    default:
      return -1;
  }
}

/** Low half of a value that is no constant. */
function wrap(f: Folder, a: Value): Value {
  const { block } = f;
  const of = block.op[a]!;
  if (of === EXT_U || of === EXT_S) return block.a[a]!;
  if (of === EXTEND32_S) return f.emit(WRAP, block.a[a]!);
  const x = block.a[a]!;
  const y = block.b[a]!;
  if (of === SHL && isExtended(block, x) && block.op[y] === CONST)
    return (block.imm[y]! & 63) < 32 ? f.emit(SHL_32, block.a[x]!, f.i32(block.imm[y]! & 63)) : f.i32(0);
  if (COMPARE[of] !== 0 || NARROW[of]! < 0) return -1;
  if ((isExtended(block, x) || block.op[x] === CONST) && (isExtended(block, y) || block.op[y] === CONST))
    return f.emit(NARROW[of]!, f.emit(WRAP, x), f.emit(WRAP, y));
  return -1;
}
const isExtended = (block: IrBlock, v: Value): boolean => block.op[v] === EXT_U || block.op[v] === EXT_S;

/** x op constant. */
function withConstant(f: Folder, op: number, a: Value, b: Value): Value {
  const { block } = f;
  const lo = block.imm[b]!;
  const hi = block.imm2[b]!;
  const of = block.op[a]!;
  const inner = block.b[a]!;
  const zero = (lo | hi) === 0;
  const ones = (lo & hi) === -1;
  switch (op) {
    case ADD:
      if (zero) return a;
      // (x + k1) + k2
      if (of === ADD && block.op[inner] === CONST) return f.emit(ADD, block.a[a]!, constants(f, ADD, inner, b));
      return -1;
    case SUB:
      // one form for address arithmetic
      return f.emit(ADD, a, f.i64Parts(-lo, ~hi + (lo === 0 ? 1 : 0)));
    case OR:
      return zero ? a : ones ? b : -1;
    case XOR:
      return zero ? a : -1;
    case MUL:
      return zero ? b : lo === 1 && hi === 0 ? a : -1;
    case AND:
      if (zero) return b;
      if (ones || (of === EXT_U && lo === -1)) return a;
      if (of === EXT_U) return f.emit(EXT_U, f.emit(AND_32, block.a[a]!, f.i32(lo)));
      if (of === AND && block.op[inner] === CONST) return f.emit(AND, block.a[a]!, constants(f, AND, inner, b));
      return -1;
    case SHL:
    case SHR_S:
    case ROTL:
    case ROTR:
      return (lo & 63) === 0 ? a : -1;
    case SHR_U:
      if ((lo & 63) === 0) return a;
      if (of !== EXT_U) return -1;
      return (lo & 63) < 32 ? f.emit(EXT_U, f.emit(SHR_U_32, block.a[a]!, f.i32(lo & 63))) : f.i64Parts(0, 0);
    default:
      // comparison of what has no high half
      return of === EXT_U && hi === 0 && NARROW[op]! >= 0 ? f.emit(NARROW[op]!, block.a[a]!, f.i32(lo)) : -1;
  }
}

/** constant op constant, or -1. */
function constants(f: Folder, op: number, a: Value, b: Value): Value {
  const { block } = f;
  const al = block.imm[a]!;
  const ah = block.imm2[a]!;
  const bl = block.imm[b]!;
  const bh = block.imm2[b]!;
  const n = bl & 63;
  switch (op) {
    case ADD: {
      const lo = (al + bl) | 0;
      return f.i64Parts(lo, ah + bh + (lo >>> 0 < al >>> 0 ? 1 : 0));
    }
    case SUB:
      return f.i64Parts(al - bl, ah - bh - (al >>> 0 < bl >>> 0 ? 1 : 0));
    case AND:
      return f.i64Parts(al & bl, ah & bh);
    case OR:
      return f.i64Parts(al | bl, ah | bh);
    case XOR:
      return f.i64Parts(al ^ bl, ah ^ bh);
    case SHL:
      if (n === 0) return a;
      return n < 32 ? f.i64Parts(al << n, (ah << n) | (al >>> (32 - n))) : f.i64Parts(0, al << (n - 32));
    case SHR_U:
      if (n === 0) return a;
      return n < 32 ? f.i64Parts((al >>> n) | (ah << (32 - n)), ah >>> n) : f.i64Parts(ah >>> (n - 32), 0);
    case SHR_S:
      if (n === 0) return a;
      return n < 32 ? f.i64Parts((al >>> n) | (ah << (32 - n)), ah >> n) : f.i64Parts(ah >> (n - 32), ah >> 31);
    default:
      return COMPARE[op] !== 0 ? f.i32(compare(op, al, ah, bl, bh) ? 1 : 0) : -1;
  }
}

const EQ = opId('i64_eq');
const NE = opId('i64_ne');
const [LT_S, LT_U, GT_S, GT_U, LE_S, LE_U] = ['lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_s', 'le_u'].map((n) =>
  opId(`i64_${n}`),
);
function compare(op: number, al: number, ah: number, bl: number, bh: number): boolean {
  const equal = al === bl && ah === bh;
  if (op === EQ) return equal;
  if (op === NE) return !equal;
  const high = SIGNED[op] !== 0 ? ah < bh : ah >>> 0 < bh >>> 0;
  const less = ah === bh ? al >>> 0 < bl >>> 0 : high;
  if (op === LT_S || op === LT_U) return less;
  if (op === GT_S || op === GT_U) return !less && !equal;
  return op === LE_S || op === LE_U ? less || equal : !less;
}
