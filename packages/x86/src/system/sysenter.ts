/**
 * SYSENTER and SYSEXIT: flat segments from IA32_SYSENTER_CS; in long mode to 64-bit code, and back to code of either kind.
 * SDM Vol. 2B "SYSENTER", "SYSEXIT"; AMD's processors do not have them in long mode: APM Vol. 3 "SYSENTER". Hot path.
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, ECX, EDX, ENV, ESP, EXC, FLAG_IF, FLAG_RF, FLAG_VM, HF_CPL, HF_LMA, HF_PE, SS } from '../state.ts';
import { DESC_A, DESC_B, DESC_CODE, DESC_DPL_SHIFT, DESC_G, DESC_P, DESC_RW, DESC_S } from './descriptor-bits.ts';
import { loadFlat64 } from './syscall.ts';

const FLAT_DATA = DESC_G | DESC_B | DESC_P | DESC_S | DESC_RW | DESC_A;
const FLAT_CODE = FLAT_DATA | DESC_CODE;

function loadFlat(cpu: X86Cpu, code: number, stack: number, cpl: number): void {
  cpu.setSeg(CS, code, 0, 0xffffffff, FLAT_CODE | (cpl << DESC_DPL_SHIFT));
  cpu.setSeg(SS, stack, 0, 0xffffffff, FLAT_DATA | (cpl << DESC_DPL_SHIFT));
  cpu.hflags = (cpu.hflags & ~HF_CPL) | cpl;
}

/** IA32_SYSENTER_CS without RPL, after the checks of both instructions. */
function segments(cpu: X86Cpu): number {
  const selector = cpu.env32(ENV.MSR_SYSENTER_CS) & 0xfffc;
  if ((cpu.hflags & HF_LMA) !== 0 && cpu.model.vendor === 'AuthenticAMD') cpu.raise(EXC.UD);
  if ((cpu.hflags & HF_PE) === 0 || selector === 0) cpu.raise(EXC.GP, 0);
  return selector;
}

export function sysenter(cpu: X86Cpu): number {
  const selector = segments(cpu);
  cpu.ei32[ENV.EFLAGS >> 2] &= ~(FLAG_VM | FLAG_IF | FLAG_RF);
  if ((cpu.hflags & HF_LMA) !== 0) {
    cpu.setReg64(ESP, cpu.env32(ENV.MSR_SYSENTER_ESP), cpu.env32(ENV.MSR_SYSENTER_ESP + 4));
    const eip = ENV.MSR_SYSENTER_EIP;
    loadFlat64(cpu, selector, (selector + 8) & 0xffff, 0, cpu.env32(eip), cpu.env32(eip + 4));
    return 0;
  }
  loadFlat(cpu, selector, (selector + 8) & 0xffff, 0);
  cpu.setReg(ESP, cpu.env32(ENV.MSR_SYSENTER_ESP));
  cpu.eip = cpu.env32(ENV.MSR_SYSENTER_EIP);
  cpu.updateHflags();
  return 0;
}

/** size 8: to 64-bit code, whose descriptors lie behind those of 32-bit code. */
export function sysexit(cpu: X86Cpu, size: number): number {
  const selector = segments(cpu);
  if (cpu.cpl !== 0) cpu.raise(EXC.GP, 0);
  if (size === 8) {
    const high = cpu.regHigh(EDX);
    if (!cpu.linear.canonicalHigh(high) || !cpu.linear.canonicalHigh(cpu.regHigh(ECX))) cpu.raise(EXC.GP, 0);
    cpu.setReg64(ESP, cpu.reg(ECX), cpu.regHigh(ECX));
    loadFlat64(cpu, ((selector + 32) & 0xffff) | 3, ((selector + 40) & 0xffff) | 3, 3, cpu.reg(EDX), high);
    return 0;
  }
  loadFlat(cpu, ((selector + 16) & 0xffff) | 3, ((selector + 24) & 0xffff) | 3, 3);
  cpu.setReg(ESP, cpu.reg(ECX));
  cpu.eip = cpu.reg(EDX);
  cpu.updateHflags();
  return 0;
}
