/** HLT, MONITOR, MWAIT. SDM Vol. 2A "HLT", Vol. 2B "MONITOR", "MWAIT". */
import type { X86Cpu } from '../cpu.ts';
import { DS, EAX, ECX, ENV, EXC, FLAG_IF, HF_INHIBIT_IRQ } from '../state.ts';

/** Stops until an interrupt; execution goes on behind the HLT. The shadow of an STI before it is over. */
export function hlt(cpu: X86Cpu, nextEip: number): number {
  cpu.goNext(nextEip);
  cpu.hflags &= ~HF_INHIBIT_IRQ;
  cpu.e32[ENV.HALTED >> 2] = 1;
  cpu.host.halt();
  return 0;
}

/** Arms a monitor at DS:EAX, in 64-bit code at RAX: the byte is read for its faults. */
export function monitor(cpu: X86Cpu): number {
  if (cpu.reg(ECX) !== 0) cpu.raise(EXC.GP, 0);
  if (!cpu.code64) cpu.read8(cpu.segBase(DS) + cpu.reg(EAX));
  else {
    if (!cpu.linear.canonicalHigh(cpu.regHigh(EAX))) cpu.raise(EXC.GP, 0);
    cpu.read8(cpu.regNumber(EAX));
  }
  return 0;
}

/**
 * Waits like HLT when an interrupt can end the wait; else it is over at once, which the manual allows (a wake-up
 * "for other reasons").
 */
export function mwait(cpu: X86Cpu, nextEip: number): number {
  if (cpu.reg(ECX) > 1) cpu.raise(EXC.GP, 0);
  if ((cpu.ei32[ENV.EFLAGS >> 2] & FLAG_IF) !== 0) return hlt(cpu, nextEip);
  cpu.goNext(nextEip);
  return 0;
}
