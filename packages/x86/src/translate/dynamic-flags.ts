/**
 * Flags while CC_OP is not known at translation time: `evaluateFlags` of flags.ts as straight-line ops over the CC
 * globals, in their type. Pure, so that what nobody reads vanishes; nothing here leaves the block.
 * A CC_OP of 64 bits is met by 64-bit code only: whatever leaves 64-bit code for other code sets the flags as EFLAGS.
 */
import { I64 } from '@emkit/ir';
import type { IrBuilder, Value } from '@emkit/ir';
import { KIND_DEC, KIND_GIVEN, KIND_INC, KIND_LOGIC, KIND_MUL, KIND_SHL, KIND_SUB } from '../flags.ts';
import { FLAG_AF, G } from '../state.ts';
import type { Narrow } from './narrow.ts';

/** CC_OP is EFLAGS: the flags are bits of CC_SRC. */
export function isEflags(b: IrBuilder): Value {
  return b.eqz(b.get(G.CC_OP));
}

function dynamicKind(b: IrBuilder): Value {
  return b.sar(b.sub(b.get(G.CC_OP), b.i32(1)), b.i32(2));
}

/** Type of the CC globals is i64: as an operand size. */
const sizeOf = (b: IrBuilder): number => (b.globals[G.CC_DST]!.type === I64 ? 3 : 2);

/** How far to shift left so that the operation's top bit is the type's: by log2 of the size 24, 16, 0, or 56, 48, 32, 0. */
function alignment(n: Narrow): Value {
  const { b } = n;
  const size = b.and(b.sub(b.get(G.CC_OP), b.i32(1)), b.i32(3));
  const type = sizeOf(b);
  return n.sized(type, b.and(b.shr(b.i32(type === 3 ? 0x203038 : 0x1018), b.shl(size, b.i32(3))), b.i32(0xff)));
}

/** The result with its top bit at that of the type. */
export function alignedDst(n: Narrow): Value {
  return n.b.shl(n.b.get(G.CC_DST), alignment(n));
}

function alignedSrc(n: Narrow): Value {
  return n.b.shl(n.b.get(G.CC_SRC), alignment(n));
}

const topBit = (n: Narrow, v: Value): Value => n.bit(v, sizeOf(n.b) === 3 ? 63 : 31);

/** SF as 0/1, unless CC_OP is EFLAGS. */
export const dynamicSign = (n: Narrow): Value => topBit(n, alignedDst(n));

/** Carry in of ADC and SBB, else 0. */
function carryIn(n: Narrow): Value {
  const { b } = n;
  return b.and(n.low(b.get(G.CC_SRC2)), b.and(dynamicKind(b), b.i32(1)));
}

function isAdd(b: IrBuilder): Value {
  return b.ltU(dynamicKind(b), b.i32(KIND_SUB));
}

/** CF as 0/1. */
export function dynamicCarry(n: Narrow): Value {
  const { b } = n;
  const kind = dynamicKind(b);
  const x = alignedDst(n);
  const y = alignedSrc(n);
  const c = carryIn(n);
  const shifted = b.shl(n.sized(sizeOf(b), c), alignment(n));
  const total = b.select(isAdd(b), x, b.add(b.add(x, y), shifted));
  const arithmetic = b.or(b.ltU(total, y), b.and(c, b.eq(total, y)));
  const other = b.select(
    b.eq(kind, b.i32(KIND_SHL)),
    topBit(n, y),
    b.and(b.ne(kind, b.i32(KIND_LOGIC)), n.low(b.get(G.CC_SRC))),
  );
  return b.select(b.ltU(kind, b.i32(KIND_LOGIC)), arithmetic, other);
}

function dynamicFirst(n: Narrow, x: Value, y: Value, carry: Value): Value {
  const { b } = n;
  return b.select(isAdd(b), b.sub(b.sub(x, y), carry), b.add(b.add(x, y), carry));
}

/** OF as 0/1. */
export function dynamicOverflow(n: Narrow): Value {
  const { b } = n;
  const type = sizeOf(b);
  const kind = dynamicKind(b);
  const src = n.low(b.get(G.CC_SRC));
  const x = alignedDst(n);
  const y = alignedSrc(n);
  const shift = alignment(n);
  const a = dynamicFirst(n, x, y, b.shl(n.sized(type, carryIn(n)), shift));
  const arithmetic = topBit(n, b.and(b.xor(a, x), b.xor(b.select(isAdd(b), x, a), y)));
  const min = type === 3 ? b.i64Parts(0, -0x80000000) : b.i32(-0x80000000);
  // DEC overflows when result + 1 is the most negative value
  const step = b.select(b.eq(kind, b.i32(KIND_DEC)), b.shl(n.int(type, 1), shift), n.int(type, 0));
  const incDec = b.eq(b.add(x, step), min);
  const given = b.and(b.shr(src, b.select(b.eq(kind, b.i32(KIND_MUL)), b.i32(0), b.i32(11))), b.i32(1));
  const shifted = topBit(n, b.xor(x, y));
  let v = b.select(b.ltU(kind, b.i32(KIND_MUL)), shifted, given); // EFLAGS is kind -1: given
  v = b.select(b.ltU(kind, b.i32(KIND_SHL)), incDec, v);
  v = b.select(b.ltU(kind, b.i32(KIND_INC)), b.i32(0), v);
  return b.select(b.ltU(kind, b.i32(KIND_LOGIC)), arithmetic, v);
}

/** AF in its EFLAGS position. */
export function dynamicAdjust(n: Narrow): Value {
  const { b } = n;
  const kind = dynamicKind(b);
  const dst = n.low(b.get(G.CC_DST));
  const src = n.low(b.get(G.CC_SRC));
  const a = dynamicFirst(n, dst, src, carryIn(n));
  const nibble = b.and(dst, b.i32(15));
  const incDec = b.shl(b.eq(nibble, b.select(b.eq(kind, b.i32(KIND_DEC)), b.i32(15), b.i32(0))), b.i32(4));
  let v = b.select(b.ltU(kind, b.i32(KIND_GIVEN)), b.i32(0), src);
  v = b.select(b.ltU(kind, b.i32(KIND_SHL)), incDec, v);
  v = b.select(b.ltU(kind, b.i32(KIND_INC)), b.i32(0), v);
  v = b.select(b.ltU(kind, b.i32(KIND_LOGIC)), b.xor(b.xor(dst, src), a), v);
  return b.and(v, b.i32(FLAG_AF));
}
