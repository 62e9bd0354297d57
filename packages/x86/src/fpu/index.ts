import type { HelperFactory } from '../helpers.ts';

export const FPU_HELPERS: Readonly<Record<string, HelperFactory>> = {};
