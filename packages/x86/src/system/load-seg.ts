/**
 * MOV, POP and LxS to ES, SS, DS, FS, GS. SDM Vol. 2B "MOV", Vol. 3A §5.6 "Privilege Level Checking When Accessing
 * Data Segments", §5.7 "... Loading the SS Register". Checks come before any change.
 */
import type { X86Cpu } from '../cpu.ts';
import { CS, ENV, EXC, HF_INHIBIT_IRQ, HF_PE, HF_VM, SS } from '../state.ts';
import { DESC_CODE, DESC_CONFORMING, DESC_DPL_SHIFT, DESC_P, DESC_RW, DESC_S } from './descriptor-bits.ts';
import { fetchDescriptor, loadCache, loadNull, loadReal, loadVm86, markAccessed } from './descriptor.ts';

/** Or'ed to the segment index: LSS, which has no interrupt shadow. */
export const LOAD_SEG_NO_SHADOW = 8;
/** Value of ENV.INHIBIT_IRQ under HF_INHIBIT_IRQ: which instruction began the shadow. */
export const SHADOW_STI = 1;
export const SHADOW_MOV_SS = 2;

/** `seg`: index ES..GS, for SS or'ed with LOAD_SEG_NO_SHADOW by LSS. */
export function loadSeg(cpu: X86Cpu, seg: number, selector: number): number {
  const shadow = seg === SS;
  seg &= 7;
  selector &= 0xffff;
  const h = cpu.hflags;
  if (seg === CS || seg > 5) cpu.raise(EXC.UD);
  if ((h & HF_PE) === 0) loadReal(cpu, seg, selector);
  else if ((h & HF_VM) !== 0) loadVm86(cpu, seg, selector);
  else if (seg === SS) loadStackSegment(cpu, selector);
  else loadDataSegment(cpu, seg, selector);
  if (shadow) {
    cpu.hflags |= HF_INHIBIT_IRQ;
    cpu.e32[ENV.INHIBIT_IRQ >> 2] = SHADOW_MOV_SS;
  }
  cpu.updateHflags();
  return 0;
}

function loadStackSegment(cpu: X86Cpu, selector: number): void {
  const error = selector & 0xfffc;
  const { cpl } = cpu;
  if (error === 0) cpu.raise(EXC.GP, 0);
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  const hi = cpu.descHi;
  if ((selector & 3) !== cpl || ((hi >>> DESC_DPL_SHIFT) & 3) !== cpl) cpu.raise(EXC.GP, error);
  if ((hi & (DESC_S | DESC_CODE | DESC_RW)) !== (DESC_S | DESC_RW)) cpu.raise(EXC.GP, error);
  if ((hi & DESC_P) === 0) cpu.raise(EXC.SS, error);
  markAccessed(cpu);
  loadCache(cpu, SS, selector);
}

/** Protected mode, not SS. Also used by task switches for their checks' shape; vector of rights errors is #GP. */
export function loadDataSegment(cpu: X86Cpu, seg: number, selector: number): void {
  const error = selector & 0xfffc;
  if (error === 0) {
    loadNull(cpu, seg, selector);
    return;
  }
  if (!fetchDescriptor(cpu, selector)) cpu.raise(EXC.GP, error);
  if (!dataSegmentAllowed(cpu.descHi, selector & 3, cpu.cpl)) cpu.raise(EXC.GP, error);
  if ((cpu.descHi & DESC_P) === 0) cpu.raise(EXC.NP, error);
  markAccessed(cpu);
  loadCache(cpu, seg, selector);
}

/** Data or readable code, and unless conforming code: DPL >= max(CPL, RPL). */
export function dataSegmentAllowed(hi: number, rpl: number, cpl: number): boolean {
  if ((hi & DESC_S) === 0 || (hi & (DESC_CODE | DESC_RW)) === DESC_CODE) return false;
  if ((hi & (DESC_CODE | DESC_CONFORMING)) === (DESC_CODE | DESC_CONFORMING)) return true;
  const dpl = (hi >>> DESC_DPL_SHIFT) & 3;
  return rpl <= dpl && cpl <= dpl;
}
