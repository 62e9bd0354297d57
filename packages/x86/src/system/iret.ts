/**
 * IRET/IRETD: real mode, within VM86 (IOPL 3, or CR4.VME), protected mode to the same or an outer level, to VM86, and
 * the return from a nested task; long mode: long-return.ts. SDM Vol. 2A "IRET/IRETD/IRETQ". Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  CS,
  DS,
  ENV,
  ES,
  ESP,
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
  FS,
  GS,
  HF_CPL,
  HF_LMA,
  HF_PE,
  HF_VM,
  SS,
} from '../state.ts';
import { CR4_VME } from './cr-bits.ts';
import { loadReal, loadVm86, withinLimit } from './descriptor.ts';
import { checkReturnCode, returnOuter, returnSame } from './far-return.ts';
import { returnFlags } from './debug-registers.ts';
import { fastIret } from './fast-transfer.ts';
import { iretLong } from './long-return.ts';
import { commitStack, openStack, pop, pop32 } from './stack.ts';
import { returnToPreviousTask } from './task-switch.ts';

/** Flags any IRET may change, and those of the 32-bit form only. */
const LOW = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
const HIGH = FLAG_RF | FLAG_AC | FLAG_ID;

export function iret(cpu: X86Cpu, size: number, nextEip: number): number {
  const h = cpu.hflags;
  // Also an IRET that faults unblocks NMIs. SDM Vol. 3A §6.7.1.
  cpu.e32[ENV.NMI_BLOCKED >> 2] = 0;
  if ((h & HF_LMA) !== 0) return iretLong(cpu, size);
  if (size === 4 && (h & (HF_PE | HF_VM)) === HF_PE && (cpu.ei32[ENV.EFLAGS >> 2] & FLAG_NT) === 0 && fastIret(cpu))
    return 0;
  if ((h & HF_PE) === 0) iretReal(cpu, size);
  else if ((h & HF_VM) !== 0) iretVm86(cpu, size);
  else if ((cpu.ei32[ENV.EFLAGS >> 2] & FLAG_NT) !== 0) returnToPreviousTask(cpu, nextEip >>> 0);
  else iretProtected(cpu, size);
  return 0;
}

function iretReal(cpu: X86Cpu, size: number): void {
  openStack(cpu);
  const eip = pop(cpu, size);
  const cs = pop(cpu, size) & 0xffff;
  const flags = pop(cpu, size);
  if (!withinLimit(cpu.segFlags(CS), cpu.segLimit(CS), eip, 1)) cpu.raise(EXC.GP, 0);
  commitStack(cpu);
  loadReal(cpu, CS, cs);
  cpu.eip = eip;
  cpu.setEflags(flags, LOW | FLAG_IF | FLAG_IOPL | (size === 4 ? HIGH : 0));
  cpu.updateHflags();
}

function iretVm86(cpu: X86Cpu, size: number): void {
  const old = cpu.ei32[ENV.EFLAGS >> 2];
  const iopl3 = (old & FLAG_IOPL) === FLAG_IOPL;
  if (!iopl3 && (size === 4 || (cpu.cr(4) & CR4_VME) === 0)) cpu.raise(EXC.GP, 0);
  openStack(cpu);
  const eip = pop(cpu, size);
  const cs = pop(cpu, size) & 0xffff;
  let flags = pop(cpu, size);
  let mask = LOW | (size === 4 ? HIGH : 0);
  if (iopl3) mask |= FLAG_IF;
  else {
    // The virtual interrupt flag takes the place of IF. SDM Vol. 3B §21.3.2.
    if ((flags & FLAG_TF) !== 0 || ((flags & FLAG_IF) !== 0 && (old & FLAG_VIP) !== 0)) cpu.raise(EXC.GP, 0);
    mask |= FLAG_VIF;
    flags = (flags & ~FLAG_VIF) | ((flags & FLAG_IF) !== 0 ? FLAG_VIF : 0);
  }
  if (!withinLimit(cpu.segFlags(CS), 0xffff, eip, 1)) cpu.raise(EXC.GP, 0);
  commitStack(cpu);
  loadVm86(cpu, CS, cs);
  cpu.eip = eip;
  cpu.setEflags(flags, mask);
  cpu.updateHflags();
}

function iretProtected(cpu: X86Cpu, size: number): void {
  openStack(cpu);
  const eip = pop(cpu, size);
  const selector = pop(cpu, size) & 0xffff;
  const flags = returnFlags(cpu, pop(cpu, size));
  const { cpl } = cpu;
  if (size === 4 && (flags & FLAG_VM) !== 0 && cpl === 0) {
    iretToVm86(cpu, eip, selector, flags);
    return;
  }
  let mask = size === 4 ? LOW | HIGH : LOW;
  if (cpl <= (cpu.ei32[ENV.EFLAGS >> 2] & FLAG_IOPL) >> 12) mask |= FLAG_IF;
  if (cpl === 0) mask |= size === 4 ? FLAG_IOPL | FLAG_VIF | FLAG_VIP : FLAG_IOPL;
  checkReturnCode(cpu, selector);
  if ((selector & 3) > cpl) returnOuter(cpu, selector, eip, size, 0);
  else returnSame(cpu, selector, eip);
  cpu.setEflags(flags, mask);
  cpu.updateHflags();
}

function iretToVm86(cpu: X86Cpu, eip: number, cs: number, flags: number): void {
  const esp = pop32(cpu);
  const ss = pop32(cpu) & 0xffff;
  const es = pop32(cpu) & 0xffff;
  const ds = pop32(cpu) & 0xffff;
  const fs = pop32(cpu) & 0xffff;
  const gs = pop32(cpu) & 0xffff;
  if (eip > 0xffff) cpu.raise(EXC.GP, 0);
  cpu.setReg(ESP, esp);
  loadVm86(cpu, CS, cs);
  loadVm86(cpu, SS, ss);
  loadVm86(cpu, ES, es);
  loadVm86(cpu, DS, ds);
  loadVm86(cpu, FS, fs);
  loadVm86(cpu, GS, gs);
  cpu.eip = eip;
  cpu.setEflags(flags, LOW | HIGH | FLAG_IF | FLAG_IOPL | FLAG_VM | FLAG_VIF | FLAG_VIP);
  cpu.hflags |= HF_CPL;
  cpu.updateHflags();
}
