/**
 * Block flags (HF_*) from CR0, CR4, EFLAGS, DR7 and the segment caches. CPL, x87 TOP and pending error, the MXCSR
 * bit and the interrupt shadow are kept as they are: they live in HFLAGS.
 */
import type { X86Cpu } from '../cpu.ts';
import { withSseFast } from '../fpu/mxcsr.ts';
import {
  CS,
  DS,
  ENV,
  ES,
  FLAG_AC,
  FLAG_IOPL,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  FS,
  GS,
  HF_ADDSEG,
  HF_ALIGN,
  HF_CPL,
  HF_CS32,
  HF_DEBUG,
  HF_EM,
  HF_FGCHECK,
  HF_FPU_ES,
  HF_FPU_UNMASKED,
  HF_INHIBIT_IRQ,
  HF_IOPL_OK,
  HF_MP,
  HF_OSFXSR,
  HF_OSXMMEXCPT,
  HF_PE,
  HF_RF,
  HF_SEGCHECK,
  HF_SS32,
  HF_SSE_FAST,
  HF_TF,
  HF_TOP,
  HF_TS,
  HF_VM,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import { CR0_AM, CR0_EM, CR0_MP, CR0_PE, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT } from './cr-bits.ts';
import { DESC_B, DESC_CODE, DESC_EXPAND_DOWN, DESC_P, DESC_RW } from './descriptor-bits.ts';

/** Bits of HFLAGS that are state of their own: the x87 and MXCSR ones are kept by the floating-point instructions. */
const KEPT = HF_CPL | HF_TOP | HF_FPU_ES | HF_FPU_UNMASKED | HF_SSE_FAST | HF_INHIBIT_IRQ;

/** HFLAGS with the floating-point bits (but TOP) rebuilt from FCW, FSW and MXCSR: after reset and state load. */
export function withFpuBits(cpu: X86Cpu, hflags: number): number {
  let h = hflags & ~(HF_FPU_ES | HF_FPU_UNMASKED);
  if ((cpu.e32[ENV.FPUC >> 2] & 0x3f) !== 0x3f) h |= HF_FPU_UNMASKED;
  if ((cpu.e32[ENV.FPUS >> 2] & 0x80) !== 0) h |= HF_FPU_ES;
  return withSseFast(h, cpu.e32[ENV.MXCSR >> 2]);
}

const fieldIndex = (seg: number, field: number): number => (ENV.SEG + seg * SEG_STRIDE + field) >> 2;

/** A data segment that needs no check: present, limit 4 GiB, readable and writable, not expand-down. */
function flatData(e: Uint32Array, seg: number): boolean {
  if (e[fieldIndex(seg, SEG_LIMIT)] !== 0xffffffff) return false;
  const f = e[fieldIndex(seg, SEG_FLAGS)];
  return (f & (DESC_P | DESC_CODE | DESC_EXPAND_DOWN | DESC_RW)) === (DESC_P | DESC_RW);
}

/** Hot path (interrupts, segment loads). */
export function computeHflags(cpu: X86Cpu): number {
  const e = cpu.e32;
  const cr0 = e[ENV.CR >> 2];
  const cr4 = e[(ENV.CR + 32) >> 2];
  const eflags = e[ENV.EFLAGS >> 2];
  let h = cpu.ei32[ENV.HFLAGS >> 2] & KEPT;

  if ((cr0 & CR0_PE) === 0) {
    h &= ~HF_CPL;
    h |= HF_IOPL_OK;
  } else {
    h |= HF_PE;
    if ((eflags & FLAG_VM) !== 0)
      h |= HF_VM | HF_CPL; // VM86: IN/OUT look at the bitmap at any IOPL, so never HF_IOPL_OK
    else if ((h & HF_CPL) <= (eflags & FLAG_IOPL) >> 12) h |= HF_IOPL_OK;
  }
  const csFlags = e[fieldIndex(CS, SEG_FLAGS)];
  if ((csFlags & DESC_B) !== 0) h |= HF_CS32;
  if ((e[fieldIndex(SS, SEG_FLAGS)] & DESC_B) !== 0) h |= HF_SS32;
  if ((e[fieldIndex(DS, SEG_BASE)] | e[fieldIndex(ES, SEG_BASE)] | e[fieldIndex(SS, SEG_BASE)]) !== 0) h |= HF_ADDSEG;
  const csFlat = e[fieldIndex(CS, SEG_LIMIT)] === 0xffffffff && (csFlags & (DESC_P | DESC_RW)) === (DESC_P | DESC_RW);
  if (!csFlat || !flatData(e, DS) || !flatData(e, ES) || !flatData(e, SS)) h |= HF_SEGCHECK;
  if (!flatData(e, FS) || !flatData(e, GS)) h |= HF_FGCHECK;

  if ((eflags & FLAG_TF) !== 0) h |= HF_TF;
  if ((eflags & FLAG_RF) !== 0) h |= HF_RF;
  if ((cr0 & CR0_TS) !== 0) h |= HF_TS;
  if ((cr0 & CR0_EM) !== 0) h |= HF_EM;
  if ((cr0 & CR0_MP) !== 0) h |= HF_MP;
  if ((cr4 & CR4_OSFXSR) !== 0) h |= HF_OSFXSR;
  if ((cr4 & CR4_OSXMMEXCPT) !== 0) h |= HF_OSXMMEXCPT;
  if ((cr0 & CR0_AM) !== 0 && (eflags & FLAG_AC) !== 0 && (h & HF_CPL) === 3) h |= HF_ALIGN;

  if ((e[ENV.FPUC >> 2] & 0x3f) !== 0x3f) h |= HF_FPU_UNMASKED;

  // Any enabled breakpoint: one instruction a block, so that data and I/O breakpoints trap right after theirs too.
  if ((e[(ENV.DR + 56) >> 2] & 0xff) !== 0) h |= HF_DEBUG;
  return h;
}
