/** Makes the core module's instance: function tables, the target's WebAssembly helpers, the callbacks into script. */
import { buildCoreModule, MMU } from '@emkit/codegen';
import type { Optimisations } from '@emkit/ir';
import { engine } from './engine.ts';
import type { WasmTable } from './engine.ts';
import { FIRST_FAULT_ENTRY } from './fault-entries.ts';
import type { TcgOptions } from './tcg-options.ts';
import type { Tcg } from './tcg.ts';

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
  /** Makes a TLB entry, see `page-walker.ts` of codegen; absent without page tables as data. */
  readonly fill?: (lo: number, hi: number, access: number, user: number) => number;
  readonly regions: WasmTable;
  /** Exports of the helper module. */
  readonly helpers: Record<string, unknown>;
}

export function instantiateCore(
  tcg: Tcg,
  { helperModule, profile }: TcgOptions,
  optimisations: Optimisations,
  callbacks: CoreCallbacks,
): Core {
  const { memory, target } = tcg;
  profile?.attach(tcg);
  const helpers = new engine.Instance(new engine.Module(helperModule), { env: { memory } }).exports;
  const names = target.wasmHelpers;
  const helperTable = new engine.Table({ element: 'anyfunc', initial: names.length });
  names.forEach((name, n) => {
    const fn = helpers[name];
    if (typeof fn !== 'function') throw new Error(`helper module has no function '${name}'`);
    helperTable.set(n, fn);
  });
  const regions = new engine.Table({ element: 'anyfunc', initial: FIRST_FAULT_ENTRY + MMU.ENTRY_COUNT });
  const { offsets, userMask, userValue, windowMask, pageWalk, faultEntry } = target;
  const regionLinks = optimisations['region-links'];
  const countsExits = profile !== undefined;
  const guest = { offsets, userMask, userValue, windowMask, pageWalk, faultEntry };
  const bytes = buildCoreModule({ ...guest, regionLinks, countsExits });
  const hooks = profile?.callbacks(callbacks) ?? callbacks;
  const { exports } = new engine.Instance(new engine.Module(bytes), {
    env: {
      memory,
      regions,
      helpers: helperTable,
      slow_load: hooks.slowLoad,
      slow_store: hooks.slowStore,
      raise: hooks.raise,
      callj: hooks.callj,
    },
  });
  const { run, interpret, fill } = exports as unknown as Core;
  const core = { run, interpret, regions, helpers, ...(fill === undefined ? {} : { fill }) };
  return profile?.core(core) ?? core;
}
