/**
 * Region formation: from a hot block, follow the edges that were executed (branches, calls and the returns that
 * belong to them, remembered indirect targets) and hand the resulting graph to the region compiler.
 * Blocks are translated again in hot form, and cut where another block of the region begins, so that none overlap.
 */
import { COLD, compileRegion, FIELD, HEADER, TARGET_HISTORY } from '@emkit/codegen';
import type { RegionBlock, RegionInput } from '@emkit/codegen';
import { IrBlock, IrBuilder, OPS, opId } from '@emkit/ir';
import type { GlobalDef, Optimisations } from '@emkit/ir';
import { ModuleBuilder, VALTYPE } from '@emkit/wasm';
import { declareHelpers } from './declare-helpers.ts';
import type { CodeMap, Region, Tb } from './code-map.ts';
import type { SoftMmu } from './softmmu.ts';
import { EXEC } from './softmmu.ts';
import type { Target } from './target.ts';
import type { TranslateRequest, TranslateResult } from '@emkit/ir';

/** Bounds of one region: the engine's optimiser is superlinear in function size. */
const MAX_BLOCKS = 48;
const MAX_INSNS = 320;
/** A successor joins when it ran at least 1/WARM_SHARE as often as makes a block hot. */
const WARM_SHARE = 32;
/** A function with more callers than this is not continued in them: it would drag in half the program. */
const MAX_CALLERS = 2;
/** Most return sites or remembered targets that one indirect jump compares with. */
const MAX_TARGETS = 16;

const JMP = opId('jmp');
const BR = opId('br');
const INSN_START = opId('insn_start');

interface Node {
  readonly tb: Tb;
  /** Entry pc of the function it belongs to, as far as calls tell. */
  readonly fn: number;
}

/** What is to be compiled, and how. */
export interface RegionRequest {
  readonly tb: Tb;
  /** One check for several accesses. */
  readonly group: boolean;
  /** 0: what other regions have is left to them; from 1 on it is copied. */
  readonly generation: number;
  /** The region that the new one stands in for, which goes when that is there. */
  readonly replaces: Region | null;
}

/** A graph chosen for compilation. */
export interface RegionPlan {
  readonly request: RegionRequest;
  readonly head: Tb;
  readonly nodes: readonly Node[];
}

export interface RegionHost {
  readonly memory: ArrayBufferLike;
  readonly target: Target;
  readonly mmu: SoftMmu;
  readonly codeMap: CodeMap;
  readonly hotAfter: number;
  readonly optimisations: Optimisations;
  readonly helper: (index: number) => string;
  readonly nextPage: (lin: number) => number;
}

export class RegionBuilder {
  readonly #host: RegionHost;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #request: TranslateRequest;
  readonly #result: TranslateResult = {
    bytes: 0,
    insns: 0,
    exitFlags: -1,
    exitCcOp: -1,
    callReturn: -1,
    quickFirst: false,
    quickNext: -1,
    volatileOffsets: [],
    fault: false,
  };
  /** Blocks of IR are reused from region to region. */
  readonly #pools = new Map<readonly GlobalDef[], IrBuilder[]>();
  #pageOfRequest = 0;

  constructor(host: RegionHost) {
    this.#host = host;
    this.#i32 = new Int32Array(host.memory);
    this.#u16 = new Uint16Array(host.memory);
    this.#request = {
      eip: 0,
      csBase: 0,
      flags: 0,
      maxInsns: 64,
      endEip: -1,
      hot: true,
      optimisations: host.optimisations,
      entryCcOp: -1,
      volatileCode: false,
      code: {
        u8: new Uint8Array(host.memory),
        offset: 0,
        available: 0,
        nextPage: () => host.nextPage(this.#pageOfRequest),
      },
    };
  }

  /** Choose the blocks of a region. */
  plan(request: RegionRequest): RegionPlan {
    const { tb: head, generation, replaces } = request;
    const { 'region-joins': joins, 'region-entries': entries, 'indirect-targets': indirect } = this.#host.optimisations;
    const leave = entries && generation === 0;
    const nodes: Node[] = [];
    const seen = new Set<Tb>([head]);
    const queue: Node[] = [{ tb: head, fn: head.pc }];
    let insns = 0;
    while (queue.length > 0 && nodes.length < MAX_BLOCKS && insns < MAX_INSNS) {
      const node = queue.shift()!;
      const { tb, fn } = node;
      nodes.push(node);
      insns += tb.insns;
      if (!joins) break;
      const follow = (pc: number, inFunction: number, first: boolean): void => {
        const next = this.#lookup(pc, tb);
        if (next === null || seen.has(next) || next.coldFirst || !this.#warm(next)) return;
        if (leave && (next.claimed || (next.region ?? replaces) !== replaces)) return;
        seen.add(next);
        const n = { tb: next, fn: inFunction };
        if (first) queue.unshift(n);
        else queue.push(n);
      };
      if (tb.callReturn >= 0 && indirect) follow(tb.callReturn, fn, false);
      if (tb.taken !== -1) follow(tb.taken, tb.callReturn >= 0 ? tb.taken : fn, true);
      if (tb.notTaken !== -1) follow(tb.notTaken, fn, false);
      // a return goes on in a caller that was seen; which function that is, nobody knows
      if (!tb.indirect || !indirect) continue;
      const targets = this.#targets(tb);
      if (tb.isReturn && targets.length > MAX_CALLERS) continue;
      for (const pc of targets) follow(pc, tb.callReturn >= 0 || tb.isReturn ? pc : fn, false);
    }
    return { request, head, nodes };
  }

  /** The block at a pc reached from `from`, if it exists and its page is mapped. */
  #lookup(pc: number, from: Tb): Tb | null {
    const { mmu, codeMap, target } = this.#host;
    const flags = from.exitFlags === -1 ? from.flags : from.exitFlags;
    const user = (flags & target.userMask) === target.userValue ? 1 : 0;
    // all of a region's blocks have the same registers
    if (target.globalsFor(flags) !== target.globalsFor(from.flags)) return null;
    const host = mmu.access(target.linear(pc, from.csBase, flags), EXEC, user);
    return host < 0 ? null : codeMap.find(host, pc | 0, flags, from.csBase);
  }

  #warm(tb: Tb): boolean {
    if (this.#u16[tb.header >> 1] === COLD.HOT) return true;
    const left = this.#i32[(tb.header + HEADER.COUNTER) >> 2];
    return left > this.#host.hotAfter || (this.#host.hotAfter - left) * WARM_SHARE >= this.#host.hotAfter;
  }

  /** Remembered targets of a block's indirect jump, without repetition, last first. */
  #targets(tb: Tb): number[] {
    const at = tb.terminator;
    const count = this.#u16[(at + FIELD.B) >> 1];
    const pcs: number[] = [];
    for (let k = 1; k <= Math.min(count, TARGET_HISTORY); k++) {
      const pc = this.#i32[((at + FIELD.SIZE) >> 2) + ((count - k) & (TARGET_HISTORY - 1))];
      if (!pcs.includes(pc)) pcs.push(pc);
    }
    return pcs;
  }

  /** Translate a plan's blocks in hot form; null when the head cannot be compiled. */
  translate(plan: RegionPlan): RegionInput | null {
    const { nodes } = plan;
    const { target } = this.#host;
    const key = (pc: number, flags: number): string => `${pc | 0}:${flags}`;
    const index = new Map(nodes.map((n, k) => [key(n.tb.pc, n.tb.flags), k]));
    const leaders = nodes.map((n) => n.tb.pc >>> 0).sort((a, b) => a - b);
    const returnSites = new Map<number, number[]>();
    const translated = nodes.map((node, k) => this.#translateNode(node.tb, k, leaders));
    nodes.forEach((node, k) => {
      const t = translated[k];
      if (t === null || t.callReturn < 0) return;
      const site = index.get(key(t.callReturn, node.tb.flags));
      if (site === undefined) return;
      const last = t.ir.count - 1;
      const callees = t.ir.op[last] === JMP ? [t.ir.imm[last]] : this.#targets(node.tb);
      for (const fn of callees) {
        const list = returnSites.get(fn) ?? [];
        list.push(site);
        returnSites.set(fn, list);
      }
    });
    if (translated[0] === null || plan.head.coldFirst) return null;
    const blocks = nodes.map((node, k): RegionBlock => {
      const t = translated[k];
      if (t === null) return { pc: node.tb.pc, ir: new IrBlock(), successors: [], stopAt: 0 };
      const flags = t.exitFlags === -1 ? node.tb.flags : t.exitFlags;
      const find = (pc: number): number => {
        const s = index.get(key(pc, flags));
        return s === undefined || translated[s] === null || nodes[s].tb.coldFirst ? -1 : s;
      };
      const last = t.ir.count - 1;
      let successors: number[] = [];
      if (t.stopAt >= 0) successors = [];
      else if (t.ir.op[last] === JMP) successors = [find(t.ir.imm[last])];
      else if (t.ir.op[last] === BR) successors = [find(t.ir.imm[last]), find(t.ir.imm2[last])];
      else if (!this.#host.optimisations['indirect-targets']) successors = [];
      else if (node.tb.isReturn) {
        const sites = (returnSites.get(node.fn) ?? []).filter(
          (s) => translated[s] !== null && nodes[s].tb.flags === flags,
        );
        const seen = this.#targets(node.tb)
          .map(find)
          .filter((s) => s >= 0);
        successors = [...new Set([...sites, ...seen])].slice(0, MAX_TARGETS);
      } else
        successors = this.#targets(node.tb)
          .map(find)
          .filter((s) => s >= 0)
          .slice(0, MAX_TARGETS);
      return { pc: node.tb.pc, ir: t.ir, successors, stopAt: t.stopAt };
    });
    return {
      blocks,
      entries: this.#entries(plan, blocks, (k) => translated[k] !== null),
      csBase: plan.head.csBase,
      user: (plan.head.flags & target.userMask) === target.userValue,
      group: plan.request.group,
    };
  }

  /**
   * Where the region may be entered besides its head: where calls return to and where ways meet, loops among them, for that costs
   * no more than the joint that is there already. A block that enters another region stays its.
   */
  #entries(plan: RegionPlan, blocks: readonly RegionBlock[], isCompiled: (k: number) => boolean): number[] {
    const { nodes, head, request } = plan;
    if (!this.#host.optimisations['region-entries']) return [0];
    const ways = new Uint8Array(nodes.length);
    const sites = new Set(nodes.map(({ tb }) => tb.callReturn).filter((pc) => pc >= 0));
    for (const { successors } of blocks) for (const s of successors) if (s >= 0) ways[s]++;
    const entries = [0];
    nodes.forEach(({ tb }, k) => {
      if (k === 0 || !isCompiled(k) || tb.coldFirst || tb.flags !== head.flags || tb.claimed) return;
      if ((tb.region ?? request.replaces) !== request.replaces) return;
      if (ways[k] > 1 || sites.has(tb.pc)) entries.push(k);
    });
    return entries;
  }

  /** Builders for blocks under these flags. */
  #pool(flags: number): IrBuilder[] {
    const globals = this.#host.target.globalsFor(flags);
    let pool = this.#pools.get(globals);
    if (pool === undefined) this.#pools.set(globals, (pool = []));
    return pool;
  }

  #translateNode(
    tb: Tb,
    k: number,
    leaders: readonly number[],
  ): { ir: IrBlock; stopAt: number; exitFlags: number; callReturn: number } | null {
    const { target, optimisations } = this.#host;
    const b = (this.#pool(tb.flags)[k] ??= new IrBuilder(target.globalsFor(tb.flags), undefined, optimisations));
    b.reset();
    const r = this.#request;
    r.eip = tb.pc;
    r.csBase = tb.csBase;
    r.flags = tb.flags;
    // never beyond the block's own bytes: code after them may have changed since, and the region is told of changes of its blocks only
    r.endEip = leaders.find((pc) => pc > tb.pc >>> 0 && pc < (tb.pc >>> 0) + tb.bytes) ?? (tb.pc + tb.bytes) | 0;
    r.volatileCode = tb.holes.length > 0;
    r.code.offset = tb.host;
    r.code.available = 4096 - (tb.host & 4095);
    this.#pageOfRequest = this.#host.mmu.nextPage(target.linear(tb.pc, tb.csBase, tb.flags));
    target.translate(b, r, this.#result);
    if (this.#result.fault) return null;
    const ir = b.finish();
    return { ir, stopAt: firstColdOnly(ir), exitFlags: this.#result.exitFlags, callReturn: this.#result.callReturn };
  }

  /** A module that takes one function per plan: `r0`, `r1`, ... in the order of successful `add`s. */
  startModule(): {
    /** The number of each entry's node, or null when the plan cannot be compiled. */
    add(plan: RegionPlan): readonly number[] | null;
    finish(record: (k: number, kind: number, pc: number, insns: number) => number): Uint8Array;
  } {
    const { target } = this.#host;
    const mb = new ModuleBuilder();
    mb.importMemory('env', 'memory', 1, 65536);
    // Imports must come before functions, so all inputs are collected first.
    const helpers = new Map<number, number>();
    const inputs: { input: RegionInput; flags: number; builders: IrBuilder[] }[] = [];
    return {
      add: (plan) => {
        const input = this.translate(plan);
        if (input === null) return null;
        // keep this region's IR: its builders leave the pool until the module is finished
        const { flags } = plan.head;
        inputs.push({ input, flags, builders: this.#pool(flags).splice(0, plan.nodes.length) });
        return input.entries;
      },
      finish: (exitRecord) => {
        for (const { input } of inputs) declareHelpers(mb, input.blocks, this.#host.helper, helpers);
        const device = inputs.some(({ input }) => callsDevice(input)) ? importDevice(mb) : -1;
        inputs.forEach(({ input, flags, builders }, k) => {
          const record = (kind: number, pc: number, insns: number): number => exitRecord(k, kind, pc, insns);
          const fn = compileRegion(mb, input, {
            globals: target.globalsFor(flags),
            exitRecord: record,
            offsets: target.offsets,
            helper: (n) => helpers.get(n)!,
            device: () => device,
            optimisations: this.#host.optimisations,
          });
          mb.exportFunction(`r${k}`, fn);
          this.#pool(flags).push(...builders);
        });
        return mb.finish();
      },
    };
  }
}

const isCalld = (o: number): boolean => OPS[o].effect === 'calld';
const callsDevice = (region: RegionInput): boolean =>
  region.blocks.some(({ ir }) => ir.op.subarray(0, ir.count).some(isCalld));
const importDevice = (mb: ModuleBuilder): number =>
  mb.importFunction('env', 'calld', mb.addType(Array<typeof VALTYPE.i32>(5).fill(VALTYPE.i32), [VALTYPE.i32]));

/** Index after the `insn_start` of the first instruction that only the cold tier can run, or -1. */
function firstColdOnly(ir: IrBlock): number {
  let start = 0;
  for (let i = 0; i < ir.count; i++) {
    const o = ir.op[i];
    if (o === INSN_START) start = i + 1;
    if (OPS[o].effect === 'callj') return start;
  }
  return -1;
}
