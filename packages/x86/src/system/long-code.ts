/**
 * Code segments and inner stacks in long mode, as far transfers, returns and interrupts share them: checks of a target that
 * may be 64-bit or compatibility code, loads of CS with RIP, null SS, stack pointers out of the 64-bit TSS.
 * SDM Vol. 3A §5.2.1 "Code-Segment Descriptor in 64-bit Mode", §7.7 "Task Management in 64-bit Mode". Hot path: no allocation.
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, ENV, EXC, HF_CS64, SEG_BASE, SEG_FLAGS, SEG_LIMIT, SEG_SELECTOR, SEG_STRIDE, SS } from '../state.ts';
import { DESC_B, DESC_DPL_SHIFT, DESC_KEPT, DESC_L } from './descriptor-bits.ts';
import { descriptorBase, descriptorLimit, withinLimit } from './descriptor.ts';
import { PRIVILEGE_BITS, SEGMENT_BITS, privilegeBits } from './hflags.ts';

const CS_AT = (ENV.SEG + CS * SEG_STRIDE) >> 2;

/** The fetched code descriptor and the RIP to go to in it: #GP(selector) for L with D, #GP(0) for the RIP. */
export function checkCodeTarget(cpu: X86Cpu, error: number, ripLow: number, ripHigh: number): void {
  const hi = cpu.descHi;
  if ((hi & DESC_L) !== 0) {
    if ((hi & DESC_B) !== 0) cpu.raise(EXC.GP, error);
    if (!cpu.linear.canonicalHigh(ripHigh)) cpu.raise(EXC.GP, 0);
  } else if (ripHigh !== 0 || !withinLimit(hi, descriptorLimit(cpu.descLo, hi), ripLow >>> 0, 1)) cpu.raise(EXC.GP, 0);
}

/** CS from a checked descriptor at a privilege level, with RIP; block flags from segments, flags and level. */
export function loadCode(
  cpu: X86Cpu,
  selector: number,
  lo: number,
  hi: number,
  cpl: number,
  ripLow: number,
  ripHigh: number,
): void {
  const selectorAt = (selector & 0xfffc) | cpl;
  if ((hi & DESC_L) !== 0) {
    loadCode64(cpu, selectorAt, descriptorLimit(lo, hi), hi & DESC_KEPT, cpl, ripLow, ripHigh);
    return;
  }
  cpu.setSeg(CS, selectorAt, descriptorBase(lo, hi), descriptorLimit(lo, hi), hi & DESC_KEPT);
  cpu.cpl = cpl;
  cpu.eip = ripLow;
  cpu.updateHflags();
}

/** As `loadCode`, for 64-bit code, whose base is 0: the way in for SYSCALL, and of every interrupt. */
export function loadCode64(
  cpu: X86Cpu,
  selector: number,
  limit: number,
  flags: number,
  cpl: number,
  ripLow: number,
  ripHigh: number,
): void {
  const e = cpu.ei32;
  e[CS_AT + (SEG_SELECTOR >> 2)] = selector;
  e[CS_AT + (SEG_FLAGS >> 2)] = flags;
  e[CS_AT + (SEG_BASE >> 2)] = 0;
  e[CS_AT + (SEG_BASE >> 2) + 1] = 0;
  e[CS_AT + (SEG_LIMIT >> 2)] = limit;
  e[ENV.EIP >> 2] = ripLow;
  e[ENV.CS_BASE >> 2] = ripHigh;
  e[ENV.HFLAGS >> 2] =
    (e[ENV.HFLAGS >> 2] & ~(SEGMENT_BITS | PRIVILEGE_BITS)) | HF_CS64 | privilegeBits(cpu, cpl, e[ENV.EFLAGS >> 2]);
}

/** SS as a change to an inner level leaves it: null, its RPL and DPL the level. SDM Vol. 3A §6.14.4. */
export function loadNullStack(cpu: X86Cpu, cpl: number): void {
  cpu.setSeg(SS, cpl, 0, 0, cpl << DESC_DPL_SHIFT);
}

/** Offsets in the 64-bit TSS. SDM Vol. 3A Figure 7-11. */
const TSS_RSP0 = 4;
const TSS_IST1 = 0x24;

/** RSP of privilege level `dpl`, or with `ist` 1 to 7 of that entry. #TS(TR) beyond the TSS. */
export function tssStack(cpu: X86Cpu, dpl: number, ist: number): number {
  const at = ist !== 0 ? TSS_IST1 + (ist - 1) * 8 : TSS_RSP0 + dpl * 8;
  if (at + 7 > cpu.e32[(ENV.TR + SEG_LIMIT) >> 2])
    cpu.raise(EXC.TS, (cpu.e32[(ENV.TR + SEG_SELECTOR) >> 2] & 0xfffc) | cpu.ext);
  const lin = cpu.envNumber(ENV.TR + SEG_BASE) + at;
  const high = cpu.readSys32(lin + 4);
  const rsp = cpu.linear.of(cpu.readSys32(lin), high);
  if (!cpu.linear.canonical(rsp)) cpu.raise(EXC.SS, cpu.ext);
  return rsp;
}
