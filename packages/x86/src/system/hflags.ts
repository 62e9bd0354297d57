/**
 * Block flags (HF_*) from CR0, CR4, EFLAGS, DR7 and the segment caches. CPL, x87 TOP and pending error, the MXCSR
 * bit and the interrupt shadow are kept as they are: they live in HFLAGS.
 * Long mode: EFER.LMA is HF_LMA; CS.L under it is HF_CS64, for which the other segment bits are clear, since 64-bit code
 * neither checks nor adds segments but FS and GS. SDM Vol. 3A §3.2.4 "Segmentation in IA-32e Mode".
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
  HF_AVX,
  HF_CPL,
  HF_CS32,
  HF_CS64,
  HF_DEBUG,
  HF_EM,
  HF_FGCHECK,
  HF_FPU_ES,
  HF_FPU_UNMASKED,
  HF_INHIBIT_IRQ,
  HF_IOPL_OK,
  HF_LA57,
  HF_LMA,
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
import {
  CR0_AM,
  CR0_EM,
  CR0_MP,
  CR0_PE,
  CR0_TS,
  CR4_OSFXSR,
  CR4_LA57,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  EFER_LMA,
  XCR0_AVX,
} from './cr-bits.ts';
import { DESC_B, DESC_CODE, DESC_EXPAND_DOWN, DESC_L, DESC_P, DESC_RW } from './descriptor-bits.ts';

/** Bits of HFLAGS that are state of their own: the x87 and MXCSR ones are kept by the floating-point instructions. */
const KEPT = HF_CPL | HF_TOP | HF_FPU_ES | HF_FPU_UNMASKED | HF_SSE_FAST | HF_INHIBIT_IRQ;

/** HFLAGS with the floating-point bits (but TOP) rebuilt from FCW, FSW and MXCSR: after reset and state load. */
export function withFpuBits(cpu: X86Cpu, hflags: number): number {
  let h = hflags & ~(HF_FPU_ES | HF_FPU_UNMASKED);
  if ((cpu.e32[ENV.FPUC >> 2] & 0x3f) !== 0x3f) h |= HF_FPU_UNMASKED;
  if ((cpu.e32[ENV.FPUS >> 2] & 0x80) !== 0) h |= HF_FPU_ES;
  return withSseFast(h, cpu.e32[ENV.MXCSR >> 2]);
}

/** Word of env that holds a field of a segment register. */
const word = (seg: number, field: number): number => (ENV.SEG + seg * SEG_STRIDE + field) >> 2;
const FLAGS_OF = SEG_FLAGS >> 2;
const BASE_OF = SEG_BASE >> 2;
const LIMIT_OF = SEG_LIMIT >> 2;
const ES_AT = word(ES, 0);
const CS_AT = word(CS, 0);
const SS_AT = word(SS, 0);
const DS_AT = word(DS, 0);
const FS_AT = word(FS, 0);
const GS_AT = word(GS, 0);

/** Bits that depend on segment registers alone. */
export const SEGMENT_BITS = HF_CS32 | HF_CS64 | HF_SS32 | HF_ADDSEG | HF_SEGCHECK | HF_FGCHECK;
const DATA_RIGHTS = DESC_P | DESC_CODE | DESC_EXPAND_DOWN | DESC_RW;

/** A data segment that needs no check: present, limit 4 GiB, readable and writable, not expand-down. */
const flatData = (e: Int32Array, at: number): boolean =>
  e[at + LIMIT_OF] === -1 && (e[at + FLAGS_OF] & DATA_RIGHTS) === (DESC_P | DESC_RW);

function segmentBits(e: Int32Array, longMode: number): number {
  let h = 0;
  const csFlags = e[CS_AT + FLAGS_OF];
  if (longMode !== 0 && (csFlags & DESC_L) !== 0) return HF_CS64;
  if ((csFlags & DESC_B) !== 0) h |= HF_CS32;
  if ((e[SS_AT + FLAGS_OF] & DESC_B) !== 0) h |= HF_SS32;
  if ((e[DS_AT + BASE_OF] | e[ES_AT + BASE_OF] | e[SS_AT + BASE_OF]) !== 0) h |= HF_ADDSEG;
  const csFlat = e[CS_AT + LIMIT_OF] === -1 && (csFlags & (DESC_P | DESC_RW)) === (DESC_P | DESC_RW);
  if (!csFlat || !flatData(e, DS_AT) || !flatData(e, ES_AT) || !flatData(e, SS_AT)) h |= HF_SEGCHECK;
  if (!flatData(e, FS_AT) || !flatData(e, GS_AT)) h |= HF_FGCHECK;
  return h;
}

/** HFLAGS after loads of segment registers that changed nothing else. Hot path. */
export function withSegmentBits(cpu: X86Cpu, hflags: number): number {
  return (hflags & ~SEGMENT_BITS) | segmentBits(cpu.ei32, hflags & HF_LMA);
}

/** Bits that follow from EFLAGS and CPL. */
export const PRIVILEGE_BITS = HF_CPL | HF_IOPL_OK | HF_TF | HF_RF | HF_ALIGN;

/** Those bits in protected mode, not virtual-8086. Hot path. */
export function privilegeBits(cpu: X86Cpu, cpl: number, eflags: number): number {
  let h = cpl;
  if (cpl <= (eflags & FLAG_IOPL) >> 12) h |= HF_IOPL_OK;
  if ((eflags & (FLAG_TF | FLAG_RF | FLAG_AC)) !== 0) {
    if ((eflags & FLAG_TF) !== 0) h |= HF_TF;
    if ((eflags & FLAG_RF) !== 0) h |= HF_RF;
    if ((eflags & FLAG_AC) !== 0 && cpl === 3 && (cpu.ei32[ENV.CR >> 2] & CR0_AM) !== 0) h |= HF_ALIGN;
  }
  return h;
}

/** All of it: changes of mode. */
export function computeHflags(cpu: X86Cpu): number {
  const e = cpu.ei32;
  const cr0 = e[ENV.CR >> 2];
  const cr4 = e[(ENV.CR + 32) >> 2];
  const eflags = e[ENV.EFLAGS >> 2];
  let h = e[ENV.HFLAGS >> 2] & KEPT;

  if ((cr0 & CR0_PE) === 0) {
    h &= ~HF_CPL;
    h |= HF_IOPL_OK;
  } else {
    h |= HF_PE;
    if ((eflags & FLAG_VM) !== 0)
      h |= HF_VM | HF_CPL; // VM86: IN/OUT look at the bitmap at any IOPL, so never HF_IOPL_OK
    else if ((h & HF_CPL) <= (eflags & FLAG_IOPL) >> 12) h |= HF_IOPL_OK;
  }
  const longMode = (e[ENV.MSR_EFER >> 2] & EFER_LMA) !== 0 ? HF_LMA : 0;
  h |= longMode | segmentBits(e, longMode);
  if (longMode !== 0 && (cr4 & CR4_LA57) !== 0) h |= HF_LA57;

  if ((eflags & FLAG_TF) !== 0) h |= HF_TF;
  if ((eflags & FLAG_RF) !== 0) h |= HF_RF;
  if ((cr0 & CR0_TS) !== 0) h |= HF_TS;
  if ((cr0 & CR0_EM) !== 0) h |= HF_EM;
  if ((cr0 & CR0_MP) !== 0) h |= HF_MP;
  if ((cr4 & CR4_OSFXSR) !== 0) h |= HF_OSFXSR;
  if ((cr4 & CR4_OSXMMEXCPT) !== 0) h |= HF_OSXMMEXCPT;
  if ((cr4 & CR4_OSXSAVE) !== 0 && (e[ENV.XCR0 >> 2] & XCR0_AVX) === XCR0_AVX) h |= HF_AVX;
  if ((cr0 & CR0_AM) !== 0 && (eflags & FLAG_AC) !== 0 && (h & HF_CPL) === 3) h |= HF_ALIGN;

  if ((e[ENV.FPUC >> 2] & 0x3f) !== 0x3f) h |= HF_FPU_UNMASKED;

  // Any enabled breakpoint: one instruction a block, so that data and I/O breakpoints trap right after theirs too.
  if ((e[(ENV.DR + 56) >> 2] & 0xff) !== 0) h |= HF_DEBUG;
  return h;
}
