/**
 * One instance of the module for tests. The engine is declared here because packages compile without the DOM library.
 */
import { buildSoftFloatModule } from './module.ts';

interface Engine {
  readonly Memory: new (d: { initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: Readonly<Record<string, (...args: number[]) => number>> };
}

export interface SoftFloat {
  readonly names: readonly string[];
  readonly bytes: Uint8Array;
  readonly call: (name: string, ...args: number[]) => number;
}

/** A fresh instance with one page of memory. */
export function instantiate(): SoftFloat {
  const { Memory, Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;
  const memory = new Memory({ initial: 1 });
  const functions = new Instance(new Module(buildSoftFloatModule()), { env: { memory } }).exports;
  return {
    names: Object.keys(functions),
    bytes: new Uint8Array(memory.buffer),
    call: (name, ...args) => {
      const fn = functions[name];
      if (fn === undefined) throw new Error(`no export ${name}`);
      return fn(...args);
    },
  };
}
