/**
 * Region formation: from a hot block, follow the edges that were executed (branches, calls and the returns that
 * belong to them, remembered indirect targets), and say what the compiler must know of the graph (region-job.ts).
 */
import { COLD, FIELD, HEADER, TARGET_HISTORY } from '@emkit/codegen';
import type { Optimisations } from '@emkit/ir';
import type { CodeMap, Region, Tb } from './code-map.ts';
import { pagesOf } from './region-pages.ts';
import { CODE_MARGIN } from './region-job.ts';
import type { JobBlock, RegionJob } from './region-job.ts';
import type { SoftMmu } from './softmmu.ts';
import { EXEC } from './softmmu.ts';
import type { Target } from './target.ts';

/** Bounds of one region: the engine's optimiser is superlinear in function size. */
const MAX_BLOCKS = 48;
const MAX_INSNS = 320;
/** Exit records of a region: each instruction may leave it, and each block in some ways. */
const EXITS_OF_BLOCK = 8;
const EXITS_OF_INSN = 2;
const MORE_EXITS = 16;
/** A successor joins when it ran at least 1/WARM_SHARE as often as makes a block hot. */
const WARM_SHARE = 32;
/** A function with more callers than this is not continued in them: it would drag in half the program. */
const MAX_CALLERS = 2;

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
  /** Where it is, see `CodePlaces.current`. */
  readonly place: number;
  /** The region that the new one stands in for, which goes when that is there. */
  readonly replaces: Region | null;
}

/** A graph chosen for compilation. */
export interface RegionPlan {
  readonly request: RegionRequest;
  readonly head: Tb;
  readonly nodes: readonly Node[];
  /** Numbers of the nodes at which it may be entered, the head first. */
  readonly entries: readonly number[];
  /** See `Region`. */
  readonly pages: Region['pages'];
  /** It runs wherever its code is mapped. */
  readonly movable: boolean;
}

export interface PlannerHost {
  readonly memory: ArrayBufferLike;
  readonly target: Target;
  readonly mmu: SoftMmu;
  readonly codeMap: CodeMap;
  readonly hotAfter: number;
  readonly optimisations: Optimisations;
}

export class RegionPlanner {
  readonly #host: PlannerHost;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #u8: Uint8Array;

  constructor(host: PlannerHost) {
    this.#host = host;
    this.#i32 = new Int32Array(host.memory);
    this.#u16 = new Uint16Array(host.memory);
    this.#u8 = new Uint8Array(host.memory);
  }

  /** Choose the blocks of a region. */
  plan(request: RegionRequest): RegionPlan {
    const { tb: head, generation, place, replaces } = request;
    const { 'region-joins': joins, 'region-entries': entries, 'indirect-targets': indirect } = this.#host.optimisations;
    const leave = entries && generation === 0;
    const nodes: Node[] = [];
    const seen = new Set<Tb>([head]);
    const ways = new Map<Tb, number>();
    const queue: Node[] = [{ tb: head, fn: head.pc }];
    let insns = 0;
    while (queue.length > 0 && nodes.length < MAX_BLOCKS && insns < MAX_INSNS) {
      const node = queue.shift()!;
      const { tb, fn } = node;
      nodes.push(node);
      insns += tb.insns;
      if (!joins) break;
      const follow = (pc: number, inFunction: number, first: boolean): void => {
        const next = this.#lookup(pc, tb, place);
        if (next === null) return;
        ways.set(next, (ways.get(next) ?? 0) + 1);
        if (seen.has(next) || next.coldFirst || !this.#warm(next)) return;
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
    const chosen = this.#entries(request, nodes, ways);
    const blocks = nodes.map(({ tb }) => tb);
    const pages = pagesOf(
      this.#host,
      blocks,
      chosen.map((k) => blocks[k]),
    );
    return { request, head, nodes, entries: chosen, pages, movable: blocks.every((tb) => tb.movable) };
  }

  /** The block at a pc reached from `from`, if it exists and its page is mapped. Elsewhere than where it was translated only movable code runs. */
  #lookup(pc: number, from: Tb, place: number): Tb | null {
    const { mmu, codeMap, target } = this.#host;
    const flags = from.exitFlags === -1 ? from.flags : from.exitFlags;
    const user = (flags & target.userMask) === target.userValue ? 1 : 0;
    // all of a region's blocks have the same registers
    if (target.globalsFor(flags) !== target.globalsFor(from.flags)) return null;
    const host = mmu.access(target.linear(pc, from.csBase, flags) + place, EXEC, user);
    const tb = host < 0 ? null : codeMap.find(host, pc | 0, flags, from.csBase);
    return tb === null || (place !== 0 && !tb.movable) ? null : tb;
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

  /**
   * Where the region may be entered besides its head: where calls return to and where ways meet, loops among them, for that costs
   * no more than the joint that is there already. A block that enters another region stays its.
   */
  #entries({ replaces }: RegionRequest, nodes: readonly Node[], ways: Map<Tb, number>): number[] {
    const entries = [0];
    if (!this.#host.optimisations['region-entries']) return entries;
    const head = nodes[0].tb;
    const sites = new Set(nodes.map(({ tb }) => tb.callReturn).filter((pc) => pc >= 0));
    // a block that reaches into another one is cut there, and goes on in that
    const goesOnIn = ({ pc }: Tb): boolean => nodes.some(({ tb }) => tb.pc < pc && pc < tb.pc + tb.bytes);
    nodes.forEach(({ tb }, k) => {
      if (k === 0 || tb.coldFirst || tb.flags !== head.flags || tb.claimed) return;
      if ((tb.region ?? replaces) !== replaces) return;
      if ((ways.get(tb) ?? 0) > 1 || sites.has(tb.pc) || goesOnIn(tb)) entries.push(k);
    });
    return entries;
  }

  /** Exit records that a plan's region can need. */
  maxRecords({ nodes }: RegionPlan): number {
    const insns = nodes.reduce((sum, { tb }) => sum + tb.insns, 0);
    return insns * EXITS_OF_INSN + nodes.length * EXITS_OF_BLOCK + MORE_EXITS;
  }

  /** A plan with the code as it is now. `code` takes the bytes of all jobs of a batch. */
  job(plan: RegionPlan, firstRecord: number, maxRecords: number, code: CodeBytes): RegionJob {
    const u8 = this.#u8;
    const blocks = plan.nodes.map(({ tb, fn }): JobBlock => {
      const available = 4096 - (tb.host & 4095);
      return {
        pc: tb.pc,
        csBase: tb.csBase,
        flags: tb.flags,
        bytes: tb.bytes,
        at: code.add(u8, tb.host, Math.min(available, tb.bytes + CODE_MARGIN)),
        available,
        second: tb.secondPage < 0 ? -1 : code.add(u8, tb.secondPage - (tb.secondPage & 4095), CODE_MARGIN),
        fn,
        isReturn: tb.isReturn,
        isVolatile: tb.holes.length > 0,
        coldFirst: tb.coldFirst,
        targets: tb.indirect ? this.#targets(tb) : [],
      };
    });
    const { entries, movable } = plan;
    return { blocks, entries, group: plan.request.group, movable, firstRecord, maxRecords };
  }
}

/** Bytes of guest code, one piece behind the other, with room for a decoder that looks beyond its piece. */
export class CodeBytes {
  #bytes = new Uint8Array(4096);
  #end = 0;

  /** Returns where the copy begins. */
  add(from: Uint8Array, at: number, count: number): number {
    const start = this.#end;
    this.#end += count + CODE_MARGIN;
    if (this.#end > this.#bytes.length) {
      const more = new Uint8Array(Math.max(this.#end, this.#bytes.length * 2));
      more.set(this.#bytes.subarray(0, start));
      this.#bytes = more;
    }
    this.#bytes.set(from.subarray(at, at + count), start);
    return start;
  }

  /** A copy of all. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#end);
  }
}
