/** All handlers of x87 and SIMD instructions by name. */
import type { HandlerTable } from '../translate/translator.ts';
import { AVX_ACROSS_HANDLERS } from './avx-across.ts';
import { AVX_CONVERT_HANDLERS } from './avx-convert.ts';
import { AVX_FLOAT_HANDLERS } from './avx-float.ts';
import { AVX_HELPED_HANDLERS } from './avx-helped.ts';
import { AVX_INTEGER_HANDLERS } from './avx-integer.ts';
import { AVX_MASKED_HANDLERS } from './avx-masked.ts';
import { AVX_MOVE_HANDLERS } from './avx-move.ts';
import { EXTENDED_STATE_HANDLERS } from './extended-state.ts';
import { SIMD_CONVERT_HANDLERS } from './simd-convert.ts';
import { SIMD_FLOAT_HANDLERS } from './simd-float.ts';
import { SIMD_HELPED_HANDLERS } from './simd-helped.ts';
import { SIMD_INTEGER_HANDLERS } from './simd-integer.ts';
import { SIMD_MOVE_HANDLERS } from './simd-move.ts';
import { X87_ARITHMETIC_HANDLERS } from './x87-arithmetic.ts';
import { X87_CONTROL_HANDLERS } from './x87-control.ts';
import { X87_TRANSFER_HANDLERS } from './x87-transfer.ts';

export const FPU_HANDLERS: HandlerTable = {
  ...X87_ARITHMETIC_HANDLERS,
  ...X87_TRANSFER_HANDLERS,
  ...X87_CONTROL_HANDLERS,
  ...SIMD_INTEGER_HANDLERS,
  ...SIMD_MOVE_HANDLERS,
  ...SIMD_FLOAT_HANDLERS,
  ...SIMD_CONVERT_HANDLERS,
  ...SIMD_HELPED_HANDLERS,
  ...EXTENDED_STATE_HANDLERS,
  ...AVX_INTEGER_HANDLERS,
  ...AVX_ACROSS_HANDLERS,
  ...AVX_MOVE_HANDLERS,
  ...AVX_MASKED_HANDLERS,
  ...AVX_FLOAT_HANDLERS,
  ...AVX_CONVERT_HANDLERS,
  ...AVX_HELPED_HANDLERS,
};
