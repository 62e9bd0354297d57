/**
 * Entry into an interrupt or exception handler: real mode, virtual-8086 (also with CR4.VME redirection), protected
 * mode through interrupt and trap gates with or without stack switch; task gates go to task-switch.ts, long mode to
 * long-interrupt.ts.
 * SDM Vol. 2A "INT n/INTO/INT3/INT1", Vol. 3A §6.12 "Exception and Interrupt Handling", Vol. 3B §21.3 (VME).
 * All checks and pushes come before the first register changes, so a fault restarts cleanly. cpu.ext is the EXT bit
 * of error codes, set by the caller. Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  CS,
  DS,
  ENV,
  ES,
  ESP,
  EXC,
  FLAG_AC,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VM,
  FS,
  GS,
  HF_CS64,
  HF_LMA,
  HF_PE,
  HF_VM,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_BASE,
  SEG_SELECTOR,
  SS,
} from '../state.ts';
import { CR4_VME } from './cr-bits.ts';
import {
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_KEPT,
  DESC_P,
  DESC_RW,
  DESC_S,
  DESC_TYPE_SHIFT,
  SYS_INT_GATE16,
  SYS_INT_GATE32,
  SYS_TASK_GATE,
  SYS_TRAP_GATE16,
  SYS_TRAP_GATE32,
  SYS_TSS32,
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
import { fastEnter } from './fast-transfer.ts';
import { enterLong } from './long-interrupt.ts';
import { commitStack, openNewStack, openStack, push, push16 } from './stack.ts';
import { interruptTask } from './task-switch.ts';

/** A fault-class exception: RF is pushed set. */
export const EVENT_FAULT = 0;
/** A #DB trap. */
export const EVENT_TRAP = 1;
export const EVENT_EXTERNAL = 2;
/** INT n; INT3 and INTO (no IOPL check in VM86); INT1 (no gate DPL check). */
export const EVENT_INT_N = 3;
export const EVENT_INT3 = 4;
export const EVENT_INT1 = 5;

const DR7_GD = 1 << 13;

/** error -1: push none. returnEip: EIP pushed. */
export function enterEvent(cpu: X86Cpu, vector: number, kind: number, error: number, returnEip: number): void {
  const h = cpu.hflags;
  let flags = cpu.eflags();
  if (kind === EVENT_FAULT && vector !== EXC.DB) flags |= FLAG_RF;
  const hasDpl = kind === EVENT_INT_N || kind === EVENT_INT3;
  if ((h & HF_LMA) !== 0) {
    // The RIP of an event is where env has it; INT n has not come to its next instruction yet.
    let high = 0;
    if ((h & HF_CS64) !== 0) high = kind >= EVENT_INT_N ? cpu.nextHigh(returnEip) : cpu.e32[ENV.CS_BASE >> 2];
    enterLong(cpu, vector, hasDpl, error, flags, returnEip, high);
    if (vector === EXC.DB && kind !== EVENT_INT_N) cpu.setDrRaw(7, cpu.dr(7) & ~DR7_GD);
    return;
  }
  if ((h & (HF_PE | HF_VM)) === HF_PE && vector !== EXC.DB) {
    if (fastEnter(cpu, vector, hasDpl, error, flags, returnEip)) return;
  }
  if ((h & HF_PE) === 0) enterReal(cpu, vector, flags, returnEip);
  else if ((h & HF_VM) !== 0 && kind === EVENT_INT_N && enterVm86Redirected(cpu, vector, flags, returnEip)) {
    // done: the interrupt went to the 8086 program's own vector
  } else enterProtected(cpu, vector, kind, error, flags, returnEip);
  if (vector === EXC.DB && kind !== EVENT_INT_N) cpu.setDrRaw(7, cpu.dr(7) & ~DR7_GD);
}

/** Real-address mode: 4-byte vectors at IDTR.base, no error codes. */
function enterReal(cpu: X86Cpu, vector: number, flags: number, returnEip: number): void {
  if (vector * 4 + 3 > cpu.e32[ENV.IDT_LIMIT >> 2]) cpu.raise(EXC.GP, (vector << 3) | 2 | cpu.ext);
  const at = cpu.e32[ENV.IDT_BASE >> 2] + vector * 4;
  const ip = cpu.readSys16(at);
  const cs = cpu.readSys16(at + 2);
  openStack(cpu);
  push16(cpu, flags);
  push16(cpu, cpu.segSelector(CS));
  push16(cpu, returnEip);
  commitStack(cpu);
  loadReal(cpu, CS, cs);
  cpu.eip = ip;
  cpu.ei32[ENV.EFLAGS >> 2] &= ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
  cpu.updateHflags();
}

/**
 * INT n in virtual-8086 mode. With CR4.VME and a clear bit in the TSS redirection bitmap (the 32 bytes below the I/O
 * map) it goes to the 8086 vector; else IOPL < 3 is #GP(0), else false: to the protected-mode handler.
 * SDM Vol. 3B Table 21-2 "Software Interrupt Handling Methods While in Virtual-8086 Mode".
 */
function enterVm86Redirected(cpu: X86Cpu, vector: number, flags: number, returnEip: number): boolean {
  const iopl3 = (flags & FLAG_IOPL) === FLAG_IOPL;
  if ((cpu.cr(4) & CR4_VME) === 0 || redirectionBit(cpu, vector)) {
    if (!iopl3) cpu.raise(EXC.GP, 0);
    return false;
  }
  const cs = cpu.readSys16(vector * 4 + 2);
  const ip = cpu.readSys16(vector * 4);
  // IOPL < 3: the pushed image shows IOPL 3 and VIF in place of IF, and VIF is cleared in place of IF.
  let image = flags;
  if (!iopl3) image = (image & ~FLAG_IF) | FLAG_IOPL | ((flags & FLAG_VIF) !== 0 ? FLAG_IF : 0);
  openStack(cpu);
  push16(cpu, image);
  push16(cpu, cpu.segSelector(CS));
  push16(cpu, returnEip);
  commitStack(cpu);
  loadVm86(cpu, CS, cs);
  cpu.eip = ip;
  cpu.ei32[ENV.EFLAGS >> 2] &= ~(FLAG_TF | FLAG_RF | FLAG_NT | (iopl3 ? FLAG_IF : FLAG_VIF));
  cpu.updateHflags();
  return true;
}

function redirectionBit(cpu: X86Cpu, vector: number): boolean {
  const e = cpu.e32;
  const limit = e[(ENV.TR + SEG_LIMIT) >> 2];
  const type = (e[(ENV.TR + SEG_FLAGS) >> 2] >>> DESC_TYPE_SHIFT) & 0xd;
  if (type !== SYS_TSS32 || limit < 0x67) cpu.raise(EXC.GP, 0);
  const base = e[(ENV.TR + SEG_BASE) >> 2];
  const map = cpu.readSys16(base + 0x66);
  const at = map - 32 + (vector >> 3);
  if (map < 32 || at > limit) cpu.raise(EXC.GP, 0);
  return ((cpu.readSys8(base + at) >>> (vector & 7)) & 1) !== 0;
}

function enterProtected(
  cpu: X86Cpu,
  vector: number,
  kind: number,
  error: number,
  flags: number,
  returnEip: number,
): void {
  const e = cpu.e32;
  const { ext } = cpu;
  const gateError = (vector << 3) | 2 | ext;
  if (vector * 8 + 7 > e[ENV.IDT_LIMIT >> 2]) cpu.raise(EXC.GP, gateError);
  const at = e[ENV.IDT_BASE >> 2] + vector * 8;
  const lo = cpu.readSys32(at);
  const hi = cpu.readSys32(at + 4);
  const type = (hi >>> DESC_TYPE_SHIFT) & 31;
  if (
    type !== SYS_INT_GATE32 &&
    type !== SYS_TRAP_GATE32 &&
    type !== SYS_INT_GATE16 &&
    type !== SYS_TRAP_GATE16 &&
    type !== SYS_TASK_GATE
  ) {
    cpu.raise(EXC.GP, gateError);
  }
  const h = cpu.hflags;
  const cpl = h & 3;
  if ((kind === EVENT_INT_N || kind === EVENT_INT3) && ((hi >>> DESC_DPL_SHIFT) & 3) < cpl)
    cpu.raise(EXC.GP, gateError);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, gateError);
  if (type === SYS_TASK_GATE) {
    interruptTask(cpu, lo >>> 16, error, flags, returnEip);
    return;
  }

  const selector = lo >>> 16;
  const selError = (selector & 0xfffc) | ext;
  const size = type >= 8 ? 4 : 2;
  const offset = size === 4 ? ((hi & 0xffff0000) | (lo & 0xffff)) >>> 0 : lo & 0xffff;
  if ((selector & 0xfffc) === 0) cpu.raise(EXC.GP, ext);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, selError);
  const codeHi = cpu.descHi;
  const dpl = (codeHi >>> DESC_DPL_SHIFT) & 3;
  if ((codeHi & (DESC_S | DESC_CODE)) !== (DESC_S | DESC_CODE) || dpl > cpl) cpu.raise(EXC.GP, selError);
  if ((codeHi & DESC_P) === 0) cpu.raise(EXC.NP, selError);
  const conforming = (codeHi & DESC_CONFORMING) !== 0;
  const vm = (h & HF_VM) !== 0;
  if (vm && (conforming || dpl !== 0)) cpu.raise(EXC.GP, selError);
  const codeBase = descriptorBase(cpu.descLo, codeHi);
  const codeLimit = descriptorLimit(cpu.descLo, codeHi);
  if (!withinLimit(codeHi, codeLimit, offset, 1)) cpu.raise(EXC.GP, ext);
  markAccessed(cpu);
  const codeFlags = cpu.descHi & DESC_KEPT;

  if (!conforming && dpl < cpl) {
    enterInner(cpu, dpl, vm, size, error, flags, returnEip);
    if (vm) {
      loadNull(cpu, GS, 0);
      loadNull(cpu, FS, 0);
      loadNull(cpu, DS, 0);
      loadNull(cpu, ES, 0);
    }
    cpu.cpl = dpl;
    cpu.setSeg(CS, (selector & 0xfffc) | dpl, codeBase, codeLimit, codeFlags);
  } else {
    openStack(cpu);
    pushReturn(cpu, size, error, flags, returnEip);
    commitStack(cpu);
    cpu.setSeg(CS, (selector & 0xfffc) | cpl, codeBase, codeLimit, codeFlags);
  }
  cpu.eip = offset;
  let cleared = FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT;
  if ((type & 1) === 0) cleared |= FLAG_IF;
  cpu.ei32[ENV.EFLAGS >> 2] &= ~cleared;
  cpu.updateHflags();
}

function pushReturn(cpu: X86Cpu, size: number, error: number, flags: number, returnEip: number): void {
  push(cpu, size, flags);
  push(cpu, size, cpu.segSelector(CS));
  push(cpu, size, returnEip);
  if (error >= 0) push(cpu, size, error);
}

/** Stack switch to privilege `dpl`: push the old stack and the return frame, then load SS:ESP. */
function enterInner(
  cpu: X86Cpu,
  dpl: number,
  vm: boolean,
  size: number,
  error: number,
  flags: number,
  returnEip: number,
): void {
  const ss = fetchInnerStack(cpu, dpl);
  const { descLo: ssLo, descHi: ssHi } = cpu;
  const oldEsp = cpu.reg(ESP);
  if (vm) {
    push(cpu, size, cpu.segSelector(GS));
    push(cpu, size, cpu.segSelector(FS));
    push(cpu, size, cpu.segSelector(DS));
    push(cpu, size, cpu.segSelector(ES));
  }
  push(cpu, size, cpu.segSelector(SS));
  push(cpu, size, oldEsp);
  pushReturn(cpu, size, error, flags, returnEip);
  cpu.setSeg(SS, (ss & 0xfffc) | dpl, descriptorBase(ssLo, ssHi), descriptorLimit(ssLo, ssHi), ssHi & DESC_KEPT);
  // A new stack starts from the TSS's ESP: its upper half is loaded too.
  cpu.setReg(ESP, cpu.stackMask === 0xffff ? ((cpu.innerEsp & 0xffff0000) | cpu.stackPtr) >>> 0 : cpu.stackPtr);
}

/**
 * SS:ESP of privilege `dpl` from the TSS, checked, its stack opened; descriptor left in cpu.desc*. Returns the selector.
 * SDM Vol. 2A "INT n" INTER-PRIVILEGE-LEVEL-INTERRUPT; the same checks serve call gates (EXT = 0 there).
 */
export function fetchInnerStack(cpu: X86Cpu, dpl: number): number {
  const e = cpu.e32;
  const { ext } = cpu;
  const limit = e[(ENV.TR + SEG_LIMIT) >> 2];
  const base = e[(ENV.TR + SEG_BASE) >> 2];
  const wide = ((e[(ENV.TR + SEG_FLAGS) >> 2] >>> DESC_TYPE_SHIFT) & 8) !== 0;
  const at = wide ? dpl * 8 + 4 : dpl * 4 + 2;
  if (at + (wide ? 5 : 3) > limit) cpu.raise(EXC.TS, (e[(ENV.TR + SEG_SELECTOR) >> 2] & 0xfffc) | ext);
  const esp = wide ? cpu.readSys32(base + at) : cpu.readSys16(base + at);
  const ss = cpu.readSys16(base + at + (wide ? 4 : 2));
  const error = (ss & 0xfffc) | ext;
  if ((ss & 0xfffc) === 0) cpu.raise(EXC.TS, ext);
  if (!fetchDescriptor(cpu, ss)) cpu.raise(EXC.TS, error);
  const hi = cpu.descHi;
  if ((ss & 3) !== dpl || ((hi >>> DESC_DPL_SHIFT) & 3) !== dpl) cpu.raise(EXC.TS, error);
  if ((hi & (DESC_S | DESC_CODE | DESC_RW)) !== (DESC_S | DESC_RW)) cpu.raise(EXC.TS, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.SS, error);
  markAccessed(cpu);
  cpu.innerEsp = esp;
  openNewStack(cpu, ss, esp, 0);
  return ss;
}
