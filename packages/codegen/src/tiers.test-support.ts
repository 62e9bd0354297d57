/**
 * Runs one IR block in either tier over a memory of its own: cold through the generated interpreter, hot as a region of
 * one block.
 */
import { chooseOptimisations } from '@emkit/ir';
import type { GlobalDef, IrBlock } from '@emkit/ir';
import { ModuleBuilder } from '@emkit/wasm';
import { ColdEncoder } from './cold-encoder.ts';
import { buildCoreModule } from './cold-module.ts';
import { CODE, CTL, ENV_BASE, EXIT_KIND, HEADER, TLB } from './layout.ts';
import { MISS_SHIFT } from './mmu-layout.ts';
import type { RegionBlock } from './region-input.ts';
import { compileRegion } from './region.ts';

interface Engine {
  readonly Memory: new (d: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Table: new (d: { element: 'anyfunc'; initial: number }) => object;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    m: object,
    imports: object,
  ) => { readonly exports: Record<string, (...args: number[]) => number> };
}
const { Memory, Table, Module, Instance } = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;

const OFFSETS = { pc: 0xf00, flags: 0xf08, csBase: 0xf10 };
/** Guest page 0 is mapped to this host address for reads and writes, 0xffffffff_HIGH_PAGE to the host page after it; nothing else is mapped. */
export const GUEST_PAGE = 0x3f00000;
export const HIGH_PAGE = 0xffe01000;

export class TierRunner {
  readonly memory = new Memory({ initial: 1024, maximum: 1024 });
  readonly view = new DataView(this.memory.buffer);
  readonly u8 = new Uint8Array(this.memory.buffer);
  /** Of the region compiler. */
  optimisations = chooseOptimisations();
  readonly #globals: readonly GlobalDef[];
  readonly #interpret: (op: number) => number;
  readonly #encoder: ColdEncoder;
  readonly calls: string[] = [];
  /** Arguments of slow accesses. */
  readonly slow: number[][] = [];

  constructor(globals: readonly GlobalDef[]) {
    this.#globals = globals;
    this.#encoder = new ColdEncoder(this.memory.buffer, globals);
    const table = (): object => new Table({ element: 'anyfunc', initial: 8 });
    const core = new Instance(
      new Module(
        buildCoreModule({
          offsets: OFFSETS,
          userMask: 3,
          userValue: 3,
          windowMask: 0,
          regionLinks: true,
          countsExits: false,
        }),
      ),
      {
        env: {
          memory: this.memory,
          regions: table(),
          helpers: table(),
          slow_load: (...args: number[]) => (this.slow.push(args), 1),
          slow_store: (...args: number[]) => (this.slow.push(args), 1),
          raise: (vector: number) => (this.calls.push(`raise ${vector}`), 1),
          callj: (id: number, a: number) => (this.calls.push(`callj ${id} ${a}`), id + a),
        },
      },
    );
    this.#interpret = core.exports['interpret'];
    const i32 = new Int32Array(this.memory.buffer);
    i32.fill(-1, TLB.BASE >> 2, (TLB.BASE + TLB.MODES * TLB.MODE_SIZE) >> 2);
    this.map(0, GUEST_PAGE);
    this.map(HIGH_PAGE - 2 ** 32, GUEST_PAGE + 4096);
  }

  /** A TLB entry for reads and writes of a linear page. */
  map(page: number, host: number): void {
    const entry = TLB.BASE + ((page >>> 12) & (TLB.ENTRIES - 1)) * TLB.ENTRY_SIZE;
    for (const tag of [TLB.TAG_READ, TLB.TAG_WRITE]) this.view.setBigInt64(entry + tag, BigInt(page), true);
    this.view.setInt32(entry + TLB.ADDEND, (host - page) | 0, true);
  }

  get slowAccesses(): number {
    return this.slow.length;
  }
  get pc(): number {
    return this.view.getInt32(ENV_BASE + OFFSETS.pc, true);
  }
  get csBase(): number {
    return this.view.getInt32(ENV_BASE + OFFSETS.csBase, true);
  }

  address(global: number): number {
    return ENV_BASE + this.#globals[global].offset;
  }

  cold(block: IrBlock): void {
    this.view.setInt32(CTL.BUDGET, 1000, true);
    this.#encoder.encode(block, CODE.BASE, 0x1000, 0, 0, () => false);
    this.#interpret(CODE.BASE + HEADER.SIZE);
  }

  /** Returns the kind of exit record that the region left by. */
  hot(block: IrBlock): number {
    return this.region(0, [{ pc: 0x1000, ir: block, successors: [-1], stopAt: -1 }]);
  }

  region(csBase: number, blocks: readonly RegionBlock[], entries: readonly number[] = [0], entry = 0): number {
    this.view.setInt32(CTL.BUDGET, 1000, true);
    const kinds: number[] = [];
    const mb = new ModuleBuilder();
    mb.importMemory('env', 'memory', 1, 65536);
    const fn = compileRegion(
      mb,
      { csBase, blocks, entries, user: false, group: this.optimisations['tlb-groups'], movable: false },
      {
        globals: this.#globals,
        offsets: OFFSETS,
        helper: () => 0,
        device: () => 0,
        exitRecord: (kind) => kinds.push(kind) - 1,
        optimisations: this.optimisations,
      },
    );
    mb.exportFunction('r', fn);
    const { exports } = new Instance(new Module(mb.finish()), { env: { memory: this.memory } });
    return kinds[Number(BigInt.asUintN(MISS_SHIFT, exports['r'](entry) as unknown as bigint))];
  }
}

export { EXIT_KIND };
