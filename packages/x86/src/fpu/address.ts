/**
 * Linear addresses on their way from translated code to script helpers: two i32 arguments (low and high half, the latter 0 outside
 * long mode), made one number again by the helper. What a number means and where it wraps: docs/adr/0015.
 */
import { I64 } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { X86Cpu } from '../cpu.ts';
import type { Translator } from '../translate/translator.ts';
import { EXC, HF_CS64, SS } from '../state.ts';

export const is64 = (t: Translator): boolean => (t.flags & HF_CS64) !== 0;
/** REX.W, or VEX.W in 64-bit code: the instruction's `y` operands are of 64 bits. */
export const isWide = (t: Translator): boolean => t.insn.size === 3;

/** Low half of an address. */
export const lowHalf = (t: Translator, address: Value): Value =>
  t.b.typeOf(address) === I64 ? t.b.wrap(address) : address;
/** The address as the first two arguments of a helper. */
export function addressArguments(t: Translator, address: Value): readonly [low: Value, high: Value] {
  const { b } = t;
  if (b.typeOf(address) !== I64) return [address, b.i32(0)];
  return [b.wrap(address), b.wrap(b.shr(address, b.i64(32)))];
}
/** #GP(0) unless the address is a multiple of a power of two. */
export function demandAlignment(t: Translator, address: Value, bytes: number): void {
  t.raiseIf(t.b.and(lowHalf(t, address), t.b.i32(bytes - 1)), EXC.GP, 0);
}
/** The memory operand is on the stack: what is not canonical is #SS there. Flag for `linearOf`. */
export const onStack = (t: Translator): boolean => t.insn.segment === SS;

function notCanonical(cpu: X86Cpu, stack: boolean): never {
  return cpu.raise(stack ? EXC.SS : EXC.GP, 0);
}
/** The number of a linear address; one that is not canonical faults. SDM Vol. 1 §3.3.7.1. */
export function linearOf(cpu: X86Cpu, low: number, high: number, stack = false): number {
  if (!cpu.linear.canonicalHigh(high)) notCanonical(cpu, stack);
  return cpu.linear.of(low, high);
}
const is64Bit = (cpu: X86Cpu): boolean => (cpu.hflags & HF_CS64) !== 0;
/** Linear address `n` bytes on: 32-bit addresses wrap. */
export const linearAt = (cpu: X86Cpu, linear: number, n: number): number =>
  is64Bit(cpu) ? linear + n : (linear + n) >>> 0;

/** Faults as an access to any byte of the range would (access 0 read, 1 write). */
export function probe(cpu: X86Cpu, linear: number, bytes: number, access: number, stack = false): void {
  if (is64Bit(cpu) && !cpu.linear.canonical(linear + bytes - 1)) notCanonical(cpu, stack);
  cpu.host.pointer(linear, access, cpu.user);
  if ((linear & 0xfff) + bytes > 0x1000) cpu.host.pointer(linearAt(cpu, linear, bytes - 1), access, cpu.user);
}
