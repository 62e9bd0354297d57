/**
 * SYSCALL, SYSRET, SWAPGS, and the bases of FS and GS. SDM Vol. 2B "SYSCALL", "SYSRET", "SWAPGS", "RDFSBASE/RDGSBASE",
 * "WRFSBASE/WRGSBASE". Outside 64-bit code, where Intel's processors have neither SYSCALL nor SYSRET: APM Vol. 3 "SYSCALL",
 * "SYSRET". CPL of SYSRET and SWAPGS is checked here. Hot path: no allocation.
 * SYSRET loads all of SS on either vendor's processor; AMD's leave the hidden part as SYSCALL had made it.
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, ECX, ENV, EXC, FLAG_IF, FLAG_RF, FLAG_VM, FS, GS, SEG_BASE, SEG_STRIDE, SS } from '../state.ts';
import { CR0_PE, CR4_FSGSBASE, EFER_SCE } from './cr-bits.ts';
import {
  DESC_A,
  DESC_B,
  DESC_CODE,
  DESC_DPL_SHIFT,
  DESC_G,
  DESC_L,
  DESC_P,
  DESC_RW,
  DESC_S,
} from './descriptor-bits.ts';
import { loadCode64 } from './long-code.ts';

const FLAT = DESC_G | DESC_P | DESC_S | DESC_RW | DESC_A;
/** Attributes of the segments that SYSCALL and SYSRET load, without DPL. */
export const SYSCALL_STACK = FLAT | DESC_B;
const CODE32 = FLAT | DESC_CODE | DESC_B;
export const SYSCALL_CODE64 = FLAT | DESC_CODE | DESC_L;
const R11 = 11;
/** RFLAGS that SYSRET loads. */
export const SYSRET_FLAGS = 0x3c7fd7;

/** To 64-bit code at `cpl` with flat segments: CS and SS as given. */
export function loadFlat64(
  cpu: X86Cpu,
  code: number,
  stack: number,
  cpl: number,
  ripLow: number,
  ripHigh: number,
): void {
  const dpl = cpl << DESC_DPL_SHIFT;
  cpu.setSeg(SS, stack, 0, 0xffffffff, SYSCALL_STACK | dpl);
  loadCode64(cpu, code, 0xffffffff, SYSCALL_CODE64 | dpl, cpl, ripLow, ripHigh);
}

/** To 32-bit code (in long mode: compatibility code) with flat segments. */
export function loadFlat32(cpu: X86Cpu, code: number, stack: number, eip: number, cpl = 3): void {
  const dpl = cpl << DESC_DPL_SHIFT;
  cpu.setSeg(SS, stack, 0, 0xffffffff, SYSCALL_STACK | dpl);
  cpu.setSeg(CS, code, 0, 0xffffffff, CODE32 | dpl);
  cpu.cpl = cpl;
  cpu.eip = eip;
  cpu.updateHflags();
}

/** #UD unless EFER.SCE, and on Intel's processors outside 64-bit code. */
function checkEnabled(cpu: X86Cpu): void {
  const enabled = (cpu.e32[ENV.MSR_EFER >> 2] & EFER_SCE) !== 0;
  if (!enabled || (!cpu.code64 && cpu.model.vendor === 'GenuineIntel')) cpu.raise(EXC.UD);
}

export function syscall(cpu: X86Cpu, nextEip: number): number {
  const e = cpu.e32;
  const { code64 } = cpu;
  checkEnabled(cpu);
  const star = e[(ENV.MSR_STAR >> 2) + 1] & 0xfffc;
  if (!cpu.longMode) {
    // of any legacy mode, real mode too: to STAR's EIP; no mask, and the flags are not kept
    cpu.setReg(ECX, nextEip);
    cpu.setEflags(0, FLAG_IF | FLAG_RF | FLAG_VM);
    loadFlat32(cpu, star, (star + 8) & 0xffff, e[ENV.MSR_STAR >> 2], 0);
    return 0;
  }
  const target = (code64 ? ENV.MSR_LSTAR : ENV.MSR_CSTAR) >> 2;
  const flags = cpu.eflags() & ~(FLAG_RF | FLAG_VM);
  cpu.setReg64(ECX, nextEip, cpu.nextHigh(nextEip));
  cpu.setReg64(R11, flags, 0);
  cpu.setEflags(flags & ~e[ENV.MSR_FMASK >> 2], -1);
  loadFlat64(cpu, star, (star + 8) & 0xffff, 0, e[target], e[target + 1]);
  return 0;
}

/** size 8: to 64-bit code, else to 32-bit code. */
export function sysret(cpu: X86Cpu, size: number): number {
  const e = cpu.e32;
  checkEnabled(cpu);
  if (cpu.cpl !== 0 || (cpu.cr(0) & CR0_PE) === 0) cpu.raise(EXC.GP, 0);
  const low = cpu.reg(ECX);
  const high = cpu.regHigh(ECX);
  if (size === 8 && !cpu.linear.canonicalHigh(high)) cpu.raise(EXC.GP, 0);
  const star = e[(ENV.MSR_STAR >> 2) + 1] >>> 16;
  if (cpu.code64) cpu.setEflags(cpu.reg(R11) & SYSRET_FLAGS, -1);
  else cpu.setEflags(FLAG_IF, FLAG_IF);
  const stack = ((star + 8) & 0xffff) | 3;
  if (size === 8) loadFlat64(cpu, ((star + 16) & 0xffff) | 3, stack, 3, low, high);
  else loadFlat32(cpu, star | 3, stack, low);
  return 0;
}

export function swapgs(cpu: X86Cpu): number {
  if (!cpu.code64) cpu.raise(EXC.UD);
  if (cpu.cpl !== 0) cpu.raise(EXC.GP, 0);
  const low = cpu.env32(ENV.MSR_KERNEL_GS_BASE);
  const high = cpu.env32(ENV.MSR_KERNEL_GS_BASE + 4);
  const at = ENV.SEG + GS * SEG_STRIDE + SEG_BASE;
  cpu.setEnv64(ENV.MSR_KERNEL_GS_BASE, cpu.env32(at), cpu.env32(at + 4));
  cpu.setEnv64(at, low, high);
  return 0;
}

/** Byte offset of the base; #UD where the instructions are not enabled. */
function baseOf(cpu: X86Cpu, seg: number): number {
  if (!cpu.code64 || (cpu.cr(4) & CR4_FSGSBASE) === 0 || (seg !== FS && seg !== GS)) cpu.raise(EXC.UD);
  return ENV.SEG + seg * SEG_STRIDE + SEG_BASE;
}

export function readFsGsBase(cpu: X86Cpu, seg: number): number {
  const at = baseOf(cpu, seg);
  cpu.setEnv32(ENV.SCRATCH, cpu.env32(at + 4));
  return cpu.env32(at) | 0;
}

export function writeFsGsBase(cpu: X86Cpu, seg: number, low: number, high: number): number {
  const at = baseOf(cpu, seg);
  if (!cpu.linear.canonicalBase(high)) cpu.raise(EXC.GP, 0);
  cpu.setEnv64(at, low, high);
  return 0;
}
