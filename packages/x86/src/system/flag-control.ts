/**
 * CLI, STI, PUSHF, POPF with IOPL, CR4.VME and CR4.PVI. SDM Vol. 2A "CLI" Table 3-7, Vol. 2B "POPF" Table 4-16,
 * "PUSHF", "STI" Table 4-19; Vol. 3B §21.3-21.4 (virtual interrupts).
 */
import type { X86Cpu } from '../cpu.ts';
import {
  ENV,
  EXC,
  FLAGS_ARITH,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  HF_CPL,
  HF_INHIBIT_IRQ,
  HF_PE,
  HF_VM,
} from '../state.ts';
import { CR4_PVI, CR4_VME } from './cr-bits.ts';
import { PRIVILEGE_BITS, privilegeBits } from './hflags.ts';
import { SHADOW_STI } from './load-seg.ts';

/** Which flag CLI and STI act on: IF, VIF, or #GP(0). */
function interruptFlag(cpu: X86Cpu): number {
  const h = cpu.hflags;
  if ((h & HF_PE) === 0) return FLAG_IF;
  const iopl = (cpu.ei32[ENV.EFLAGS >> 2] & FLAG_IOPL) >> 12;
  if ((h & HF_VM) !== 0) {
    if (iopl === 3) return FLAG_IF;
    if ((cpu.cr(4) & CR4_VME) !== 0) return FLAG_VIF;
  } else {
    if ((h & HF_CPL) <= iopl) return FLAG_IF;
    if ((h & HF_CPL) === 3 && (cpu.cr(4) & CR4_PVI) !== 0) return FLAG_VIF;
  }
  cpu.raise(EXC.GP, 0);
}

export function cli(cpu: X86Cpu, nextEip: number): number {
  cpu.ei32[ENV.EFLAGS >> 2] &= ~interruptFlag(cpu);
  cpu.goNext(nextEip);
  return 0;
}

export function sti(cpu: X86Cpu, nextEip: number): number {
  const flag = interruptFlag(cpu);
  const old = cpu.ei32[ENV.EFLAGS >> 2];
  if (flag === FLAG_VIF && (old & FLAG_VIP) !== 0) cpu.raise(EXC.GP, 0);
  cpu.ei32[ENV.EFLAGS >> 2] = old | flag;
  if (flag === FLAG_IF && (old & FLAG_IF) === 0) {
    cpu.hflags |= HF_INHIBIT_IRQ;
    cpu.e32[ENV.INHIBIT_IRQ >> 2] = SHADOW_STI;
  }
  cpu.goNext(nextEip);
  return 0;
}

/** The value PUSHF pushes: VM and RF read as 0. */
export function pushfValue(cpu: X86Cpu, size: number): number {
  const flags = cpu.eflags() & ~(FLAG_VM | FLAG_RF);
  if ((cpu.hflags & HF_VM) === 0 || (flags & FLAG_IOPL) === FLAG_IOPL) return size === 2 ? flags & 0xffff : flags;
  if (size !== 2 || (cpu.cr(4) & CR4_VME) === 0) cpu.raise(EXC.GP, 0);
  // VIF shows as IF, IOPL as 3.
  return (flags & 0xffff & ~FLAG_IF) | FLAG_IOPL | ((flags & FLAG_VIF) !== 0 ? FLAG_IF : 0);
}

export function popf(cpu: X86Cpu, value: number, size: number, nextEip: number): number {
  const h = cpu.hflags;
  const old = cpu.ei32[ENV.EFLAGS >> 2];
  const iopl = (old & FLAG_IOPL) >> 12;
  let mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
  if (size !== 2) mask |= FLAG_AC | FLAG_ID;
  if ((h & HF_VM) !== 0 && iopl < 3) {
    if (size !== 2 || (cpu.cr(4) & CR4_VME) === 0) cpu.raise(EXC.GP, 0);
    if ((value & FLAG_TF) !== 0 || ((value & FLAG_IF) !== 0 && (old & FLAG_VIP) !== 0)) cpu.raise(EXC.GP, 0);
    mask |= FLAG_VIF;
    value = (value & ~FLAG_VIF) | ((value & FLAG_IF) !== 0 ? FLAG_VIF : 0);
  } else {
    const cpl = h & HF_CPL;
    if ((h & HF_PE) === 0 || cpl === 0) mask |= FLAG_IF | FLAG_IOPL;
    else if (cpl <= iopl) mask |= FLAG_IF;
  }
  cpu.setEflags(value, mask);
  const flags = (cpu.ei32[ENV.EFLAGS >> 2] &= ~FLAG_RF);
  cpu.goNext(nextEip);
  if ((h & (HF_PE | HF_VM)) === HF_PE) cpu.hflags = (h & ~PRIVILEGE_BITS) | privilegeBits(cpu, h & HF_CPL, flags);
  else cpu.updateHflags();
  return 0;
}
