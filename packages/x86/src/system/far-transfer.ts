/**
 * Far JMP and CALL: real mode, VM86, code segments, call gates (16 and 32 bit, with stack switch and parameters), and
 * the hand-over to task switches and to long mode (long-call.ts). SDM Vol. 2A "CALL", "JMP", Vol. 3A §5.8.1, §5.8.4-5.8.5 "Stack Switching".
 * Checks and pushes come before any register changes.
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, ENV, ESP, EXC, HF_LMA, HF_PE, HF_VM, SS } from '../state.ts';
import {
  DESC_B,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_KEPT,
  DESC_P,
  DESC_S,
  DESC_TYPE_SHIFT,
  SYS_CALL_GATE16,
  SYS_CALL_GATE32,
  SYS_TASK_GATE,
  SYS_TSS16,
  SYS_TSS32,
} from './descriptor-bits.ts';
import {
  descriptorBase,
  descriptorLimit,
  fetchDescriptor,
  loadReal,
  loadVm86,
  markAccessed,
  withinLimit,
} from './descriptor.ts';
import { fetchInnerStack } from './interrupt.ts';
import { transferLong } from './long-call.ts';
import { commitStack, openStack, push } from './stack.ts';
import { SWITCH_CALL, SWITCH_JMP, taskSwitchTo } from './task-switch.ts';

export function farJmp(cpu: X86Cpu, selector: number, offset: number, size: number, nextEip: number): number {
  return transfer(cpu, selector & 0xffff, size === 2 ? offset & 0xffff : offset >>> 0, size, nextEip >>> 0, false);
}

export function farCall(cpu: X86Cpu, selector: number, offset: number, size: number, nextEip: number): number {
  return transfer(cpu, selector & 0xffff, size === 2 ? offset & 0xffff : offset >>> 0, size, nextEip >>> 0, true);
}

function transfer(cpu: X86Cpu, selector: number, offset: number, size: number, nextEip: number, call: boolean): number {
  const h = cpu.hflags;
  if ((h & HF_LMA) !== 0)
    return transferLong(cpu, selector, offset, size === 8 ? cpu.env32(ENV.SCRATCH) : 0, size, nextEip, call);
  if ((h & HF_PE) === 0 || (h & HF_VM) !== 0) {
    transferReal(cpu, selector, offset, size, nextEip, call);
    return 0;
  }
  const error = selector & 0xfffc;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const hi = cpu.descHi;
  if ((hi & DESC_S) !== 0) {
    if ((hi & DESC_CODE) === 0) cpu.raise(EXC.GP, error);
    const { cpl } = cpu;
    const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
    if ((hi & DESC_CONFORMING) !== 0 ? dpl > cpl : (selector & 3) > cpl || dpl !== cpl) cpu.raise(EXC.GP, error);
    if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
    enterCode(cpu, selector, offset, size, nextEip, call);
    return 0;
  }
  transferSystem(cpu, selector, nextEip, call);
  return 0;
}

function transferReal(
  cpu: X86Cpu,
  selector: number,
  offset: number,
  size: number,
  nextEip: number,
  call: boolean,
): void {
  const vm = (cpu.hflags & HF_VM) !== 0;
  if (!withinLimit(cpu.segFlags(CS), vm ? 0xffff : cpu.segLimit(CS), offset, 1)) cpu.raise(EXC.GP, 0);
  if (call) {
    openStack(cpu);
    push(cpu, size, cpu.segSelector(CS));
    push(cpu, size, nextEip);
    commitStack(cpu);
  }
  if (vm) loadVm86(cpu, CS, selector);
  else loadReal(cpu, CS, selector);
  cpu.eip = offset;
  cpu.updateHflags();
}

/** Same privilege: the fetched code descriptor has passed its checks. */
function enterCode(cpu: X86Cpu, selector: number, offset: number, size: number, nextEip: number, call: boolean): void {
  const base = descriptorBase(cpu.descLo, cpu.descHi);
  const limit = descriptorLimit(cpu.descLo, cpu.descHi);
  if (call) {
    openStack(cpu);
    push(cpu, size, cpu.segSelector(CS));
    push(cpu, size, nextEip);
  }
  if (!withinLimit(cpu.descHi, limit, offset, 1)) cpu.raise(EXC.GP, 0);
  markAccessed(cpu);
  if (call) commitStack(cpu);
  cpu.setSeg(CS, (selector & 0xfffc) | cpu.cpl, base, limit, cpu.descHi & DESC_KEPT);
  cpu.eip = offset;
  cpu.updateHflags();
}

function transferSystem(cpu: X86Cpu, selector: number, nextEip: number, call: boolean): void {
  const { descLo: lo, descHi: hi, cpl } = cpu;
  const error = selector & 0xfffc;
  const type = (hi >>> DESC_TYPE_SHIFT) & 15;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  const known =
    type === SYS_CALL_GATE16 ||
    type === SYS_CALL_GATE32 ||
    type === SYS_TASK_GATE ||
    type === SYS_TSS16 ||
    type === SYS_TSS32;
  if (!known || dpl < cpl || dpl < (selector & 3)) cpu.raise(EXC.GP, error);
  if (type === SYS_TSS16 || type === SYS_TSS32) {
    // A TSS selector must be global. SDM Vol. 3A §7.2.2.
    if ((selector & 4) !== 0) cpu.raise(EXC.GP, error);
    taskSwitchTo(cpu, selector, call ? SWITCH_CALL : SWITCH_JMP, nextEip);
    return;
  }
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  if (type === SYS_TASK_GATE) {
    const tss = lo >>> 16;
    const tssError = tss & 0xfffc;
    if ((tss & 4) !== 0 || !fetchDescriptor(cpu, tss)) cpu.raise(EXC.GP, tssError);
    const tssType = (cpu.descHi >>> DESC_TYPE_SHIFT) & 31;
    if (tssType !== SYS_TSS16 && tssType !== SYS_TSS32) cpu.raise(EXC.GP, tssError);
    taskSwitchTo(cpu, tss, call ? SWITCH_CALL : SWITCH_JMP, nextEip);
    return;
  }
  throughCallGate(cpu, lo, hi, nextEip, call);
}

function throughCallGate(cpu: X86Cpu, gateLo: number, gateHi: number, nextEip: number, call: boolean): void {
  const { cpl } = cpu;
  const selector = gateLo >>> 16;
  const error = selector & 0xfffc;
  const size = ((gateHi >>> DESC_TYPE_SHIFT) & 15) === SYS_CALL_GATE32 ? 4 : 2;
  const offset = size === 4 ? ((gateHi & 0xffff0000) | (gateLo & 0xffff)) >>> 0 : gateLo & 0xffff;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const hi = cpu.descHi;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  const conforming = (hi & DESC_CONFORMING) !== 0;
  if ((hi & (DESC_S | DESC_CODE)) !== (DESC_S | DESC_CODE) || dpl > cpl) cpu.raise(EXC.GP, error);
  // JMP cannot change privilege.
  if (!call && !conforming && dpl !== cpl) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  if (!call || conforming || dpl === cpl) {
    enterCode(cpu, selector, offset, size, nextEip, call);
    return;
  }
  const base = descriptorBase(cpu.descLo, hi);
  const limit = descriptorLimit(cpu.descLo, hi);
  if (!withinLimit(hi, limit, offset, 1)) cpu.raise(EXC.GP, 0);
  markAccessed(cpu);
  const flags = cpu.descHi & DESC_KEPT;

  const ss = fetchInnerStack(cpu, dpl);
  const { descLo: ssLo, descHi: ssHi } = cpu;
  push(cpu, size, cpu.segSelector(SS));
  push(cpu, size, cpu.reg(ESP));
  copyParameters(cpu, gateHi & 31, size);
  push(cpu, size, cpu.segSelector(CS));
  push(cpu, size, nextEip);
  cpu.setSeg(SS, (ss & 0xfffc) | dpl, descriptorBase(ssLo, ssHi), descriptorLimit(ssLo, ssHi), ssHi & DESC_KEPT);
  cpu.setReg(ESP, cpu.stackMask === 0xffff ? ((cpu.innerEsp & 0xffff0000) | cpu.stackPtr) >>> 0 : cpu.stackPtr);
  cpu.setSeg(CS, error | dpl, base, limit, flags);
  cpu.eip = offset;
  cpu.cpl = dpl;
  cpu.updateHflags();
}

/** Parameters from the caller's stack (still in SS:ESP) to the opened inner one. */
function copyParameters(cpu: X86Cpu, count: number, size: number): void {
  const { user } = cpu;
  const flags = cpu.segFlags(SS);
  const base = cpu.segBase(SS);
  const limit = cpu.segLimit(SS);
  const mask = (flags & DESC_B) !== 0 ? 0xffffffff : 0xffff;
  for (let i = count - 1; i >= 0; i--) {
    const at = ((cpu.reg(ESP) + i * size) & mask) >>> 0;
    if (!withinLimit(flags, limit, at, size)) cpu.raise(EXC.SS, 0);
    const lin = (base + at) >>> 0;
    push(cpu, size, size === 4 ? cpu.host.read32(lin, user) : cpu.host.read16(lin, user));
  }
}
