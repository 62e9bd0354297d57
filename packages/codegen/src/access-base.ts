/**
 * An address of a region's guest access as base value and constant offset, so that accesses with the same base can share a TLB check.
 * Offsets are exact numbers: of a constant 64-bit address its signed value, which is why one beyond 2^52 is a base of its own.
 */
import { opId } from '@emkit/ir';
import type { IrBlock } from '@emkit/ir';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const I32_ADD = opId('i32_add');
const I64_ADD = opId('i64_add');
const TWO_32 = 2 ** 32;
/** High half of the largest 64-bit constant that is exact as a number, with room for offsets. */
const EXACT_HIGH = 1 << 19;
/** Bases of constant addresses: one for each width, as a check is made for one. */
const CONST_32 = -1;
const CONST_64 = -2;

/** The value is a constant whose number is exact. */
function isOffset(ir: IrBlock, v: number): boolean {
  const o = ir.op[v];
  return o === I32_CONST || (o === I64_CONST && ir.imm2[v] >= -EXACT_HIGH && ir.imm2[v] < EXACT_HIGH);
}
function numberOf(ir: IrBlock, v: number): number {
  return ir.op[v] === I32_CONST ? ir.imm[v] : ir.imm2[v] * TWO_32 + (ir.imm[v] >>> 0);
}

/** Base value of an address (a constant displacement taken off); negative: the address is constant. */
export function baseOf(ir: IrBlock, address: number): number {
  const o = ir.op[address];
  if (o === I32_CONST) return CONST_32;
  if (o === I64_CONST) return isOffset(ir, address) ? CONST_64 : address;
  if ((o === I32_ADD || o === I64_ADD) && isOffset(ir, ir.b[address]))
    return isOffset(ir, ir.a[address]) ? address : ir.a[address];
  return address;
}
/** What is to be added to the base. */
export function offsetOf(ir: IrBlock, address: number): number {
  const base = baseOf(ir, address);
  if (base < 0) return numberOf(ir, address);
  return base === address ? 0 : numberOf(ir, ir.b[address]);
}
