/**
 * The stack that a control transfer pushes to or pops from: opened from SS:ESP or from a new stack, moved in
 * cpu.stack* without touching registers, committed at the end. So a fault halfway leaves ESP as it was.
 * Limit violations raise #SS(stackSelector | EXT). SDM Vol. 3A §6.12.1. Hot path: no allocation.
 * The stack of 64-bit code (stackMask 0) is RSP alone, which must be canonical: §6.14.2 "64-Bit Mode Stack Frame".
 */
import type { X86Cpu } from '../cpu.ts';
import { ESP, EXC, SS } from '../state.ts';
import { DESC_B } from './descriptor-bits.ts';
import { descriptorBase, descriptorLimit, withinLimit } from './descriptor.ts';

/** The current stack, accessed at current privilege. */
export function openStack(cpu: X86Cpu): void {
  cpu.stackUser = cpu.user;
  cpu.stackSelector = 0;
  if (cpu.code64) {
    cpu.stackMask = 0;
    cpu.stackPtr = cpu.regNumber(ESP);
    return;
  }
  const flags = cpu.segFlags(SS);
  cpu.stackFlags = flags;
  cpu.stackBase = cpu.segBase(SS);
  cpu.stackLimit = cpu.segLimit(SS);
  cpu.stackMask = (flags & DESC_B) !== 0 ? 0xffffffff : 0xffff;
  cpu.stackPtr = (cpu.reg(ESP) & cpu.stackMask) >>> 0;
}

/** A stack of 64-bit code at `rsp`. */
export function openStack64(cpu: X86Cpu, rsp: number, user: number): void {
  cpu.stackUser = user;
  cpu.stackSelector = 0;
  cpu.stackMask = 0;
  cpu.stackPtr = rsp;
}

/** The stack of the last fetched descriptor, for an inner privilege level. */
export function openNewStack(cpu: X86Cpu, selector: number, esp: number, user: number): void {
  const { descLo: lo, descHi: hi } = cpu;
  cpu.stackFlags = hi;
  cpu.stackBase = descriptorBase(lo, hi);
  cpu.stackLimit = descriptorLimit(lo, hi);
  cpu.stackMask = (hi & DESC_B) !== 0 ? 0xffffffff : 0xffff;
  cpu.stackPtr = (esp & cpu.stackMask) >>> 0;
  cpu.stackUser = user;
  cpu.stackSelector = selector & 0xfffc;
}

/** Offset that is `size` bytes lower, checked for a push. */
function below(cpu: X86Cpu, size: number): number {
  if (cpu.stackMask !== 0) {
    const p = ((cpu.stackPtr - size) & cpu.stackMask) >>> 0;
    if (!withinLimit(cpu.stackFlags, cpu.stackLimit, p, size)) cpu.raise(EXC.SS, cpu.stackSelector | cpu.ext);
    return p;
  }
  const p = cpu.stackPtr - size;
  if (!cpu.linear.canonical(p)) cpu.raise(EXC.SS, cpu.ext);
  return p;
}
/** The current offset, checked for a pop; the pointer moves up. */
function above(cpu: X86Cpu, size: number): number {
  const p = cpu.stackPtr;
  if (cpu.stackMask !== 0) {
    if (!withinLimit(cpu.stackFlags, cpu.stackLimit, p, size)) cpu.raise(EXC.SS, cpu.stackSelector | cpu.ext);
    cpu.stackPtr = ((p + size) & cpu.stackMask) >>> 0;
  } else {
    if (!cpu.linear.canonical(p)) cpu.raise(EXC.SS, cpu.ext);
    cpu.stackPtr = p + size;
  }
  return p;
}
const linear = (cpu: X86Cpu, p: number): number => (cpu.stackMask !== 0 ? (cpu.stackBase + p) >>> 0 : p);

export function push16(cpu: X86Cpu, v: number): void {
  const p = below(cpu, 2);
  cpu.host.write16(linear(cpu, p), v & 0xffff, cpu.stackUser);
  cpu.stackPtr = p;
}
export function push32(cpu: X86Cpu, v: number): void {
  const p = below(cpu, 4);
  cpu.host.write32(linear(cpu, p), v, cpu.stackUser);
  cpu.stackPtr = p;
}
export function push64(cpu: X86Cpu, low: number, high: number): void {
  const p = below(cpu, 8);
  const lin = linear(cpu, p);
  cpu.host.write32(lin + 4, high, cpu.stackUser);
  cpu.host.write32(lin, low, cpu.stackUser);
  cpu.stackPtr = p;
}
export function pop16(cpu: X86Cpu): number {
  const p = above(cpu, 2);
  return cpu.host.read16(linear(cpu, p), cpu.stackUser) & 0xffff;
}
export function pop32(cpu: X86Cpu): number {
  const p = above(cpu, 4);
  return cpu.host.read32(linear(cpu, p), cpu.stackUser) >>> 0;
}
/** The low half; the high one is in cpu.popHigh. */
export function pop64(cpu: X86Cpu): number {
  const lin = linear(cpu, above(cpu, 8));
  const low = cpu.host.read32(lin, cpu.stackUser) >>> 0;
  cpu.popHigh = cpu.host.read32(lin + 4, cpu.stackUser) >>> 0;
  return low;
}
/** By operand size in bytes. */
export function push(cpu: X86Cpu, size: number, v: number, high = 0): void {
  if (size === 8) push64(cpu, v, high);
  else if (size === 4) push32(cpu, v);
  else push16(cpu, v);
}
export function pop(cpu: X86Cpu, size: number): number {
  if (size === 8) return pop64(cpu);
  cpu.popHigh = 0;
  return size === 4 ? pop32(cpu) : pop16(cpu);
}

/** ESP = the moved pointer: all of it for a 32- or 64-bit stack, else SP alone. */
export function commitStack(cpu: X86Cpu): void {
  if (cpu.stackMask === 0) cpu.setReg64(ESP, cpu.stackPtr, cpu.linear.high(cpu.stackPtr));
  else if (cpu.stackMask === 0xffff) cpu.setReg16(ESP, cpu.stackPtr);
  else cpu.setReg(ESP, cpu.stackPtr);
}
