/**
 * The hot tier: compiles a region (a set of translation blocks joined by branches, calls and returns) to one
 * WebAssembly function `(i32) -> i64`: argument the number of the entry, result the way out that it took (`region-exit.ts`).
 *
 * Shape: guest registers and flags that the region uses live in locals, loaded at entry; every way out branches to one
 * common exit that writes the changed ones back. Nothing is called on a memory access: a TLB miss leaves through the
 * exit with the state of the instruction's start. One TLB check covers all accesses of a block with the same base
 * value and constant offsets. The budget is counted down at back edges and joins only; that there is some when a region is
 * entered, its caller has seen to.
 */
import { EXIT_ALWAYS, EXIT_LOOKUP, EXIT_WORK, OPS } from '@emkit/ir';
import { OP, VALTYPE } from '@emkit/wasm';
import type { FunctionBuilder, Label, ModuleBuilder, ValType } from '@emkit/wasm';
import { analyseFlow } from './flow.ts';
import type { Flow } from './flow.ts';
import { PLACE_TYPE, pushPlace } from './code-place.ts';
import { CTL, ENV_BASE, EXIT_KIND, TLB } from './layout.ts';
import { slotLoad, slotStore } from './memory-ops.ts';
import { RegionBlockEmitter } from './region-block.ts';
import { pushExit, REGION_PARAMS, REGION_RESULTS } from './region-exit.ts';
import type { RegionInput, RegionOptions } from './region-input.ts';

const VALTYPES: readonly ValType[] = [VALTYPE.i32, VALTYPE.i64, VALTYPE.f32, VALTYPE.f64, VALTYPE.v128];
/** Kind of the exit record for each kind of `exit`. */
const EXIT_OF: Readonly<Record<number, number>> = {
  [EXIT_LOOKUP]: EXIT_KIND.INDIRECT,
  [EXIT_WORK]: EXIT_KIND.WORK,
  [EXIT_ALWAYS]: EXIT_KIND.ALWAYS,
};
/** The function's argument. */
const ENTRY = 0;
const IS_GET = Uint8Array.from(OPS, (o) => (o.effect === 'get' ? 1 : 0));
const IS_SET = Uint8Array.from(OPS, (o) => (o.effect === 'set' ? 1 : 0));

/** Adds the region's function to the module and returns its index. */
export function compileRegion(mb: ModuleBuilder, region: RegionInput, options: RegionOptions): number {
  const f = mb.addFunction(mb.addType(REGION_PARAMS, REGION_RESULTS));
  new RegionEmitter(f, region, options).emit();
  return f.index;
}

class RegionEmitter {
  readonly #f: FunctionBuilder;
  readonly #region: RegionInput;
  readonly #options: RegionOptions;
  readonly #flow: Flow;
  readonly #budget: number;
  /** CTL.PLACE; in a region that is not movable it has no value. */
  readonly #place: number;
  /** Local of each global, -1 when unused; and whether it is written. */
  readonly #local: Int32Array;
  readonly #written: Uint8Array;
  readonly #blocks: RegionBlockEmitter;
  readonly #loopLabel: Label[] = [];
  readonly #mergeLabel: Label[] = [];
  /** Instructions run since the budget was last counted, on entry to each block. */
  readonly #pending: Int32Array;
  #exit!: Label;

  constructor(f: FunctionBuilder, region: RegionInput, options: RegionOptions) {
    this.#f = f;
    this.#region = region;
    this.#options = options;
    const { blocks } = region;
    this.#flow = analyseFlow(
      blocks.length,
      blocks.map((b) => b.successors),
      region.entries,
    );
    this.#local = new Int32Array(options.globals.length).fill(-1);
    this.#written = new Uint8Array(options.globals.length);
    this.#pending = new Int32Array(blocks.length);
    this.#budget = f.addLocal(VALTYPE.i32);
    this.#place = f.addLocal(PLACE_TYPE);
    this.#scanGlobals();
    this.#blocks = new RegionBlockEmitter(
      f,
      this.#local,
      options,
      region.user ? TLB.BASE + TLB.MODE_SIZE : TLB.BASE,
      region.group,
    );
  }

  #scanGlobals(): void {
    const { globals } = this.#options;
    for (const n of this.#flow.order) {
      if (n === this.#region.blocks.length) continue;
      const block = this.#region.blocks[n];
      const end = block.stopAt >= 0 ? block.stopAt : block.ir.count;
      for (let i = 0; i < end; i++) {
        const o = block.ir.op[i];
        if (IS_GET[o] === 0 && IS_SET[o] === 0) continue;
        const g = block.ir.imm[i];
        if (this.#local[g] < 0) this.#local[g] = this.#f.addLocal(VALTYPES[globals[g].type]);
        if (IS_SET[o] !== 0) this.#written[g] = 1;
      }
    }
  }

  emit(): void {
    const f = this.#f;
    const { globals } = this.#options;
    f.i32Const(0).load(OP.i32_load, 2, CTL.BUDGET).set(this.#budget);
    if (this.#region.movable) pushPlace(f).set(this.#place);
    globals.forEach((g, n) => {
      if (this.#local[n] < 0) return;
      f.i32Const(0);
      slotLoad(f, g.type, ENV_BASE + g.offset);
      f.set(this.#local[n]);
    });
    this.#exit = f.block(VALTYPE.i64);
    this.#blocks.exit = this.#exit;
    this.#blocks.budget = this.#budget;
    this.#blocks.place = this.#place;
    this.#tree(this.#flow.root);
    f.unreachable();
    f.end();
    globals.forEach((g, n) => {
      if (this.#written[n] === 0) return;
      f.i32Const(0).get(this.#local[n]);
      slotStore(f, g.type, ENV_BASE + g.offset);
    });
    f.i32Const(0).get(this.#budget).store(OP.i32_store, 2, CTL.BUDGET);
  }

  /** Code for block n and everything it dominates. */
  #tree(n: number): void {
    if (this.#flow.isLoop[n] !== 0) {
      this.#loopLabel[n] = this.#f.loop();
      this.#within(n, this.#flow.mergeChildren[n].length - 1);
      this.#f.end();
    } else this.#within(n, this.#flow.mergeChildren[n].length - 1);
  }

  /** Block n inside the labels of its merge children 0..k (the last one in order is the outermost label). */
  #within(n: number, k: number): void {
    if (k < 0) {
      if (n === this.#region.blocks.length) this.#choose();
      else this.#block(n);
      return;
    }
    const child = this.#flow.mergeChildren[n][k];
    this.#mergeLabel[child] = this.#f.block();
    this.#within(n, k - 1);
    this.#f.end();
    this.#tree(child);
  }

  /** The root of several entries. */
  #choose(): void {
    const labels = this.#flow.entries.map((entry) => this.#mergeLabel[entry]);
    this.#f.get(ENTRY).brTable(labels, labels[0]);
  }

  #block(n: number): void {
    const f = this.#f;
    const block = this.#region.blocks[n];
    const successors = this.#flow.successors[n];
    const byRoot = this.#flow.byRoot[n];
    const kind = this.#blocks.body(block, this.#pending[n]);
    const after = this.#blocks.uncounted;
    // what a call of a device has counted is not counted again
    const called = after < block.ir.insnCount;
    // Taken now: emitting a successor inline reuses the block emitter.
    const targets = [this.#blocks.target(0), this.#blocks.target(1)] as const;
    switch (kind) {
      case 'stopped':
        return;
      case 'jmp':
        this.#branch(n, 0, targets[0], after, called);
        return;
      case 'br': {
        // condition on the stack
        f.if_();
        this.#branch(n, 0, targets[0], after);
        f.else_();
        this.#branch(n, 1, targets[1], after);
        f.end();
        return;
      }
      case 'exit': {
        // pc and flags are in env, or among the registers that the common exit writes
        const kind = block.ir.imm[block.ir.count - 1];
        this.#pushExit(EXIT_OF[kind], 0, after).br(this.#exit);
        return;
      }
      default: {
        // indirect: pc in a local; compare with the known targets
        const wide = kind === 'indirect64';
        const pc = wide ? this.#blocks.indirectPc64 : this.#blocks.indirectPc;
        const known = successors.some((s, k) => s >= 0 || byRoot[k] >= 0);
        let compared = pc;
        if (known && this.#region.movable) {
          compared = this.#blocks.translatedPc;
          f.get(pc).get(this.#place).op(OP.i64_sub).set(compared);
        }
        for (let k = 0; k < successors.length; k++) {
          const s = byRoot[k] >= 0 ? this.#flow.entries[byRoot[k]] : successors[k];
          if (s < 0) continue;
          f.get(compared);
          if (wide) f.i64ConstParts(this.#region.blocks[s].pc, this.#region.csBase).op(OP.i64_eq);
          else f.i32Const(this.#region.blocks[s].pc).op(OP.i32_eq);
          f.if_();
          this.#branch(n, k, this.#region.blocks[s].pc, after);
          f.end();
        }
        const { offsets } = this.#options;
        if (wide) {
          f.i32Const(0).get(pc).i64Const(32).op(OP.i64_shr_u).op(OP.i32_wrap_i64);
          f.store(OP.i32_store, 2, ENV_BASE + offsets.csBase);
        }
        f.i32Const(0).get(pc);
        if (wide) f.op(OP.i32_wrap_i64);
        f.store(OP.i32_store, 2, ENV_BASE + offsets.pc);
        this.#pushExit(EXIT_KIND.INDIRECT, 0, after).br(this.#exit);
      }
    }
  }

  #pushExit(kind: number, pc: number, insns: number): FunctionBuilder {
    return pushExit(this.#f, { record: this.#options.exitRecord(kind, pc, insns), kind, insns });
  }

  /** Transfer to the successor in a slot: inline, by label, around a loop, by way of the root, or out of the region. */
  #branch(from: number, slot: number, pc: number, insns: number, called = false): void {
    const f = this.#f;
    const to = this.#flow.successors[from][slot] ?? -1;
    const entry = this.#flow.byRoot[from][slot] ?? -1;
    if (to < 0 && entry < 0) {
      this.#pushExit(EXIT_KIND.JUMP, pc, insns).br(this.#exit);
      return;
    }
    const back = entry >= 0 || this.#flow.rpo[to] <= this.#flow.rpo[from];
    if (called && !back) {
      // a device may have asked for the accelerator's attention
      this.#pushExit(EXIT_KIND.JUMP, pc, insns);
      f.get(this.#budget).i32Const(0).op(OP.i32_lt_s).unlikely().brIf(this.#exit).drop();
    }
    const label = back || this.#flow.isMerge[to] !== 0;
    if (label || this.#flow.isLoop[to] !== 0) {
      f.get(this.#budget).i32Const(insns).op(OP.i32_sub).set(this.#budget);
      if (to >= 0) this.#pending[to] = 0;
    } else this.#pending[to] = insns;
    if (back) {
      this.#pushExit(EXIT_KIND.BUDGET, pc, 0);
      f.get(this.#budget).i32Const(0).op(OP.i32_lt_s).unlikely().brIf(this.#exit).drop();
      if (entry >= 0) f.i32Const(entry).set(ENTRY).br(this.#loopLabel[this.#flow.root]);
      else f.br(this.#loopLabel[to]);
    } else if (label) f.br(this.#mergeLabel[to]);
    else this.#tree(to);
  }
}
