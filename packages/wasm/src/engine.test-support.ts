/**
 * The host's WebAssembly engine as the tests use it: the oracle for what this package writes. Declared here because the
 * packages are compiled without DOM types.
 */
import { ModuleBuilder } from './module-builder.ts';
import type { FunctionBuilder } from './function-builder.ts';
import type { ValType } from './value-types.ts';

interface Engine {
  validate(bytes: Uint8Array): boolean;
  Module: { new (bytes: Uint8Array): object; customSections(module: object, name: string): ArrayBuffer[] };
  Instance: new (module: object, imports?: object) => { exports: Record<string, unknown> };
  Memory: new (limits: { initial: number; maximum?: number; shared?: boolean }) => { buffer: ArrayBuffer };
  Table: new (limits: { initial: number; element: string }) => { get(index: number): unknown };
  Global: new (type: { value: string; mutable: boolean }, value: unknown) => { value: unknown };
}

export const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;

export type WasmFunction = (...args: (number | bigint)[]) => number | bigint;

/** Compile and instantiate; a module that the engine refuses throws with its reason. */
export function instantiate(module: ModuleBuilder, imports: object = {}): Record<string, WasmFunction> {
  return new engine.Instance(new engine.Module(module.finish()), imports).exports as Record<string, WasmFunction>;
}

/** A module with one exported function `f`, one memory of a page and one table, and the function's instance. */
export function functionOf(
  params: readonly ValType[],
  results: readonly ValType[],
  body: (f: FunctionBuilder) => void,
): WasmFunction {
  const module = new ModuleBuilder();
  module.addMemory(1, 1);
  module.addTable(4, 8);
  const f = module.addFunction(module.addType(params, results));
  body(f);
  module.exportFunction('f', f.index);
  return instantiate(module)['f'] as WasmFunction;
}
