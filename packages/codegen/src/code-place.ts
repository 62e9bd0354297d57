/**
 * Where code runs. A block of 64-bit user code is translated for the first address that it is seen at, and good wherever the same page of memory is mapped: an address in
 * the code is its constant plus the distance from there, which CTL.PLACE has while the block or its region runs. The next process of a program, which has it elsewhere,
 * finds what the first one has left.
 */
import { MOVABLE_REACH } from '@emkit/ir';
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder } from '@emkit/wasm';
import { CTL } from './layout.ts';

/** Windows of 4 GiB in which code is movable: farther up a branch might leave the canonical addresses. */
const WINDOWS = 0x7fff;

/** Can movable code begin at a pc (its low half) of a window (the high half)? It is farther from the window's borders than it reaches. */
export const isPlace = (pc: number, window: number): boolean =>
  (pc - MOVABLE_REACH) >>> 0 < 2 ** 32 - 2 * MOVABLE_REACH && window >>> 0 < WINDOWS;

/** The same, of two locals. */
export function pushIsPlace(f: FunctionBuilder, pc: number, window: number): void {
  f.get(pc).i32Const(MOVABLE_REACH).op(OP.i32_sub);
  f.i32Const(-2 * MOVABLE_REACH).op(OP.i32_lt_u);
  f.get(window).i32Const(WINDOWS).op(OP.i32_lt_u).op(OP.i32_and);
}

/** Pushes the place of what runs. */
export const pushPlace = (f: FunctionBuilder): FunctionBuilder => f.i32Const(0).load(OP.i64_load, 3, CTL.PLACE);
/** Adds its low half to the pc on the stack. */
export const addPlace = (f: FunctionBuilder): FunctionBuilder =>
  f.i32Const(0).load(OP.i32_load, 2, CTL.PLACE).op(OP.i32_add);

/** Pushes an address of two halves. */
export function pushLong(f: FunctionBuilder, low: () => unknown, high: () => unknown): void {
  high();
  f.op(OP.i64_extend_i32_u).i64Const(32).op(OP.i64_shl);
  low();
  f.op(OP.i64_extend_i32_u).op(OP.i64_or);
}

export const PLACE_TYPE = VALTYPE.i64;
