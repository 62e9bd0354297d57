/**
 * The stack that a control transfer pushes to or pops from: opened from SS:ESP or from a new stack, moved in
 * cpu.stack* without touching registers, committed at the end. So a fault halfway leaves ESP as it was.
 * Limit violations raise #SS(stackSelector | EXT). SDM Vol. 3A §6.12.1. Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import { ESP, EXC, SS } from '../state.ts';
import { DESC_B } from './descriptor-bits.ts';
import { descriptorBase, descriptorLimit, withinLimit } from './descriptor.ts';

/** The current stack, accessed at current privilege. */
export function openStack(cpu: X86Cpu): void {
  const flags = cpu.segFlags(SS);
  cpu.stackFlags = flags;
  cpu.stackBase = cpu.segBase(SS);
  cpu.stackLimit = cpu.segLimit(SS);
  cpu.stackMask = (flags & DESC_B) !== 0 ? 0xffffffff : 0xffff;
  cpu.stackPtr = (cpu.reg(ESP) & cpu.stackMask) >>> 0;
  cpu.stackUser = cpu.user;
  cpu.stackSelector = 0;
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

function check(cpu: X86Cpu, offset: number, size: number): void {
  if (!withinLimit(cpu.stackFlags, cpu.stackLimit, offset, size)) cpu.raise(EXC.SS, cpu.stackSelector | cpu.ext);
}

export function push16(cpu: X86Cpu, v: number): void {
  const p = ((cpu.stackPtr - 2) & cpu.stackMask) >>> 0;
  check(cpu, p, 2);
  cpu.host.write16((cpu.stackBase + p) >>> 0, v & 0xffff, cpu.stackUser);
  cpu.stackPtr = p;
}
export function push32(cpu: X86Cpu, v: number): void {
  const p = ((cpu.stackPtr - 4) & cpu.stackMask) >>> 0;
  check(cpu, p, 4);
  cpu.host.write32((cpu.stackBase + p) >>> 0, v, cpu.stackUser);
  cpu.stackPtr = p;
}
export function pop16(cpu: X86Cpu): number {
  const p = cpu.stackPtr;
  check(cpu, p, 2);
  const v = cpu.host.read16((cpu.stackBase + p) >>> 0, cpu.stackUser) & 0xffff;
  cpu.stackPtr = ((p + 2) & cpu.stackMask) >>> 0;
  return v;
}
export function pop32(cpu: X86Cpu): number {
  const p = cpu.stackPtr;
  check(cpu, p, 4);
  const v = cpu.host.read32((cpu.stackBase + p) >>> 0, cpu.stackUser) >>> 0;
  cpu.stackPtr = ((p + 4) & cpu.stackMask) >>> 0;
  return v;
}
/** By operand size in bytes. */
export function push(cpu: X86Cpu, size: number, v: number): void {
  if (size === 4) push32(cpu, v);
  else push16(cpu, v);
}
export function pop(cpu: X86Cpu, size: number): number {
  return size === 4 ? pop32(cpu) : pop16(cpu);
}

/** ESP = the moved pointer: all of it for a 32-bit stack, else SP alone. */
export function commitStack(cpu: X86Cpu): void {
  if (cpu.stackMask === 0xffff) cpu.setReg16(ESP, cpu.stackPtr);
  else cpu.setReg(ESP, cpu.stackPtr);
}
