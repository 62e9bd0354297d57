/**
 * Far RET: real mode, VM86, same and outer privilege. The checks of the return code segment and stack are shared with
 * IRET. SDM Vol. 2B "RET", Vol. 3A §5.8.6 "Returning from a Called Procedure".
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, DS, ES, ESP, EXC, FS, GS, HF_PE, HF_VM, SS } from '../state.ts';
import {
  DESC_B,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_KEPT,
  DESC_P,
  DESC_RW,
  DESC_S,
} from './descriptor-bits.ts';
import {
  descriptorBase,
  descriptorLimit,
  fetchDescriptor,
  loadNull,
  loadReal,
  loadVm86,
  markAccessed,
  withinLimit,
} from './descriptor.ts';
import { commitStack, openStack, pop } from './stack.ts';

export function farRet(cpu: X86Cpu, size: number, immBytes: number): number {
  const h = cpu.hflags;
  immBytes &= 0xffff;
  openStack(cpu);
  const eip = pop(cpu, size);
  const selector = pop(cpu, size) & 0xffff;
  if ((h & HF_PE) === 0 || (h & HF_VM) !== 0) {
    const vm = (h & HF_VM) !== 0;
    if (!withinLimit(cpu.segFlags(CS), vm ? 0xffff : cpu.segLimit(CS), eip, 1)) cpu.raise(EXC.GP, 0);
    cpu.stackPtr = (cpu.stackPtr + immBytes) & cpu.stackMask;
    commitStack(cpu);
    if (vm) loadVm86(cpu, CS, selector);
    else loadReal(cpu, CS, selector);
    cpu.eip = eip;
    cpu.updateHflags();
    return 0;
  }
  checkReturnCode(cpu, selector);
  cpu.stackPtr = ((cpu.stackPtr + immBytes) & cpu.stackMask) >>> 0;
  if ((selector & 3) > cpu.cpl) returnOuter(cpu, selector, eip, size, immBytes);
  else returnSame(cpu, selector, eip);
  cpu.updateHflags();
  return 0;
}

/** Fetch and check the code segment that RET or IRET goes to. */
export function checkReturnCode(cpu: X86Cpu, selector: number): void {
  const error = selector & 0xfffc;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const hi = cpu.descHi;
  const rpl = selector & 3;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  if ((hi & (DESC_S | DESC_CODE)) !== (DESC_S | DESC_CODE) || rpl < cpu.cpl) cpu.raise(EXC.GP, error);
  if ((hi & DESC_CONFORMING) !== 0 ? dpl > rpl : dpl !== rpl) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
}

/** To the fetched, checked code segment at the same privilege; the stack has been popped. */
export function returnSame(cpu: X86Cpu, selector: number, eip: number): void {
  const limit = descriptorLimit(cpu.descLo, cpu.descHi);
  if (!withinLimit(cpu.descHi, limit, eip, 1)) cpu.raise(EXC.GP, 0);
  markAccessed(cpu);
  commitStack(cpu);
  cpu.setSeg(CS, selector, descriptorBase(cpu.descLo, cpu.descHi), limit, cpu.descHi & DESC_KEPT);
  cpu.eip = eip;
}

/** As returnSame, to an outer level: pops SS:ESP too, and nulls data segments that the outer level may not use. */
export function returnOuter(cpu: X86Cpu, selector: number, eip: number, size: number, immBytes: number): void {
  const rpl = selector & 3;
  const base = descriptorBase(cpu.descLo, cpu.descHi);
  const limit = descriptorLimit(cpu.descLo, cpu.descHi);
  const codeHi = cpu.descHi;
  const codeLin = cpu.descLin;
  const esp = pop(cpu, size);
  const ss = pop(cpu, size) & 0xffff;
  const error = ss & 0xfffc;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if (!fetchDescriptor(cpu, ss)) cpu.raise(EXC.GP, error);
  const hi = cpu.descHi;
  if ((ss & 3) !== rpl || ((hi >>> DESC_DPL_SHIFT) & 3) !== rpl) cpu.raise(EXC.GP, error);
  if ((hi & (DESC_S | DESC_CODE | DESC_RW)) !== (DESC_S | DESC_RW)) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.SS, error);
  if (!withinLimit(codeHi, limit, eip, 1)) cpu.raise(EXC.GP, 0);
  markAccessed(cpu);
  const ssFlags = cpu.descHi & DESC_KEPT;
  const ssBase = descriptorBase(cpu.descLo, cpu.descHi);
  const ssLimit = descriptorLimit(cpu.descLo, cpu.descHi);
  cpu.descHi = codeHi;
  cpu.descLin = codeLin;
  markAccessed(cpu);

  cpu.setSeg(CS, selector, base, limit, cpu.descHi & DESC_KEPT);
  cpu.setSeg(SS, ss, ssBase, ssLimit, ssFlags);
  if ((ssFlags & DESC_B) !== 0) cpu.setReg(ESP, (esp + immBytes) >>> 0);
  else cpu.setReg16(ESP, esp + immBytes); // the upper half stays the inner level's: as on hardware
  cpu.eip = eip;
  cpu.cpl = rpl;
  nullInner(cpu, ES, rpl);
  nullInner(cpu, DS, rpl);
  nullInner(cpu, FS, rpl);
  nullInner(cpu, GS, rpl);
}

/** Data and nonconforming code of DPL < CPL become null. */
function nullInner(cpu: X86Cpu, seg: number, cpl: number): void {
  const flags = cpu.segFlags(seg);
  if ((flags & (DESC_CODE | DESC_CONFORMING)) === (DESC_CODE | DESC_CONFORMING)) return;
  if (((flags >>> DESC_DPL_SHIFT) & 3) < cpl) loadNull(cpu, seg, 0);
}
