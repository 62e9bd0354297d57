/**
 * The script helpers of x87, MMX and SSE by name.
 *
 * CPUID features implemented here: fpu, mmx, fxsr, sse, sse2, pni (SSE3: FISTTP, ADDSUB, HADD, HSUB, LDDQU, MOVDDUP,
 * MOVSLDUP, MOVSHDUP), ssse3, sse4.1 (all), sse4.2 (PCMPxSTRx, PCMPGTQ), aes, pclmulqdq; clflush and cmov as far as they
 * concern these files (FCMOV, FCOMI). FDP_EXCPTN_ONLY and "FCS and FDS deprecated" (leaf 7 EBX bits 6 and 13) describe
 * how the x87 pointers behave.
 */
import type { X86Cpu } from '../cpu.ts';
import { AVX_HELPERS } from './avx-helpers.ts';
import { FPU_STATE_HELPERS } from './fpu-state.ts';
import { FXSAVE_HELPERS } from './fxsave.ts';
import { SIMD_HELPERS } from './simd-helpers.ts';
import { x87Commit } from './x87-commit.ts';
import { XSAVE_HELPERS } from './xsave.ts';

export const FPU_HELPERS: Readonly<
  Record<string, (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number>
> = {
  x87_commit: x87Commit,
  ...FPU_STATE_HELPERS,
  ...FXSAVE_HELPERS,
  ...SIMD_HELPERS,
  ...XSAVE_HELPERS,
  ...AVX_HELPERS,
};
