/**
 * LGDT, LIDT, LLDT, LTR. SDM Vol. 2A "LGDT/LIDT", "LLDT", "LTR"; CPL is checked by the translator.
 * Long mode: 64-bit bases (64-bit code loads all of them, other code their low halves), descriptors of 16 bytes.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, EXC } from '../state.ts';
import { CR4_UMIP } from './cr-bits.ts';
import { DESC_KEPT, DESC_P, DESC_TSS_BUSY, DESC_TYPE_SHIFT, SYS_LDT, SYS_TSS16, SYS_TSS32 } from './descriptor-bits.ts';
import { descriptorBase, descriptorLimit, fetchDescriptor, fetchUpper, loadWideCache } from './descriptor.ts';

/** The translator has cut the base to 24 bits for 16-bit operand size. */
export function lgdt(cpu: X86Cpu, limit: number, base: number, high = 0): number {
  if (!cpu.linear.canonicalBase(high)) cpu.raise(EXC.GP, 0);
  cpu.setEnv32(ENV.GDT_LIMIT, limit & 0xffff);
  cpu.setEnv64(ENV.GDT_BASE, base, high);
  return 0;
}
export function lidt(cpu: X86Cpu, limit: number, base: number, high = 0): number {
  if (!cpu.linear.canonicalBase(high)) cpu.raise(EXC.GP, 0);
  cpu.setEnv32(ENV.IDT_LIMIT, limit & 0xffff);
  cpu.setEnv64(ENV.IDT_BASE, base, high);
  return 0;
}

/** Before SGDT, SIDT, SLDT, SMSW, STR: #GP(0) if CR4.UMIP keeps them from programs. SDM Vol. 3A §2.5. */
export function checkUmip(cpu: X86Cpu): number {
  if ((cpu.cr(4) & CR4_UMIP) !== 0 && cpu.cpl !== 0) cpu.raise(EXC.GP, 0);
  return 0;
}

export function lldt(cpu: X86Cpu, selector: number): number {
  selector &= 0xffff;
  const error = selector & 0xfffc;
  if (error === 0) {
    cpu.setSegCache(ENV.LDTR, selector, 0, 0, 0);
    return 0;
  }
  if ((selector & 4) !== 0 || !fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const { descLo: lo, descHi: hi } = cpu;
  if (((hi >>> DESC_TYPE_SHIFT) & 31) !== SYS_LDT) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  if (cpu.longMode) {
    fetchUpper(cpu, selector, error);
    loadWideCache(cpu, ENV.LDTR, selector, hi, error);
    return 0;
  }
  cpu.setSegCache(ENV.LDTR, selector, descriptorBase(lo, hi), descriptorLimit(lo, hi), hi & DESC_KEPT);
  return 0;
}

export function ltr(cpu: X86Cpu, selector: number): number {
  selector &= 0xffff;
  const error = selector & 0xfffc;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if ((selector & 4) !== 0 || !fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const { descLo: lo, descHi: hi } = cpu;
  const type = (hi >>> DESC_TYPE_SHIFT) & 31;
  const long = cpu.longMode;
  if ((type !== SYS_TSS16 || long) && type !== SYS_TSS32) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  if (long) {
    fetchUpper(cpu, selector, error);
    if (!cpu.linear.canonicalBase(cpu.descUpper)) cpu.raise(EXC.GP, error);
  }
  cpu.writeSys8(cpu.descLin + 5, ((hi | DESC_TSS_BUSY) >>> 8) & 0xff);
  if (long) {
    loadWideCache(cpu, ENV.TR, selector, hi | DESC_TSS_BUSY, error);
    return 0;
  }
  cpu.setSegCache(ENV.TR, selector, descriptorBase(lo, hi), descriptorLimit(lo, hi), (hi | DESC_TSS_BUSY) & DESC_KEPT);
  return 0;
}
