/**
 * Jobs to WebAssembly: blocks are translated again in hot form, cut where another block of the region begins, so that none overlap, and
 * handed to the region compiler of codegen. Knows nothing of a running processor, so that it can be in another thread.
 */
import { compileRegion } from '@emkit/codegen';
import type { RegionBlock, RegionInput } from '@emkit/codegen';
import { createTranslateResult, IrBlock, IrBuilder, OPS, opId } from '@emkit/ir';
import type { CodeSource, GlobalDef, Optimisations, TranslateRequest } from '@emkit/ir';
import { ModuleBuilder, VALTYPE } from '@emkit/wasm';
import { declareHelpers } from './declare-helpers.ts';
import { engine, nowMs } from './engine.ts';
import { EXIT_WORDS } from './exit-records.ts';
import type { CompiledBatch, JobBlock, RegionJob } from './region-job.ts';
import type { TargetFrontend } from './target.ts';

/** Most return sites or remembered targets that one indirect jump compares with. */
const MAX_TARGETS = 16;

const JMP = opId('jmp');
const BR = opId('br');
const INSN_START = opId('insn_start');

/** A block in hot form. */
interface HotBlock {
  readonly ir: IrBlock;
  /** Op index after the `insn_start` of the first instruction that only the cold tier can run, or -1. */
  readonly stopAt: number;
  readonly exitFlags: number;
  readonly callReturn: number;
}

export class RegionCompiler {
  readonly #frontend: TargetFrontend;
  readonly #optimisations: Optimisations;
  readonly #request: TranslateRequest;
  readonly #result = createTranslateResult();
  /** Blocks of IR are reused from batch to batch. */
  readonly #pools = new Map<readonly GlobalDef[], IrBuilder[]>();
  #second = -1;

  constructor(frontend: TargetFrontend, optimisations: Optimisations) {
    this.#frontend = frontend;
    this.#optimisations = optimisations;
    this.#request = {
      eip: 0,
      csBase: 0,
      flags: 0,
      maxInsns: 64,
      endEip: -1,
      hot: true,
      optimisations,
      entryCcOp: -1,
      volatileCode: false,
      movable: false,
      code: this.#source(new Uint8Array(0)),
    };
  }

  #source(u8: Uint8Array): CodeSource {
    return { u8, offset: 0, available: 0, nextPage: () => this.#second };
  }

  /** One module with a function for each job that can be compiled. */
  compile(jobs: readonly RegionJob[], code: Uint8Array): CompiledBatch {
    const start = nowMs();
    this.#request.code = this.#source(code);
    const mb = new ModuleBuilder({ branchHints: this.#optimisations['branch-hints'] });
    mb.importMemory('env', 'memory', 1, 65536);
    // Imports must come before functions, so all is translated first.
    const helpers = new Map<number, number>();
    const taken = new Map<readonly GlobalDef[], number>();
    const inputs = jobs.map((job) => this.#translate(job, taken));
    for (const input of inputs)
      if (input !== null) declareHelpers(mb, input.blocks, (n) => this.#frontend.wasmHelpers[n], helpers);
    const device = inputs.some((input) => input !== null && callsDevice(input)) ? importDevice(mb) : -1;
    let functions = 0;
    const exits = jobs.map((job, k) => {
      const input = inputs[k];
      if (input === null) return null;
      const words: number[] = [];
      const fn = compileRegion(mb, input, {
        globals: this.#frontend.globalsFor(job.blocks[0].flags),
        exitRecord: (kind, pc, insns) => job.firstRecord + words.push(kind, pc, insns) / EXIT_WORDS - 1,
        offsets: this.#frontend.offsets,
        helper: (n) => helpers.get(n)!,
        device: () => device,
        optimisations: this.#optimisations,
      });
      // beyond its records it would leave by those of another: nobody gets to call it
      if (words.length > job.maxRecords * EXIT_WORDS) return null;
      mb.exportFunction(`r${functions++}`, fn);
      return Int32Array.from(words);
    });
    const bytes = functions === 0 ? new Uint8Array(0) : mb.finish();
    const module = functions === 0 ? null : new engine.Module(bytes);
    return { module, bytes, exits, ms: nowMs() - start };
  }

  /** A job's blocks in hot form and the ways between them; null when an entry cannot be compiled. */
  #translate(job: RegionJob, taken: Map<readonly GlobalDef[], number>): RegionInput | null {
    const { blocks: nodes, entries } = job;
    const { userMask, userValue } = this.#frontend;
    const head = nodes[0];
    if (head.coldFirst) return null;
    const index = new BlockIndex(nodes);
    const leaders = nodes.map((n) => n.pc >>> 0).sort((a, b) => a - b);
    const returnSites = new Map<number, number[]>();
    this.#request.movable = job.movable;
    const translated = nodes.map((node) => this.#translateBlock(node, leaders, taken));
    nodes.forEach((node, k) => {
      const t = translated[k];
      if (t === null || t.callReturn < 0) return;
      const site = index.find(t.callReturn, node.flags);
      if (site < 0) return;
      const last = t.ir.count - 1;
      const callees = t.ir.op[last] === JMP ? [t.ir.imm[last]] : node.targets;
      for (const fn of callees) {
        const list = returnSites.get(fn) ?? [];
        list.push(site);
        returnSites.set(fn, list);
      }
    });
    if (entries.some((k) => translated[k] === null)) return null;
    const blocks = nodes.map((node, k): RegionBlock => {
      const t = translated[k];
      if (t === null) return { pc: node.pc, ir: new IrBlock(), successors: [], stopAt: 0 };
      const flags = t.exitFlags === -1 ? node.flags : t.exitFlags;
      const find = (pc: number): number => {
        const s = index.find(pc, flags);
        return s < 0 || translated[s] === null || nodes[s].coldFirst ? -1 : s;
      };
      const seen = (): number[] => node.targets.map(find).filter((s) => s >= 0);
      const last = t.ir.count - 1;
      let successors: number[] = [];
      if (t.stopAt >= 0) successors = [];
      else if (t.ir.op[last] === JMP) successors = [find(t.ir.imm[last])];
      else if (t.ir.op[last] === BR) successors = [find(t.ir.imm[last]), find(t.ir.imm2[last])];
      else if (!this.#optimisations['indirect-targets']) successors = [];
      else if (node.isReturn) {
        const sites = (returnSites.get(node.fn) ?? []).filter(
          (s) => translated[s] !== null && nodes[s].flags === flags,
        );
        successors = [...new Set([...sites, ...seen()])].slice(0, MAX_TARGETS);
      } else successors = seen().slice(0, MAX_TARGETS);
      return { pc: node.pc, ir: t.ir, successors, stopAt: t.stopAt };
    });
    const user = (head.flags & userMask) === userValue;
    return { blocks, entries, csBase: head.csBase, user, group: job.group, movable: job.movable };
  }

  #translateBlock(
    block: JobBlock,
    leaders: readonly number[],
    taken: Map<readonly GlobalDef[], number>,
  ): HotBlock | null {
    const { pc, flags, bytes } = block;
    const b = this.#builder(flags, taken);
    b.reset();
    const r = this.#request;
    r.eip = pc;
    r.csBase = block.csBase;
    r.flags = flags;
    // never beyond the block's own bytes: code after them may be another, and the region is told of changes of its blocks only
    r.endEip = leaders.find((leader) => leader > pc >>> 0 && leader < (pc >>> 0) + bytes) ?? (pc + bytes) | 0;
    r.volatileCode = block.isVolatile;
    r.code.offset = block.at;
    r.code.available = block.available;
    this.#second = block.second;
    this.#frontend.translate(b, r, this.#result);
    if (this.#result.fault) return null;
    const ir = b.finish();
    return { ir, stopAt: firstColdOnly(ir), exitFlags: this.#result.exitFlags, callReturn: this.#result.callReturn };
  }

  /** Builders for blocks under these flags; `taken`: how many of them the batch has in use. */
  #builder(flags: number, taken: Map<readonly GlobalDef[], number>): IrBuilder {
    const globals = this.#frontend.globalsFor(flags);
    let pool = this.#pools.get(globals);
    if (pool === undefined) this.#pools.set(globals, (pool = []));
    const k = taken.get(globals) ?? 0;
    taken.set(globals, k + 1);
    return (pool[k] ??= new IrBuilder(globals, undefined, this.#optimisations));
  }
}

/** Blocks of a job by pc and flags, of which nearly all have the same. */
class BlockIndex {
  readonly #nodes: readonly JobBlock[];
  readonly #byPc = new Map<number, number>();

  constructor(nodes: readonly JobBlock[]) {
    this.#nodes = nodes;
    nodes.forEach((node, k) => this.#byPc.set(node.pc | 0, k));
  }
  /** Its number, or -1. */
  find(pc: number, flags: number): number {
    const k = this.#byPc.get(pc | 0);
    if (k === undefined || this.#nodes[k].flags === flags) return k ?? -1;
    return this.#nodes.findIndex((node) => (node.pc | 0) === (pc | 0) && node.flags === flags);
  }
}

const isCalld = (o: number): boolean => OPS[o].effect === 'calld';
const callsDevice = (region: RegionInput): boolean =>
  region.blocks.some(({ ir }) => ir.op.subarray(0, ir.count).some(isCalld));
const importDevice = (mb: ModuleBuilder): number =>
  mb.importFunction('env', 'calld', mb.addType(Array<typeof VALTYPE.i32>(5).fill(VALTYPE.i32), [VALTYPE.i32]));

function firstColdOnly(ir: IrBlock): number {
  let start = 0;
  for (let i = 0; i < ir.count; i++) {
    const o = ir.op[i];
    if (o === INSN_START) start = i + 1;
    if (OPS[o].effect === 'callj') return start;
  }
  return -1;
}
