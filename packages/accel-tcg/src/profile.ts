/**
 * Where a processor's time goes: an observer that a Tcg is given at birth. Without one, nothing is measured and nothing is slower.
 *
 * Exact: how often regions and cold blocks ran and why regions were left (profile-regions.ts), calls out of generated code by cause,
 * and the time in each of them. Sampled: where generated code was when a slice ended (its time is in proportion to instructions
 * within a slice of about a millisecond), and where calls out came from (in proportion to their time), with the guest's call stack
 * if the owner can walk it.
 */
import { COLD, CTL, EXIT_KIND, EXIT_RECORDS, LEAVE } from '@emkit/codegen';
import type { Region, Tb } from './code-map.ts';
import type { Core, CoreCallbacks } from './core-instance.ts';
import { nowMs } from './engine.ts';
import { RegionBooks } from './profile-regions.ts';
import type { BlockCounts, RegionCounts } from './profile-regions.ts';
import type { ExitReason, Tcg } from './tcg.ts';

/** What the processor was doing: in a region, in the interpreter, in generated code of unknown tier, or called out. */
export type SampleKind =
  'hot' | 'cold' | 'code' | 'slow load' | 'slow store' | 'fault' | 'compile' | 'translate' | `helper ${string}`;

export interface ProfileSample {
  /** Linear number of the pc, and of the return sites above it, innermost first. */
  readonly stack: readonly number[];
  readonly user: boolean;
  readonly kind: SampleKind;
  /** Of kind 'hot': linear number of the region's head. */
  readonly region: number | undefined;
  /** Host time that the samples of this place stand for. */
  ms: number;
}

export interface CallCounts {
  count: number;
  ms: number;
}

export interface ProfileOptions {
  /** Time in calls out that one sample stands for, in ms (default 0.5). */
  readonly intervalMs?: number;
  /** Linear numbers of the return sites on the guest's stack, innermost first. */
  readonly callers?: () => readonly number[];
  readonly helperName?: (id: number) => string;
  /** Host clock in ms (default performance.now, which a browser rounds to as much as 0.1 ms). */
  readonly now?: () => number;
}

export interface ProfileData {
  /** Time inside the accelerator, and its parts; the rest is translation, lookup, interrupts. */
  readonly ms: { readonly run: number; readonly generated: number; readonly compile: number; readonly calls: number };
  readonly retired: number;
  readonly interrupts: number;
  /** Returns of the core module by LEAVE code, its name in lower case. */
  readonly leaves: ReadonlyMap<string, number>;
  readonly slow: { readonly load: CallCounts; readonly store: CallCounts; readonly fault: CallCounts };
  readonly helpers: ReadonlyMap<string, CallCounts>;
  readonly tlb: { readonly fills: number; readonly flushes: number };
  readonly compiler: {
    readonly modules: number;
    readonly regions: number;
    readonly live: number;
    readonly dropped: number;
    readonly bytes: number;
    readonly ms: number;
  };
  readonly blocks: { readonly translated: number; readonly invalidated: number; readonly flushes: number };
  readonly regions: readonly RegionCounts[];
  /** Blocks by their runs in the cold tier. */
  readonly coldBlocks: readonly BlockCounts[];
  /** The block at a linear address that only the cold tier can run. */
  readonly coldOnly: ReadonlySet<number>;
  readonly samples: readonly ProfileSample[];
}

/** Distinct places that are kept; samples of further ones lose their stack. */
const MAX_PLACES = 50_000;
const LEAVE_NAMES = new Map<number, string>(Object.entries(LEAVE).map(([name, code]) => [code, name.toLowerCase()]));

export class TcgProfile {
  readonly #o: ProfileOptions;
  readonly #interval: number;
  /** The clock that all its times are read from. */
  readonly now: () => number;
  #tcg!: Tcg;
  #i32!: Int32Array;
  #u16!: Uint16Array;
  #books!: RegionBooks;
  readonly #leaves = new Map<string, number>();
  readonly #slow = { load: { count: 0, ms: 0 }, store: { count: 0, ms: 0 }, fault: { count: 0, ms: 0 } };
  readonly #helpers: (CallCounts | undefined)[] = [];
  readonly #places = new Map<string, ProfileSample>();
  #runMs = 0;
  #generatedMs = 0;
  #callsMs = 0;
  #compileMs = 0;
  /** Of these totals, what samples stand for already. */
  #sampledCalls = 0;
  #sampledGenerated = 0;
  /** Block that asked to be compiled: its counter is set before the core module runs again. */
  #promoted: Tb | undefined;

  constructor(options: ProfileOptions = {}) {
    this.#o = options;
    this.#interval = options.intervalMs ?? 0.5;
    this.now = options.now ?? nowMs;
  }

  // --- what the accelerator calls ---------------------------------------------------------------------------------
  /** The processor exists: called once, before the core module is made. */
  attach(tcg: Tcg): void {
    if (this.#tcg !== undefined) throw new Error('a profile belongs to one processor');
    this.#tcg = tcg;
    this.#i32 = tcg.i32;
    this.#u16 = tcg.u16;
    const { target } = tcg;
    this.#books = new RegionBooks({
      memory: tcg.memory.buffer,
      linear: (pc, csBase, flags) => target.linear(pc, csBase, flags),
      user: (flags) => (flags & target.userMask) === target.userValue,
    });
  }
  /** What is called instead of the accelerator's callbacks. */
  callbacks(to: CoreCallbacks): CoreCallbacks {
    const { load, store, fault } = this.#slow;
    return {
      slowLoad: (lo, hi, kind) => this.#call(load, 'slow load', () => to.slowLoad(lo, hi, kind)),
      slowStore: (lo, hi, kind) => this.#call(store, 'slow store', () => to.slowStore(lo, hi, kind)),
      raise: (vector, error) => this.#call(fault, 'fault', () => to.raise(vector, error)),
      callj: (id, a, b, c, d) => this.#helper(id, this.#coldPc(), () => to.callj(id, a, b, c, d)),
    };
  }
  /** What regions call instead of a device's helper. The pc in env is then the one that the region was entered at. */
  device(call: CoreCallbacks['callj']): CoreCallbacks['callj'] {
    return (id, a, b, c, d) => this.#helper(id, this.#tcg.linearPc, () => call(id, a, b, c, d));
  }
  /** What is entered instead of the core module. */
  core(of: Core): Core {
    return { ...of, run: () => this.#generated(of.run), interpret: (op) => this.#generated(() => of.interpret(op)) };
  }

  compiled(ms: number): void {
    this.#compileMs += ms;
    this.#sample('compile', ms, this.#tcg.linearPc);
  }
  installed(region: Region): void {
    this.#settle();
    this.#books.installed(region);
  }
  /** A block is about to become an entry, or to get another counter. */
  entered(tb: Tb): void {
    this.#settle();
    this.#books.readBlock(tb);
  }
  counterSet(tb: Tb): void {
    this.#books.setCounter(tb);
  }
  dropped(region: Region, counter: number): void {
    this.#books.dropped(region, counter);
  }
  countdownReset(region: Region, record: number): void {
    this.#books.reset(region, record);
  }
  blockGone(tb: Tb): void {
    this.#settle();
    this.#books.forget(tb);
  }
  /** All blocks are about to go. */
  flushing(): void {
    this.#settle();
    for (const tb of this.#tcg.blocks.alive) this.#books.forget(tb);
  }

  // --- what the owner of the processor calls ------------------------------------------------------------------------
  /** `Tcg.run`, measured. */
  run(budget: number): ExitReason {
    const start = this.now();
    const compile = this.#compileMs;
    const before = this.#generatedMs + this.#callsMs;
    this.#i32[CTL.EXIT >> 2] = 0;
    const reason = this.#tcg.run(budget);
    const ms = this.now() - start;
    this.#runMs += ms;
    const generated = this.#generatedMs - this.#sampledGenerated;
    this.#sampledGenerated = this.#generatedMs;
    const pc = this.#tcg.linearPc;
    const { kind, region } = this.#tier();
    if (generated > 0) this.#sample(kind, generated, pc, region);
    const rest = ms - (this.#generatedMs + this.#callsMs - before) - (this.#compileMs - compile);
    if (rest > 0) this.#sample('translate', rest, pc);
    return reason;
  }

  data(): ProfileData {
    const { hot, blocks, mmu } = this.#tcg;
    this.#settle();
    const coldBlocks = this.#books.blocks(blocks.alive);
    const helpers = new Map<string, CallCounts>();
    this.#helpers.forEach((counts, id) => counts !== undefined && helpers.set(this.#helperName(id), { ...counts }));
    const { modules, regions, bytes, dropped } = hot.stats;
    return {
      ms: { run: this.#runMs, generated: this.#generatedMs, compile: this.#compileMs, calls: this.#callsMs },
      retired: this.#tcg.retired,
      interrupts: this.#tcg.interrupts,
      leaves: this.#leaves,
      slow: this.#slow,
      helpers,
      tlb: { fills: mmu.fills, flushes: mmu.flushes },
      compiler: { modules, regions, live: hot.live, dropped, bytes, ms: this.#compileMs },
      blocks: blocks.stats,
      regions: this.#books.regions,
      coldBlocks,
      coldOnly: new Set(coldBlocks.filter((b) => b.coldOnly).map((b) => b.address)),
      samples: [...this.#places.values()],
    };
  }

  // --- inside -------------------------------------------------------------------------------------------------------
  #helperName(id: number): string {
    return this.#o.helperName?.(id) ?? String(id);
  }

  #generated(run: () => number): number {
    this.#settle();
    const start = this.now();
    const calls = this.#callsMs;
    const code = run();
    this.#generatedMs += this.now() - start - (this.#callsMs - calls);
    const name = LEAVE_NAMES.get(code) ?? String(code);
    this.#leaves.set(name, (this.#leaves.get(name) ?? 0) + 1);
    if (code === LEAVE.PROMOTE) {
      this.#promoted = this.#tcg.blocks.byHeader(this.#i32[CTL.IP >> 2]);
      if (this.#promoted !== undefined) this.#books.readBlock(this.#promoted);
    }
    return code;
  }

  /** The block that asked to be compiled has a new counter by now. */
  #settle(): void {
    if (this.#promoted === undefined) return;
    this.#books.setCounter(this.#promoted);
    this.#promoted = undefined;
  }

  #helper(id: number, pc: number, call: () => number): number {
    const counts = (this.#helpers[id] ??= { count: 0, ms: 0 });
    return this.#call(counts, `helper ${this.#helperName(id)}`, call, pc);
  }

  /** `pc` is asked for before the callback, which moves pc and block when it faults. */
  #call(counts: CallCounts, kind: SampleKind, call: () => number, pc = this.#coldPc()): number {
    const start = this.now();
    const result = call();
    const ms = this.now() - start;
    counts.count++;
    counts.ms += ms;
    this.#callsMs += ms;
    const waiting = this.#callsMs - this.#sampledCalls;
    if (waiting >= this.#interval) {
      this.#sampledCalls = this.#callsMs;
      this.#sample(kind, waiting, pc);
    }
    return result;
  }

  /** Linear pc of the op of the interpreter that calls out. */
  #coldPc(): number {
    const { target } = this.#tcg;
    const tb = this.#tcg.blocks.byHeader(this.#i32[CTL.TB >> 2]);
    const pc = this.#tcg.currentPc();
    // a block that is not kept: the words in env are still those of its start
    return tb === undefined ? this.#tcg.linearPc : target.linear(pc | 0, tb.csBase, tb.flags);
  }

  /** Which tier a slice ended in. A region that found its budget used up has named its exit record. */
  #tier(): { readonly kind: SampleKind; readonly region?: number } {
    const record = this.#i32[CTL.EXIT >> 2];
    const region = record === 0 ? undefined : this.#tcg.hot.regionOf(record);
    const reason = this.#u16[(EXIT_RECORDS.BASE + record * EXIT_RECORDS.SIZE + EXIT_RECORDS.KIND) >> 1];
    if (region !== undefined && reason === EXIT_KIND.BUDGET) {
      const { pc, csBase, flags } = region.head;
      return { kind: 'hot', region: this.#tcg.target.linear(pc, csBase, flags) };
    }
    const header = this.#i32[CTL.IP >> 2];
    const cold = this.#tcg.blocks.byHeader(header) !== undefined && this.#u16[header >> 1] === COLD.HEADER;
    return { kind: cold ? 'cold' : 'code' };
  }

  #sample(kind: SampleKind, ms: number, pc: number, region?: number): void {
    const { blocks } = this.#tcg;
    const full = this.#places.size >= MAX_PLACES;
    const callers = full ? [] : (this.#o.callers?.() ?? []);
    const user = blocks.user() !== 0;
    const key = `${kind} ${region} ${user} ${pc} ${callers.join(' ')}`;
    const place = this.#places.get(key);
    if (place !== undefined) place.ms += ms;
    else this.#places.set(key, { stack: [pc, ...callers], user, kind, region, ms });
  }
}
