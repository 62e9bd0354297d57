/** Makes the core module's instance: function tables, the target's WebAssembly helpers, the callbacks into script. */
import { buildCoreModule } from '@emkit/codegen';
import { engine } from './engine.ts';
import type { WasmMemory, WasmTable } from './engine.ts';
import type { Target } from './target.ts';

export interface CoreCallbacks {
  /** Status for the interpreter: 0, or a LEAVE code. `kind`: ACCESS_KIND. */
  slowLoad(lo: number, hi: number, kind: number): number;
  slowStore(lo: number, hi: number, kind: number): number;
  raise(vector: number, error: number): number;
  callj(id: number, a: number, b: number, c: number, d: number): number;
}

export interface Core {
  run(): number;
  interpret(op: number): number;
  readonly regions: WasmTable;
  /** Exports of the helper module. */
  readonly helpers: Record<string, unknown>;
}

export function instantiateCore(
  memory: WasmMemory,
  target: Target,
  helperModule: Uint8Array,
  maxRegions: number,
  callbacks: CoreCallbacks,
): Core {
  const helpers = new engine.Instance(new engine.Module(helperModule), { env: { memory } }).exports;
  const names = target.wasmHelpers;
  const helperTable = new engine.Table({ element: 'anyfunc', initial: names.length });
  names.forEach((name, n) => {
    const fn = helpers[name];
    if (typeof fn !== 'function') throw new Error(`helper module has no function '${name}'`);
    helperTable.set(n, fn);
  });
  const regions = new engine.Table({ element: 'anyfunc', initial: maxRegions });
  const bytes = buildCoreModule({ offsets: target.offsets, userMask: target.userMask, userValue: target.userValue });
  const { exports } = new engine.Instance(new engine.Module(bytes), {
    env: {
      memory,
      regions,
      helpers: helperTable,
      slow_load: callbacks.slowLoad,
      slow_store: callbacks.slowStore,
      raise: callbacks.raise,
      callj: callbacks.callj,
    },
  });
  const { run, interpret } = exports as unknown as Core;
  return { run, interpret, regions, helpers };
}
