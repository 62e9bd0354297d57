/** LAR, LSL, VERR, VERW: set ZF, never fault on the descriptor. SDM Vol. 2A "LAR" Table 3-53, "LSL" Table 3-56, Vol. 2B "VERR/VERW". */
import type { X86Cpu } from '../cpu.ts';
import { FLAG_ZF } from '../state.ts';
import { DESC_CODE, DESC_CONFORMING, DESC_DPL_SHIFT, DESC_RW, DESC_S, DESC_TYPE_SHIFT } from './descriptor-bits.ts';
import { descriptorLimit, fetchDescriptor } from './descriptor.ts';

/** System types that LAR accepts: TSS, LDT, call gates, task gate; LSL: those with a limit. One bit a type. */
const LAR_TYPES = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 9) | (1 << 11) | (1 << 12);
const LSL_TYPES = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 9) | (1 << 11);

/** Those that are left in long mode: LDT, 64-bit TSS, 64-bit call gate. SDM Vol. 3A Table 3-2. */
const LONG_TYPES = (1 << 2) | (1 << 9) | (1 << 11) | (1 << 12);

function setZero(cpu: X86Cpu, set: boolean): void {
  cpu.setEflags(set ? FLAG_ZF : 0, FLAG_ZF);
}

/** Fetched, not null, and visible at CPL and RPL. */
function visible(cpu: X86Cpu, selector: number): boolean {
  if ((selector & 0xfffc) === 0 || !fetchDescriptor(cpu, selector)) return false;
  const hi = cpu.descHi;
  const conformingCode = DESC_S | DESC_CODE | DESC_CONFORMING;
  if ((hi & conformingCode) === conformingCode) return true;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  return dpl >= cpu.cpl && dpl >= (selector & 3);
}

function accepted(cpu: X86Cpu, selector: number, types: number): boolean {
  if (!visible(cpu, selector)) return false;
  if (cpu.longMode) types &= LONG_TYPES;
  return (cpu.descHi & DESC_S) !== 0 || ((types >>> ((cpu.descHi >>> DESC_TYPE_SHIFT) & 15)) & 1) !== 0;
}

/** Access rights (bits 19:16, undefined by the manual, read as 0); meaningful only when ZF is set. */
export function lar(cpu: X86Cpu, selector: number, size: number): number {
  const ok = accepted(cpu, selector & 0xffff, LAR_TYPES);
  setZero(cpu, ok);
  return ok ? cpu.descHi & (size === 2 ? 0xff00 : 0x00f0ff00) : 0;
}

/** Byte-granular limit; meaningful only when ZF is set. */
export function lsl(cpu: X86Cpu, selector: number, size: number): number {
  const ok = accepted(cpu, selector & 0xffff, LSL_TYPES);
  setZero(cpu, ok);
  if (!ok) return 0;
  const limit = descriptorLimit(cpu.descLo, cpu.descHi);
  return size === 2 ? limit & 0xffff : limit | 0;
}

export function verr(cpu: X86Cpu, selector: number): number {
  const ok = visible(cpu, selector & 0xffff);
  const hi = cpu.descHi;
  setZero(cpu, ok && (hi & DESC_S) !== 0 && (hi & (DESC_CODE | DESC_RW)) !== DESC_CODE);
  return 0;
}

export function verw(cpu: X86Cpu, selector: number): number {
  const ok = visible(cpu, selector & 0xffff);
  setZero(cpu, ok && (cpu.descHi & (DESC_S | DESC_CODE | DESC_RW)) === (DESC_S | DESC_RW));
  return 0;
}
