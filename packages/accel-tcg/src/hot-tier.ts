/**
 * The hot tier's books: regions waiting to be compiled, live regions, their function table entries and exit records.
 *
 * A region that spans pages is only valid while those pages map where they did: after a TLB flush its header is turned
 * to "stale", so that the next entry comes to `revalidate`. Live regions are capped; the oldest go first.
 */
import { COLD, EXIT_RECORDS, HEADER, REGION_PLACES } from '@emkit/codegen';
import type { Optimisations } from '@emkit/ir';
import type { Region, Tb } from './code-map.ts';
import { engine, nowMs } from './engine.ts';
import type { WasmModule } from './engine.ts';
import { CompileElsewhere, CompileHere } from './compile-service.ts';
import type { CompileService } from './compile-service.ts';
import { countdownOf, ExitRecords, EXIT_WORDS } from './exit-records.ts';
import type { CompiledBatch } from './region-job.ts';
import type { TcgOptions } from './tcg-options.ts';
import { stateOf } from './region-pages.ts';
import { CodeBytes, RegionPlanner } from './region-plan.ts';
import type { RegionPlan, RegionRequest } from './region-plan.ts';
import type { HotTierOptions } from './hot-tier-options.ts';

/** Most regions alive at once: function table entries, and a bound on the engine's memory for compiled code. */
export const MAX_REGIONS = REGION_PLACES.COUNT;
/** Of so many at most, from the oldest on, the first goes that was not left since it was last spared. */
const SPARED = 32;
/** Waiting regions that are compiled without waiting for the slice's end. */
const COMPILE_NOW = 8;
/** Regions compiled into one module at most. */
const BATCH = 24;
/** Part of `hotAfter` that blocks whose region goes for another one run before they are compiled again. */
const AGAIN_SHARE = 8;
/** Runs of a block until it is seen again whether a page of its region is there, and how often that is done. */
const WAIT_RUNS = 100;
const MAX_WAITS = 100;

/** Executions in the cold tier before a block is compiled. */
const HOT_AFTER = 3000;

/** Executions before a block asks to be compiled; 0: never. */
export function executionsUntilHot({ tier, trace }: TcgOptions, { regions }: Optimisations): number {
  if (tier === 'cold' || !regions || trace?.exec !== undefined) return 0;
  return tier === 'hot' ? 2 : HOT_AFTER;
}

/** A region that is being compiled. */
interface Build {
  readonly plan: RegionPlan;
  readonly firstRecord: number;
  readonly maxRecords: number;
  /** `HotTier.changes` when it was chosen. */
  readonly changes: number;
}

export class HotTier {
  readonly #o: HotTierOptions;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;
  readonly #planner: RegionPlanner;
  readonly #compiler: CompileService;
  readonly #records: ExitRecords;
  readonly #callDevice: HotTierOptions['callDevice'];
  #pending: RegionRequest[] = [];
  /** Insertion order = age. */
  readonly #live = new Set<Region>();
  /** Regions over several pages that are armed: what a change of mappings must look at. */
  readonly #armed = new Set<Region>();
  readonly #freeEntries: number[] = [];
  /** Batches at the compiler, in the order of posting. */
  readonly #building: (readonly Build[])[] = [];
  /** Counts what may have made a running region's code another: regions dropped, mappings changed. */
  get changes(): number {
    return this.#records.changes;
  }
  /** `compileMs`: this thread's time; `compilerMs`: the compiler's, wherever it is. */
  readonly stats = {
    modules: 0,
    regions: 0,
    bytes: 0,
    compileMs: 0,
    compilerMs: 0,
    dropped: 0,
    grown: 0,
    late: 0,
    moved: 0,
  };

  constructor(options: HotTierOptions) {
    this.#o = options;
    this.#callDevice = options.profile?.device(options.callDevice) ?? options.callDevice;
    this.#u16 = new Uint16Array(options.memory.buffer);
    this.#i32 = new Int32Array(options.memory.buffer);
    for (let k = MAX_REGIONS - 1; k >= 0; k--) this.#freeEntries.push(k);
    this.#records = new ExitRecords(options.memory.buffer);
    const { compileChannel: channel, target, optimisations } = options;
    this.#compiler = channel === undefined ? new CompileHere(target, optimisations) : new CompileElsewhere(channel);
    this.#planner = new RegionPlanner({
      memory: options.memory.buffer,
      target: options.target,
      mmu: options.mmu,
      codeMap: options.codeMap,
      hotAfter: options.hotAfter,
      optimisations: options.optimisations,
    });
  }

  /** Regions alive. */
  get live(): number {
    return this.#live.size;
  }

  request(
    tb: Tb,
    {
      group = this.#o.optimisations['tlb-groups'],
      generation = 0,
      place = this.#o.places.current,
      replaces = null,
    }: Partial<Omit<RegionRequest, 'tb'>> = {},
  ): void {
    if (tb.queued || tb.coldFirst) return;
    tb.queued = true;
    this.#pending.push({ tb, group, generation, place, replaces });
  }

  /** A block is hot: compiled at the end of the slice with others, or now if many wait. */
  promote(tb: Tb): void {
    if (tb.region !== null) this.revalidate(tb);
    else {
      this.request(tb);
      this.#compileIfMany();
    }
  }
  #compileIfMany(): void {
    if (this.#pending.length >= COMPILE_NOW) this.compilePending();
  }

  /** Have compiled what has been asked for, and enter from now on what is ready. */
  compilePending(): void {
    if (this.#pending.length === 0 && this.#building.length === 0) return;
    const now = this.#o.profile?.now ?? nowMs;
    const start = now();
    this.#installReady();
    while (this.#pending.length > 0 && this.#compiler.room > 0) {
      this.#post(this.#pending.splice(0, BATCH));
      this.#installReady();
    }
    const ms = now() - start;
    this.stats.compileMs += ms;
    this.#o.profile?.compiled(ms);
  }

  #post(batch: readonly RegionRequest[]): void {
    const building: Build[] = [];
    const code = new CodeBytes();
    const jobs = [];
    for (const request of batch) {
      const { tb, replaces } = request;
      tb.queued = false;
      if (!tb.alive || tb.claimed || (tb.region ?? replaces) !== replaces) continue;
      const plan = this.#planner.plan(request);
      if (replaces !== null && this.#live.has(replaces) && plan.nodes.every((n) => replaces.blocks.includes(n.tb)))
        continue; // nothing to be gained
      const maxRecords = this.#planner.maxRecords(plan);
      const firstRecord = this.#takeRecords(maxRecords);
      if (firstRecord < 0) continue;
      for (const k of plan.entries) plan.nodes[k].tb.claimed = true;
      building.push({ plan, firstRecord, maxRecords, changes: this.changes });
      jobs.push(this.#planner.job(plan, firstRecord, maxRecords, code));
    }
    if (jobs.length === 0) return;
    this.#building.push(building);
    this.#compiler.post(jobs, code.finish());
  }

  /** At the price of the oldest regions, if need be. */
  #takeRecords(count: number): number {
    for (;;) {
      const first = this.#records.take(count);
      if (first >= 0 || this.#live.size === 0) return first;
      this.#dropOne();
    }
  }

  #dropOne(): void {
    for (let n = 1; ; n++) {
      const region = this.#live.values().next().value as Region;
      const state = this.#records.state(region.firstExit, region.exitCount);
      if (n === SPARED || state === region.seen) {
        this.drop(region);
        return;
      }
      region.seen = state;
      this.#live.delete(region);
      this.#live.add(region);
    }
  }

  #installReady(): void {
    for (const done of this.#compiler.poll()) this.#installBatch(this.#building.shift()!, done);
  }

  #installBatch(building: readonly Build[], { module, bytes, exits, ms }: CompiledBatch): void {
    this.stats.compilerMs += ms;
    if (module !== null) {
      this.stats.modules++;
      this.stats.bytes += bytes.length;
      this.#o.outAsm?.(building[exits.findIndex((e) => e !== null)].plan.head.pc, bytes);
    }
    let functions: Record<string, unknown> | undefined;
    let named = 0;
    const before = this.changes;
    building.forEach(({ plan, firstRecord, maxRecords, changes }, k) => {
      const own = exits[k];
      const name = own === null ? '' : `r${named++}`;
      for (const n of plan.entries) plan.nodes[n].tb.claimed = false;
      const used = own === null || !this.#stillHolds(plan) ? 0 : own.length / EXIT_WORDS;
      this.#records.give(firstRecord + used, maxRecords - used);
      if (own === null || used === 0) return;
      functions ??= this.#instance(module!);
      const { replaces } = plan.request;
      if (replaces !== null) {
        this.drop(replaces, AGAIN_SHARE);
        this.stats.grown++;
      }
      const region = this.#install(plan, functions[name], firstRecord, own);
      this.stats.regions++;
      // pages are looked at again when it is entered
      if (changes !== before && region.pages.length > 0) this.#disarm(region);
    });
  }

  #instance(module: WasmModule): Record<string, unknown> {
    const { memory, helpers } = this.#o;
    return new engine.Instance(module, { env: { memory, calld: this.#callDevice }, helpers }).exports;
  }

  /** Nothing of a plan has changed while it was being compiled; else its head is soon asked about again. */
  #stillHolds({ head, nodes }: RegionPlan): boolean {
    if (nodes.every(({ tb }) => tb.alive)) return true;
    this.stats.late++;
    if (head.alive && this.#u16[head.header >> 1] === COLD.HEADER)
      this.#i32[(head.header + HEADER.COUNTER) >> 2] = Math.ceil(this.#o.hotAfter / AGAIN_SHARE);
    return false;
  }

  #install(plan: RegionPlan, fn: unknown, firstExit: number, exits: Int32Array): Region {
    const { head, movable, pages, request } = plan;
    const { generation, group, place } = request;
    while (this.#freeEntries.length === 0) this.#dropOne();
    const entry = this.#freeEntries.pop()!;
    this.#o.table.set(entry, fn);
    const grows = this.#o.optimisations['region-entries'];
    const sampled = this.#o.profile === undefined;
    this.#records.write(firstExit, exits, countdownOf({ generation, grows, sampled }));
    const blocks = plan.nodes.map(({ tb }) => tb);
    const region: Region = {
      entry,
      ...{ head, blocks, pages, movable, place, group, generation, firstExit },
      entries: new Map(plan.entries.map((n, number) => [blocks[n], number])),
      exitCount: exits.length / EXIT_WORDS,
      seen: this.#records.state(firstExit, exits.length / EXIT_WORDS),
      checked: true,
      global: false,
    };
    for (const tb of region.entries.keys()) tb.region = region;
    for (const tb of blocks) tb.users.push(region);
    this.#live.add(region);
    this.#o.profile?.installed(region);
    this.#arm(region, place);
    return region;
  }

  /** The block runs in the interpreter, and asks again soon. False: it has too often. */
  #wait(tb: Tb): boolean {
    if (tb.waits++ >= MAX_WAITS) return false;
    this.#o.profile?.entered(tb);
    this.#i32[(tb.header + HEADER.COUNTER) >> 2] = WAIT_RUNS;
    this.#u16[tb.header >> 1] = COLD.HEADER;
    this.#o.profile?.counterSet(tb);
    return true;
  }

  /** The region may be entered at a place from now on, and nowhere else. */
  #arm(region: Region, place: number): void {
    if (place !== region.place) {
      // what leads to it may be about to run elsewhere
      this.#records.unlink();
      this.stats.moved++;
      region.place = place;
    }
    const at = (REGION_PLACES.BASE + region.entry * REGION_PLACES.SIZE) >> 2;
    this.#i32[at] = (place % 2 ** 32) | 0;
    this.#i32[at + 1] = Math.floor(place / 2 ** 32);
    for (const [tb, number] of region.entries) this.#armEntry(region, tb, number);
    region.checked = true;
    if (region.pages.length === 0) return;
    this.#armed.add(region);
    const { mmu } = this.#o;
    const user = this.#userOf(region.head);
    region.global = region.pages.every((p) => mmu.isGlobal(mmu.pageAddress(p.page) + place, user));
  }

  #armEntry(region: Region, tb: Tb, number: number): void {
    this.#u16[(tb.header + HEADER.ENTRY) >> 1] = region.entry;
    this.#u16[(tb.header + HEADER.ENTRY_NUMBER) >> 1] = number;
    this.#u16[tb.header >> 1] = COLD.HOT;
    tb.waits = 0;
  }

  #userOf(tb: Tb): number {
    const { target } = this.#o;
    return (tb.flags & target.userMask) === target.userValue ? 1 : 0;
  }

  #disarm(region: Region): void {
    this.#armed.delete(region);
    region.checked = false;
    for (const tb of region.entries.keys()) this.#u16[tb.header >> 1] = COLD.DEAD;
  }

  /** Forget a region; its entries run cold again and may become hot anew, after a part of the usual runs. */
  drop(region: Region, share = 1): void {
    if (!this.#live.delete(region)) return;
    this.#records.unlink();
    this.stats.dropped++;
    const counter = Math.ceil(this.#o.hotAfter / share);
    this.#o.profile?.dropped(region, counter);
    this.#armed.delete(region);
    this.#o.table.set(region.entry, null);
    this.#freeEntries.push(region.entry);
    const { firstExit, exitCount } = region;
    this.#records.give(firstExit, exitCount);
    for (const tb of region.blocks) {
      const k = tb.users.indexOf(region);
      if (k >= 0) tb.users.splice(k, 1);
    }
    for (const tb of region.entries.keys()) {
      tb.region = null;
      if (!tb.alive) continue;
      this.#i32[(tb.header + HEADER.COUNTER) >> 2] = counter;
      this.#u16[tb.header >> 1] = COLD.HEADER;
    }
  }

  /** A block's code has changed. */
  invalidate(tb: Tb): void {
    this.#o.profile?.blockGone(tb);
    for (const region of [...tb.users]) this.drop(region);
  }

  /** Mappings may have changed, of global pages too or not: regions over several pages are looked at again before they run. */
  mappingsChanged(includeGlobal: boolean): void {
    this.#records.unlink();
    for (const region of this.#armed) if (includeGlobal || !region.global) this.#disarm(region);
  }

  pageChanged(lin: number): void {
    this.#records.unlink();
    if (this.#armed.size === 0) return;
    const page = this.#o.mmu.page(lin);
    const { mmu } = this.#o;
    const here = ({ page: p }: { page: number }, place: number): number => mmu.page(mmu.pageAddress(p) + place);
    for (const region of this.#armed)
      if (region.pages.some((p) => here(p, region.place) === page)) this.#disarm(region);
  }

  /**
   * The block found at the pc has a region that was made stale, or is armed for another place: arm it again if its pages map as they did. A new process maps its pages one
   * by one: while one of them is not there, the region waits for it.
   */
  revalidate(tb: Tb): void {
    const { region } = tb;
    if (region === null) return;
    const place = this.#o.places.current;
    if (region.checked && region.place === place) {
      // it may have waited elsewhere
      this.#armEntry(region, tb, region.entries.get(tb)!);
      return;
    }
    const state = stateOf(region, place, this.#o, this.#userOf(tb));
    if (state === 'same') this.#arm(region, place);
    else if (state === 'other' || !this.#wait(tb)) this.drop(region);
  }

  /** The live region that an exit record belongs to. Seldom asked: all are looked at. */
  regionOf(record: number): Region | undefined {
    for (const region of this.#live)
      if (record >= region.firstExit && record < region.firstExit + region.exitCount) return region;
    return undefined;
  }

  /** An exit record has been taken very often: a region that groups checks is compiled without, once. */
  reconsider(record: number): void {
    const at = EXIT_RECORDS.BASE + record * EXIT_RECORDS.SIZE;
    this.#i32[(at + EXIT_RECORDS.COUNTDOWN) >> 2] = 0x7fffffff;
    const region = this.regionOf(record);
    if (region !== undefined) this.#o.profile?.countdownReset(region, record);
    if (region === undefined || !region.group) return;
    const { head, generation, place } = region;
    this.drop(region);
    this.request(head, { group: false, generation, place });
  }

  /** An exit to other regions has been taken very often: its region is made anew with what it leads to, and stays until that is done. */
  grow(record: number): void {
    const region = this.regionOf(record);
    if (region === undefined) return;
    this.#o.profile?.countdownReset(region, record);
    const { head, group, generation, place } = region;
    this.request(head, { group, generation: generation + 1, place, replaces: region });
    this.#compileIfMany();
  }

  clear(): void {
    this.#o.profile?.flushing();
    for (const region of [...this.#live]) this.drop(region);
    this.#pending = [];
  }
}
