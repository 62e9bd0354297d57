import type { RowSpec } from '../decode/row.ts';

export const FPU_ROWS: readonly RowSpec[] = [];
