/** RDTSC, RDTSCP, RDPMC and the TSC MSR: host ticks plus a 64-bit offset kept as two dwords. SDM Vol. 3B §18.17. */
import type { X86Cpu } from '../cpu.ts';
import { EAX, ECX, EDX, ENV, EXC, HF_PE } from '../state.ts';
import { CR4_PCE, CR4_TSD } from './cr-bits.ts';

const TWO32 = 0x1_0000_0000;
const LOW = ENV.MSR_TSC_OFFSET >> 2;

/** EDX:EAX = time-stamp counter. */
export function readTsc(cpu: X86Cpu): void {
  const ticks = cpu.host.tsc();
  const low = (ticks % TWO32) + cpu.e32[LOW];
  cpu.setReg(EAX, low);
  cpu.setReg(EDX, Math.floor(ticks / TWO32) + cpu.e32[LOW + 1] + (low >= TWO32 ? 1 : 0));
}

export function writeTsc(cpu: X86Cpu, low: number, high: number): void {
  const ticks = cpu.host.tsc();
  const difference = low - (ticks % TWO32);
  cpu.e32[LOW] = difference;
  cpu.e32[LOW + 1] = high - Math.floor(ticks / TWO32) - (difference < 0 ? 1 : 0);
}

export function rdtsc(cpu: X86Cpu): number {
  if ((cpu.cr(4) & CR4_TSD) !== 0 && cpu.cpl !== 0) cpu.raise(EXC.GP, 0);
  readTsc(cpu);
  return 0;
}

export function rdtscp(cpu: X86Cpu): number {
  rdtsc(cpu);
  cpu.setReg(ECX, cpu.env32(ENV.MSR_TSC_AUX));
  return 0;
}

/** Two P6 counters that never count. */
export function rdpmc(cpu: X86Cpu): number {
  if ((cpu.hflags & HF_PE) !== 0 && cpu.cpl !== 0 && (cpu.cr(4) & CR4_PCE) === 0) cpu.raise(EXC.GP, 0);
  if (cpu.reg(ECX) > 1) cpu.raise(EXC.GP, 0);
  cpu.setReg(EAX, 0);
  cpu.setReg(EDX, 0);
  return 0;
}
