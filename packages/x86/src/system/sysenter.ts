/** SYSENTER and SYSEXIT: flat segments from IA32_SYSENTER_CS. SDM Vol. 2B "SYSENTER", "SYSEXIT". Hot path. */
import type { X86Cpu } from '../cpu.ts';
import { CS, ECX, EDX, ENV, ESP, EXC, FLAG_IF, FLAG_RF, FLAG_VM, HF_CPL, HF_PE, SS } from '../state.ts';
import { DESC_A, DESC_B, DESC_CODE, DESC_DPL_SHIFT, DESC_G, DESC_P, DESC_RW, DESC_S } from './descriptor-bits.ts';

const FLAT_DATA = DESC_G | DESC_B | DESC_P | DESC_S | DESC_RW | DESC_A;
const FLAT_CODE = FLAT_DATA | DESC_CODE;

function loadFlat(cpu: X86Cpu, code: number, stack: number, cpl: number): void {
  cpu.setSeg(CS, code, 0, 0xffffffff, FLAT_CODE | (cpl << DESC_DPL_SHIFT));
  cpu.setSeg(SS, stack, 0, 0xffffffff, FLAT_DATA | (cpl << DESC_DPL_SHIFT));
  cpu.hflags = (cpu.hflags & ~HF_CPL) | cpl;
}

export function sysenter(cpu: X86Cpu): number {
  const selector = cpu.env32(ENV.MSR_SYSENTER_CS) & 0xfffc;
  if ((cpu.hflags & HF_PE) === 0 || selector === 0) cpu.raise(EXC.GP, 0);
  cpu.ei32[ENV.EFLAGS >> 2] &= ~(FLAG_VM | FLAG_IF | FLAG_RF);
  loadFlat(cpu, selector, (selector + 8) & 0xffff, 0);
  cpu.setReg(ESP, cpu.env32(ENV.MSR_SYSENTER_ESP));
  cpu.eip = cpu.env32(ENV.MSR_SYSENTER_EIP);
  cpu.updateHflags();
  return 0;
}

export function sysexit(cpu: X86Cpu): number {
  const selector = cpu.env32(ENV.MSR_SYSENTER_CS) & 0xfffc;
  if ((cpu.hflags & HF_PE) === 0 || cpu.cpl !== 0 || selector === 0) cpu.raise(EXC.GP, 0);
  loadFlat(cpu, ((selector + 16) & 0xffff) | 3, ((selector + 24) & 0xffff) | 3, 3);
  cpu.setReg(ESP, cpu.reg(ECX));
  cpu.eip = cpu.reg(EDX);
  cpu.updateHflags();
  return 0;
}
