/**
 * MOV, POP and LxS to ES, SS, DS, FS, GS. SDM Vol. 2B "MOV", Vol. 3A §5.6 "Privilege Level Checking When Accessing
 * Data Segments", §5.7 "... Loading the SS Register". Checks come before any change.
 * The bases of FS and GS get 32 bits of a descriptor, and 0 above. A null selector clears them, as Intel's processors do.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  CS,
  ENV,
  EXC,
  HF_CPL,
  HF_INHIBIT_IRQ,
  HF_PE,
  HF_VM,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import {
  DESC_A,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL,
  DESC_DPL_SHIFT,
  DESC_G,
  DESC_KEPT,
  DESC_P,
  DESC_RW,
  DESC_S,
} from './descriptor-bits.ts';
import { fetchDescriptor, gdtWord, loadCache, loadNull, loadReal, loadVm86, markAccessed } from './descriptor.ts';
import { withSegmentBits } from './hflags.ts';

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
  if ((h & (HF_PE | HF_VM)) === HF_PE && seg !== SS && loadFromGdt(cpu, seg, selector, h)) return 0;
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

/**
 * The common case, without the generic descriptor reads: a data segment register (CS is #UD, elsewhere) from a present,
 * accessed descriptor in an aligned GDT in plain RAM, or null. False, with nothing changed: not that case.
 */
function loadFromGdt(cpu: X86Cpu, seg: number, selector: number, h: number): boolean {
  if (seg === CS || seg > 5) return false;
  const e = cpu.ei32;
  const at = (ENV.SEG + seg * SEG_STRIDE) >> 2;
  const oldFlags = e[at + (SEG_FLAGS >> 2)];
  const oldLimit = e[at + (SEG_LIMIT >> 2)];
  const oldBase = e[at + (SEG_BASE >> 2)];
  let flags = 0;
  let limit = 0;
  let base = 0;
  if ((selector & 0xfffc) !== 0) {
    const p = gdtWord(cpu, selector);
    if (p < 0) return false;
    const lo = cpu.i32[p];
    const hi = cpu.i32[p + 1];
    if ((hi & (DESC_P | DESC_A)) !== (DESC_P | DESC_A) || !dataSegmentAllowed(hi, selector & 3, h & HF_CPL))
      return false;
    flags = hi & DESC_KEPT;
    const raw = (lo & 0xffff) | (hi & 0xf0000);
    limit = (hi & DESC_G) !== 0 ? (raw << 12) | 0xfff : raw;
    base = (lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff000000);
  }
  e[at + (SEG_SELECTOR >> 2)] = selector;
  e[at + (SEG_FLAGS >> 2)] = flags;
  e[at + (SEG_BASE >> 2)] = base;
  e[at + (SEG_BASE >> 2) + 1] = 0;
  e[at + (SEG_LIMIT >> 2)] = limit;
  // Privilege level is not among what block flags depend on: user and kernel data segments mostly look alike.
  if (limit !== oldLimit || base !== oldBase || ((flags ^ oldFlags) & ~DESC_DPL) !== 0)
    e[ENV.HFLAGS >> 2] = withSegmentBits(cpu, h);
  return true;
}

function loadStackSegment(cpu: X86Cpu, selector: number): void {
  const error = selector & 0xfffc;
  const { cpl } = cpu;
  if (error === 0) {
    // 64-bit code has no use for SS but its privilege: null will do inside. SDM Vol. 2B "MOV".
    if (!cpu.code64 || cpl === 3 || (selector & 3) !== cpl) cpu.raise(EXC.GP, 0);
    cpu.setSeg(SS, selector, 0, 0, cpl << DESC_DPL_SHIFT);
    return;
  }
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
