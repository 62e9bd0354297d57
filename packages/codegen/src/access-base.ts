/**
 * An address of a region's guest access as base value and constant offset, so that accesses with the same base can share a TLB check.
 * Offsets are exact numbers: of a constant 64-bit address its signed value, which is why one beyond 2^52 is a base of its own.
 *
 * The base of a zero-extended 32-bit sum is a 32-bit value: sum and extension come back in the check. All of a group lies in the page of its first
 * byte, else the check fails, so that the sum of another member cannot have wrapped where the first one's has not.
 */
import { I32, OPS, opId } from '@emkit/ir';
import type { IrBlock } from '@emkit/ir';

const I32_CONST = opId('i32_const');
const I64_CONST = opId('i64_const');
const I32_ADD = opId('i32_add');
const I64_ADD = opId('i64_add');
const EXT_U = opId('i64_extend_i32_u');
const TWO_32 = 2 ** 32;
/** High half of the largest 64-bit constant that is exact as a number, with room for offsets. */
const EXACT_HIGH = 1 << 19;
/** The base of constant addresses. */
const CONSTANT = -1;

/** The value is a constant whose number is exact. */
function isOffset(ir: IrBlock, v: number): boolean {
  const o = ir.op[v];
  return o === I32_CONST || (o === I64_CONST && ir.imm2[v] >= -EXACT_HIGH && ir.imm2[v] < EXACT_HIGH);
}
function numberOf(ir: IrBlock, v: number): number {
  return ir.op[v] === I32_CONST ? ir.imm[v] : ir.imm2[v] * TWO_32 + (ir.imm[v] >>> 0);
}

/** The sum to take apart: the address, or what it extends. */
const sumOf = (ir: IrBlock, address: number): number => (ir.op[address] === EXT_U ? ir.a[address] : address);

/** Is the base one that must be extended? */
export const isNarrow = (ir: IrBlock, base: number): boolean => OPS[ir.op[base]].out === I32;

/** Base value of an address (a constant displacement taken off); negative: the address is constant. */
export function baseOf(ir: IrBlock, address: number): number {
  const sum = sumOf(ir, address);
  const o = ir.op[sum];
  if (o === I32_CONST) return CONSTANT;
  if (o === I64_CONST) return isOffset(ir, sum) ? CONSTANT : sum;
  if ((o === I32_ADD || o === I64_ADD) && isOffset(ir, ir.b[sum])) return isOffset(ir, ir.a[sum]) ? sum : ir.a[sum];
  return sum;
}
/** What is to be added to the base. */
export function offsetOf(ir: IrBlock, address: number): number {
  const base = baseOf(ir, address);
  const sum = sumOf(ir, address);
  if (base < 0) return numberOf(ir, sum);
  return base === sum ? 0 : numberOf(ir, ir.b[sum]);
}
