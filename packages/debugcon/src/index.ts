export { DebugExit, ISA_DEBUG_EXIT } from './debug-exit.ts';
export { Debugcon, ISA_DEBUGCON } from './debugcon.ts';
export type { DebugSink } from './debugcon.ts';
export { MAX_EXIT_SIZE } from './limits.ts';
