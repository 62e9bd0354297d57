/**
 * Far RET and IRET in long mode, from 64-bit or compatibility code to either: SS:RSP is always popped by a 64-bit IRET; SS may
 * be null for 64-bit code inside. SDM Vol. 2A "IRET/IRETD/IRETQ", Vol. 2B "RET", Vol. 3A §6.14.3 "IRET in IA-32e Mode".
 * IRET with NT set, and to virtual-8086 mode, do not exist. Checks come before any change. Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import {
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
  FS,
  GS,
  SS,
} from '../state.ts';
import { highHalf } from './address.ts';
import { returnFlags } from './debug-registers.ts';
import {
  DESC_B,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_KEPT,
  DESC_L,
  DESC_P,
  DESC_RW,
  DESC_S,
} from './descriptor-bits.ts';
import { descriptorBase, descriptorLimit, fetchDescriptor, loadNull, markAccessed, plainWord } from './descriptor.ts';
import { checkReturnCode } from './far-return.ts';
import { checkCodeTarget, loadCode } from './long-code.ts';
import { commitStack, openStack, pop } from './stack.ts';

const LOW = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
const HIGH = FLAG_RF | FLAG_AC | FLAG_ID;

/** Words of cpu.returnFrame: halves of what was popped, then the checked descriptors of code and stack. */
const RIP = 0;
const CS_WORD = 2;
const FLAGS = 4;
const RSP = 6;
const SS_WORD = 8;
const CODE = 10;
const STACK = 12;

function popTo(cpu: X86Cpu, at: number, size: number): void {
  cpu.returnFrame[at] = pop(cpu, size);
  cpu.returnFrame[at + 1] = cpu.popHigh;
}

export function farRetLong(cpu: X86Cpu, size: number, immBytes: number): number {
  const frame = cpu.returnFrame;
  openStack(cpu);
  popTo(cpu, RIP, size);
  popTo(cpu, CS_WORD, size);
  const selector = frame[CS_WORD] & 0xffff;
  checkReturnCode(cpu, selector);
  checkCodeTarget(cpu, selector & 0xfffc, frame[RIP], frame[RIP + 1]);
  skip(cpu, immBytes);
  if ((selector & 3) > cpu.cpl) {
    popTo(cpu, RSP, size);
    popTo(cpu, SS_WORD, size);
    checkStack(cpu, selector);
    finishWithStack(cpu, selector, size, immBytes);
  } else {
    const { descLo: lo } = cpu;
    markAccessed(cpu);
    commitStack(cpu);
    loadCode(cpu, selector, lo, cpu.descHi, cpu.cpl, frame[RIP], frame[RIP + 1]);
  }
  return 0;
}

function skip(cpu: X86Cpu, bytes: number): void {
  if (cpu.stackMask !== 0) cpu.stackPtr = ((cpu.stackPtr + bytes) & cpu.stackMask) >>> 0;
  else cpu.stackPtr += bytes;
}

export function iretLong(cpu: X86Cpu, size: number): number {
  const old = cpu.ei32[ENV.EFLAGS >> 2];
  if ((old & FLAG_NT) !== 0) cpu.raise(EXC.GP, 0);
  const { cpl, code64, returnFrame: frame } = cpu;
  openStack(cpu);
  if (size !== 8 || !popFrame(cpu)) {
    popTo(cpu, RIP, size);
    popTo(cpu, CS_WORD, size);
    popTo(cpu, FLAGS, size);
    if (code64 || (frame[CS_WORD] & 3) > cpl) {
      popTo(cpu, RSP, size);
      popTo(cpu, SS_WORD, size);
    }
  }
  const selector = frame[CS_WORD] & 0xffff;
  const flags = returnFlags(cpu, frame[FLAGS]);
  let mask = size === 2 ? LOW : LOW | HIGH;
  if (cpl <= (old & FLAG_IOPL) >> 12) mask |= FLAG_IF;
  if (cpl === 0) mask |= size === 2 ? FLAG_IOPL : FLAG_IOPL | FLAG_VIF | FLAG_VIP;
  checkReturnCode(cpu, selector);
  checkCodeTarget(cpu, selector & 0xfffc, frame[RIP], frame[RIP + 1]);
  if (code64 || (selector & 3) > cpl) {
    checkStack(cpu, selector);
    cpu.setEflags(flags, mask);
    finishWithStack(cpu, selector, size, 0);
    return 0;
  }
  const { descLo: lo } = cpu;
  markAccessed(cpu);
  commitStack(cpu);
  cpu.setEflags(flags, mask);
  loadCode(cpu, selector, lo, cpu.descHi, cpl, frame[RIP], frame[RIP + 1]);
  return 0;
}

/** All five words at once, if they lie in one page of plain RAM. */
function popFrame(cpu: X86Cpu): boolean {
  const at = cpu.stackPtr;
  if (cpu.stackMask !== 0 || (at & 7) !== 0 || (at & 4095) > 4096 - 40 || !cpu.linear.canonical(at)) return false;
  const p = plainWord(cpu, at, 0, cpu.stackUser);
  if (p < 0) return false;
  const m = cpu.i32;
  const frame = cpu.returnFrame;
  for (let i = 0; i < 10; i++) frame[i] = m[p + i];
  return true;
}

/** The popped SS, for the fetched code descriptor of `selector`; marks both as accessed. */
function checkStack(cpu: X86Cpu, selector: number): void {
  const frame = cpu.returnFrame;
  const rpl = selector & 3;
  const { descLin: codeLin, descHi: codeHi } = cpu;
  frame[CODE] = cpu.descLo;
  const ss = frame[SS_WORD] & 0xffff;
  const error = ss & 0xfffc;
  if (error === 0) {
    if ((codeHi & DESC_L) === 0 || rpl === 3) cpu.raise(EXC.GP, 0);
    if ((ss & 3) !== rpl) cpu.raise(EXC.GP, 0);
  } else {
    if (!fetchDescriptor(cpu, ss)) cpu.raise(EXC.GP, error);
    const hi = cpu.descHi;
    if ((ss & 3) !== rpl || ((hi >>> DESC_DPL_SHIFT) & 3) !== rpl) cpu.raise(EXC.GP, error);
    if ((hi & (DESC_S | DESC_CODE | DESC_RW)) !== (DESC_S | DESC_RW)) cpu.raise(EXC.GP, error);
    if ((hi & DESC_P) === 0) cpu.raise(EXC.SS, error);
    markAccessed(cpu);
    frame[STACK] = cpu.descLo;
    frame[STACK + 1] = cpu.descHi;
  }
  cpu.descHi = codeHi;
  cpu.descLin = codeLin;
  markAccessed(cpu);
  frame[CODE + 1] = cpu.descHi;
}

function finishWithStack(cpu: X86Cpu, selector: number, size: number, immBytes: number): void {
  const frame = cpu.returnFrame;
  const codeHi = frame[CODE + 1];
  const stackLo = frame[STACK];
  const stackHi = frame[STACK + 1];
  const rpl = selector & 3;
  const outer = rpl > cpu.cpl;
  const ss = frame[SS_WORD] & 0xffff;
  const stackNull = (ss & 0xfffc) === 0;
  const is64 = (codeHi & DESC_L) !== 0;
  if (stackNull) cpu.setSeg(SS, ss, 0, 0, rpl << DESC_DPL_SHIFT);
  else cpu.setSeg(SS, ss, descriptorBase(stackLo, stackHi), descriptorLimit(stackLo, stackHi), stackHi & DESC_KEPT);
  const low = frame[RSP] + immBytes;
  if (is64 || size === 8) cpu.setReg64(ESP, low, frame[RSP + 1] + highHalf(low));
  else if (stackNull || (stackHi & DESC_B) !== 0) cpu.setReg(ESP, low);
  else cpu.setReg16(ESP, low);
  loadCode(cpu, selector, frame[CODE], codeHi, rpl, frame[RIP], frame[RIP + 1]);
  if (!outer) return;
  const nulled = nullInner(cpu, ES, rpl) | nullInner(cpu, DS, rpl) | nullInner(cpu, FS, rpl) | nullInner(cpu, GS, rpl);
  if (nulled !== 0 && !is64) cpu.updateHflags();
}

/** Data and nonconforming code of DPL < CPL become null. What is null already keeps the base that an MSR gave it. */
function nullInner(cpu: X86Cpu, seg: number, cpl: number): number {
  const flags = cpu.segFlags(seg);
  if ((cpu.segSelector(seg) & 0xfffc) === 0 || ((flags >>> DESC_DPL_SHIFT) & 3) >= cpl) return 0;
  if ((flags & (DESC_CODE | DESC_CONFORMING)) === (DESC_CODE | DESC_CONFORMING)) return 0;
  loadNull(cpu, seg, 0);
  return 1;
}
