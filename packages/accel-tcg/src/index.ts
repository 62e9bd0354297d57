export { EXIT, Tcg } from './tcg.ts';
export { HostMemoryError, MAX_RAM_BYTES } from './guest-memory.ts';
export type { ExitReason, TcgOptions } from './tcg.ts';
export type { TcgTrace } from './trace.ts';
export type { WasmMemory } from './engine.ts';
export type { DebugWatch } from './debug-points.ts';
export type { Target, TargetHost } from './target.ts';
