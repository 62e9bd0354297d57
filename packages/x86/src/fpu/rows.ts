/**
 * Opcode rows of x87, MMX, SSE to SSE4.2, AES, PCLMULQDQ, SHA, AVX, AVX2, FMA and F16C, in the notation of decode/row.ts.
 * SDM Vol. 2D Appendix A.3 (two- and three-byte maps) and A.5 (x87 escape opcodes).
 */
import type { RowSpec } from '../decode/row.ts';
import { AVX_ROWS } from './rows-avx.ts';
import { SIMD_ROWS } from './rows-simd.ts';
import { X87_ROWS } from './rows-x87.ts';

export const FPU_ROWS: readonly RowSpec[] = [...X87_ROWS, ...SIMD_ROWS, ...AVX_ROWS];
