import type { HandlerTable } from '../translate/translator.ts';

export const FPU_HANDLERS: HandlerTable = {};
