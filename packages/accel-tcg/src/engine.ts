/**
 * The engine's WebAssembly JavaScript interface, as far as this package uses it. Declared here because packages load
 * neither DOM nor Node types; every browser and Node have the global.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
export interface WasmTable {
  readonly length: number;
  set(index: number, value: unknown): void;
}
export interface WasmInstance {
  readonly exports: Record<string, unknown>;
}
/** Compiled, without state. */
export type WasmModule = object;
interface EngineApi {
  readonly Memory: new (descriptor: { initial: number; maximum?: number }) => WasmMemory;
  readonly Table: new (descriptor: { element: 'anyfunc'; initial: number }) => WasmTable;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (module: WasmModule, imports: object) => WasmInstance;
}

export const engine = (globalThis as unknown as { readonly WebAssembly: EngineApi }).WebAssembly;

const { performance } = globalThis as unknown as { readonly performance: { now(): number } };
/** Monotonic ms with a fraction. */
export const nowMs = (): number => performance.now();
