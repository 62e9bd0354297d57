/**
 * The ways into the page-fault handler, one for each set of block flags under which faults have shown: compiled from the target's IR and put
 * where the core module looks for them (see `fault-entry.ts` of codegen). They depend on nothing but those flags, and stay.
 */
import { compileRegion, ENTERED, ENV_BASE, EXIT_KIND, MMU } from '@emkit/codegen';
import { IrBuilder } from '@emkit/ir';
import type { Optimisations } from '@emkit/ir';
import { ModuleBuilder } from '@emkit/wasm';
import type { Core } from './core-instance.ts';
import { declareHelpers } from './declare-helpers.ts';
import { engine } from './engine.ts';
import type { WasmMemory, WasmTable } from './engine.ts';
import { executionsUntilHot, MAX_REGIONS } from './hot-tier.ts';
import type { Target } from './target.ts';
import type { TcgOptions } from './tcg-options.ts';
import type { Tcg } from './tcg.ts';

/** Faults that script delivers under the same flags before there is a way in: compiling costs as much as many of them. */
const FAULTS_BEFORE = 16;

/** Index in the table of functions of the first way in: behind the regions. */
export const FIRST_FAULT_ENTRY = MAX_REGIONS;

/** Null where script delivers all faults: without compiled code, and for who wants to see each. */
export function createFaultEntries(
  { memory, target }: Pick<Tcg, 'memory' | 'target'>,
  options: TcgOptions,
  optimisations: Optimisations,
  { regions, helpers }: Pick<Core, 'regions' | 'helpers'>,
): FaultEntries | null {
  if (!optimisations['page-faults'] || options.trace?.event !== undefined) return null;
  if (executionsUntilHot(options, optimisations) === 0) return null;
  return new FaultEntries({ memory, table: regions, target, helpers, optimisations });
}

export interface FaultEntriesOptions {
  readonly memory: WasmMemory;
  readonly table: WasmTable;
  readonly target: Target;
  readonly helpers: Record<string, unknown>;
  readonly optimisations: Optimisations;
}

export class FaultEntries {
  readonly #o: FaultEntriesOptions;
  readonly #i32: Int32Array;
  /** Faults seen by flags; from FAULTS_BEFORE on what could be done has been done. */
  readonly #seen = new Map<number, number>();
  /** Ways in that there are. */
  count = 0;

  constructor(options: FaultEntriesOptions) {
    this.#o = options;
    this.#i32 = new Int32Array(options.memory.buffer);
  }

  /** Script is about to deliver a page fault, under the flags that are in env now. */
  delivering(): void {
    const { target } = this.#o;
    if (this.#i32[MMU.FAULT >> 2] < 0 || target.faultEntry === undefined || this.count === MMU.ENTRY_COUNT) return;
    const flags = this.#i32[(ENV_BASE + target.offsets.flags) >> 2] & target.faultEntry.flags;
    const seen = (this.#seen.get(flags) ?? 0) + 1;
    if (seen > FAULTS_BEFORE) return;
    this.#seen.set(flags, seen);
    if (seen === FAULTS_BEFORE) this.#make(flags);
  }

  #make(flags: number): void {
    const { memory, table, target, helpers, optimisations } = this.#o;
    const index = FIRST_FAULT_ENTRY + this.count;
    const globals = target.globalsFor(flags);
    const b = new IrBuilder(globals, undefined, optimisations);
    b.reset();
    if (!target.faultEntry!.translate(b, flags, optimisations)) return;
    const blocks = [{ pc: 0, ir: b.finish(), successors: [], stopAt: -1 }];
    const mb = new ModuleBuilder();
    mb.importMemory('env', 'memory', 1, 65536);
    const imported = new Map<number, number>();
    declareHelpers(mb, blocks, (n) => target.wasmHelpers[n], imported);
    const fn = compileRegion(
      mb,
      { csBase: 0, blocks, entries: [0], user: false, group: optimisations['tlb-groups'], movable: false },
      {
        globals,
        offsets: target.offsets,
        optimisations,
        helper: (n) => imported.get(n)!,
        device: () => {
          throw new Error('the way into a fault handler calls no device');
        },
        exitRecord: (kind) => (kind === EXIT_KIND.INDIRECT ? ENTERED : 0),
      },
    );
    mb.exportFunction('enter', fn);
    const { exports } = new engine.Instance(new engine.Module(mb.finish()), { env: { memory }, helpers });
    table.set(index, exports.enter);
    const at = (MMU.ENTRIES + this.count * MMU.ENTRY_SIZE) >> 2;
    this.#i32[at] = flags;
    this.#i32[at + 1] = index;
    this.count++;
  }
}
