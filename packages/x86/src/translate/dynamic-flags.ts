/**
 * Flags while CC_OP is not known at translation time: `evaluateFlags` of flags.ts as straight-line ops over the CC
 * globals. Pure, so that what nobody reads vanishes; nothing here leaves the block.
 */
import type { IrBuilder, Value } from '@emkit/ir';
import { KIND_DEC, KIND_GIVEN, KIND_INC, KIND_LOGIC, KIND_MUL, KIND_SHL, KIND_SUB } from '../flags.ts';
import { FLAG_AF, G } from '../state.ts';

/** CC_OP is EFLAGS: the flags are bits of CC_SRC. */
export function isEflags(b: IrBuilder): Value {
  return b.eqz(b.get(G.CC_OP));
}

function dynamicKind(b: IrBuilder): Value {
  return b.sar(b.sub(b.get(G.CC_OP), b.i32(1)), b.i32(2));
}

/** How far to shift left so that the operation's top bit is bit 31: 24, 16, 0 by log2 of the size. */
function alignment(b: IrBuilder): Value {
  const size = b.and(b.sub(b.get(G.CC_OP), b.i32(1)), b.i32(3));
  return b.and(b.shr(b.i32(0x1018), b.shl(size, b.i32(3))), b.i32(0xff));
}

/** The result with its top bit at bit 31. */
export function alignedDst(b: IrBuilder): Value {
  return b.shl(b.get(G.CC_DST), alignment(b));
}

function alignedSrc(b: IrBuilder): Value {
  return b.shl(b.get(G.CC_SRC), alignment(b));
}

/** Carry in of ADC and SBB, else 0. */
function carryIn(b: IrBuilder): Value {
  return b.and(b.get(G.CC_SRC2), b.and(dynamicKind(b), b.i32(1)));
}

function isAdd(b: IrBuilder): Value {
  return b.ltU(dynamicKind(b), b.i32(KIND_SUB));
}

/** CF as 0/1. */
export function dynamicCarry(b: IrBuilder): Value {
  const kind = dynamicKind(b);
  const x = alignedDst(b);
  const y = alignedSrc(b);
  const c = carryIn(b);
  const total = b.select(isAdd(b), x, b.add(b.add(x, y), b.shl(c, alignment(b))));
  const arithmetic = b.or(b.ltU(total, y), b.and(c, b.eq(total, y)));
  const other = b.select(
    b.eq(kind, b.i32(KIND_SHL)),
    b.shr(y, b.i32(31)),
    b.and(b.ne(kind, b.i32(KIND_LOGIC)), b.get(G.CC_SRC)),
  );
  return b.select(b.ltU(kind, b.i32(KIND_LOGIC)), arithmetic, other);
}

function dynamicFirst(b: IrBuilder, x: Value, y: Value, shift: Value): Value {
  const c = b.shl(carryIn(b), shift);
  return b.select(isAdd(b), b.sub(b.sub(x, y), c), b.add(b.add(x, y), c));
}

/** OF as 0/1. */
export function dynamicOverflow(b: IrBuilder): Value {
  const kind = dynamicKind(b);
  const x = alignedDst(b);
  const y = alignedSrc(b);
  const a = dynamicFirst(b, x, y, alignment(b));
  const arithmetic = b.shr(b.and(b.xor(a, x), b.xor(b.select(isAdd(b), x, a), y)), b.i32(31));
  const min = b.i32(-0x80000000);
  // DEC overflows when result + 1 is the most negative value
  const step = b.select(b.eq(kind, b.i32(KIND_DEC)), b.shl(b.i32(1), alignment(b)), b.i32(0));
  const incDec = b.eq(b.add(x, step), min);
  const given = b.and(b.shr(b.get(G.CC_SRC), b.select(b.eq(kind, b.i32(KIND_MUL)), b.i32(0), b.i32(11))), b.i32(1));
  const shifted = b.shr(b.xor(x, y), b.i32(31));
  let v = b.select(b.ltU(kind, b.i32(KIND_MUL)), shifted, given); // EFLAGS is kind -1: given
  v = b.select(b.ltU(kind, b.i32(KIND_SHL)), incDec, v);
  v = b.select(b.ltU(kind, b.i32(KIND_INC)), b.i32(0), v);
  return b.select(b.ltU(kind, b.i32(KIND_LOGIC)), arithmetic, v);
}

/** AF in its EFLAGS position. */
export function dynamicAdjust(b: IrBuilder): Value {
  const kind = dynamicKind(b);
  const dst = b.get(G.CC_DST);
  const src = b.get(G.CC_SRC);
  const a = dynamicFirst(b, dst, src, b.i32(0));
  const nibble = b.and(dst, b.i32(15));
  const incDec = b.shl(b.eq(nibble, b.select(b.eq(kind, b.i32(KIND_DEC)), b.i32(15), b.i32(0))), b.i32(4));
  let v = b.select(b.ltU(kind, b.i32(KIND_GIVEN)), b.i32(0), src);
  v = b.select(b.ltU(kind, b.i32(KIND_SHL)), incDec, v);
  v = b.select(b.ltU(kind, b.i32(KIND_INC)), b.i32(0), v);
  v = b.select(b.ltU(kind, b.i32(KIND_LOGIC)), b.xor(b.xor(dst, src), a), v);
  return b.and(v, b.i32(FLAG_AF));
}
