export { F32, F64, I32, I64, NONE, TYPE_NAMES, V128 } from './types.ts';
export type { GlobalDef, IrType, Value } from './types.ts';
export {
  EXIT_ALWAYS,
  EXIT_LOOKUP,
  EXIT_WORK,
  HOT_ONLY,
  JUMP_CALL,
  JUMP_PLAIN,
  JUMP_RET,
  MEM_RMW,
  MEM_STACK,
  MEM_SUPERVISOR,
  MEM_WIDE,
  OPS,
  opId,
  opNamed,
} from './ops.ts';
export type { Effect, OpDef } from './ops.ts';
export { IrBlock } from './block.ts';
export { IrBuilder } from './builder.ts';
export type { LoadKind, StoreKind } from './builder-tables.ts';
export { verify } from './verify.ts';
export { parse, print } from './text.ts';
export { chooseOptimisations, OPTIMISATION_NAMES, OPTIMISATIONS } from './optimisations.ts';
export type { OptimisationChoice, OptimisationName, Optimisations } from './optimisations.ts';
export { createTranslateResult, MOVABLE_REACH } from './frontend.ts';
export type { CodeSource, TranslateRequest, TranslateResult } from './frontend.ts';
