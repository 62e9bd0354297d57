/**
 * Far JMP and CALL in long mode: 64-bit and compatibility code segments, 64-bit call gates with stack switch. Task gates and
 * TSS descriptors are #GP. SDM Vol. 2A "CALL" 64-BIT-CALL-GATE, "JMP", Vol. 3A §5.8.3.1 "IA-32e Mode Call Gates", §5.8.5.1.
 * Checks and pushes come before any register changes.
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, ESP, EXC, SS } from '../state.ts';
import {
  DESC_B,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_L,
  DESC_P,
  DESC_S,
  DESC_TYPE_SHIFT,
  SYS_CALL_GATE32,
} from './descriptor-bits.ts';
import { fetchDescriptor, fetchUpper, markAccessed } from './descriptor.ts';
import { checkCodeTarget, loadCode, loadNullStack, tssStack } from './long-code.ts';
import { commitStack, openStack, openStack64, push, push64 } from './stack.ts';

export function transferLong(
  cpu: X86Cpu,
  selector: number,
  low: number,
  high: number,
  size: number,
  nextEip: number,
  call: boolean,
): number {
  const error = selector & 0xfffc;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const hi = cpu.descHi;
  const { cpl } = cpu;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  if ((hi & DESC_S) === 0) {
    if (((hi >>> DESC_TYPE_SHIFT) & 15) !== SYS_CALL_GATE32 || dpl < cpl || dpl < (selector & 3))
      cpu.raise(EXC.GP, error);
    throughGate(cpu, selector, nextEip, call);
    return 0;
  }
  if ((hi & DESC_CODE) === 0) cpu.raise(EXC.GP, error);
  if ((hi & DESC_CONFORMING) !== 0 ? dpl > cpl : (selector & 3) > cpl || dpl !== cpl) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  if (call) {
    openStack(cpu);
    push(cpu, size, cpu.segSelector(CS));
    push(cpu, size, nextEip, cpu.nextHigh(nextEip));
  }
  checkCodeTarget(cpu, error, low, high);
  const { descLo: lo } = cpu;
  markAccessed(cpu);
  if (call) commitStack(cpu);
  loadCode(cpu, selector, lo, cpu.descHi, cpl, low, high);
  return 0;
}

/** The gate has been fetched, and may be used at this privilege. Its target is 64-bit code; nothing is copied. */
function throughGate(cpu: X86Cpu, gateSelector: number, nextEip: number, call: boolean): void {
  const gateError = gateSelector & 0xfffc;
  const { descLo: gateLo, descHi: gateHi, cpl } = cpu;
  fetchUpper(cpu, gateSelector, gateError);
  if ((gateHi & DESC_P) === 0) cpu.raise(EXC.NP, gateError);
  const high = cpu.descUpper;
  const low = ((gateHi & 0xffff0000) | (gateLo & 0xffff)) >>> 0;
  const selector = gateLo >>> 16;
  const error = selector & 0xfffc;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const hi = cpu.descHi;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  const conforming = (hi & DESC_CONFORMING) !== 0;
  if ((hi & (DESC_S | DESC_CODE)) !== (DESC_S | DESC_CODE) || dpl > cpl) cpu.raise(EXC.GP, error);
  if ((hi & (DESC_L | DESC_B)) !== DESC_L) cpu.raise(EXC.GP, error);
  if (!call && !conforming && dpl !== cpl) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  if (!cpu.linear.canonicalHigh(high)) cpu.raise(EXC.GP, 0);
  const { descLo: lo } = cpu;
  markAccessed(cpu);
  const codeHi = cpu.descHi;
  const inner = call && !conforming && dpl < cpl;
  const newCpl = inner ? dpl : cpl;
  if (call) {
    const rspHigh = cpu.code64 ? cpu.regHigh(ESP) : 0;
    if (inner) {
      openStack64(cpu, tssStack(cpu, dpl, 0), dpl === 3 ? 1 : 0);
      push64(cpu, cpu.segSelector(SS), 0);
      push64(cpu, cpu.reg(ESP), rspHigh);
    } else openStack64(cpu, cpu.code64 ? cpu.regNumber(ESP) : cpu.reg(ESP), cpu.user);
    push64(cpu, cpu.segSelector(CS), 0);
    push64(cpu, nextEip, cpu.nextHigh(nextEip));
    if (inner) loadNullStack(cpu, dpl);
    cpu.setReg64(ESP, cpu.stackPtr, cpu.linear.high(cpu.stackPtr));
  }
  loadCode(cpu, selector, lo, codeHi, newCpl, low, high);
}
