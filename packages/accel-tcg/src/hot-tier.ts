/**
 * The hot tier's books: regions waiting to be compiled, live regions, their function table entries and exit records.
 *
 * A region that spans pages is only valid while those pages map where they did: after a TLB flush its header is turned
 * to "stale", so that the next entry comes to `revalidate`. Live regions are capped; the oldest go first.
 */
import { COLD, EXIT_KIND, EXIT_RECORDS, HEADER } from '@emkit/codegen';
import type { Optimisations } from '@emkit/ir';
import type { CodeMap, Region, Tb } from './code-map.ts';
import { engine, nowMs } from './engine.ts';
import type { WasmMemory, WasmTable } from './engine.ts';
import type { TcgProfile } from './profile.ts';
import { RegionBuilder } from './region-builder.ts';
import type { RegionPlan } from './region-builder.ts';
import { EXEC } from './softmmu.ts';
import type { SoftMmu } from './softmmu.ts';
import type { Target } from './target.ts';
import type { TcgOptions } from './tcg-options.ts';

/** Executions in the cold tier before a block is compiled. */
const HOT_AFTER = 3000;
/** Most regions alive at once: function table entries, and a bound on the engine's memory for compiled code. */
export const MAX_REGIONS = 4096;
/** Regions compiled into one module at most. */
const BATCH = 24;
/** Exit records one region can need: a few for each instruction and edge. */
const MAX_EXITS = 2000;
/** Side exits of one record before its region is looked at again. */
const RECONSIDER_AFTER = 4000;

/** Executions before a block asks to be compiled; 0: never. */
export function executionsUntilHot({ tier, trace }: TcgOptions, { regions }: Optimisations): number {
  if (tier === 'cold' || !regions || trace?.exec !== undefined) return 0;
  return tier === 'hot' ? 2 : HOT_AFTER;
}

export interface HotTierOptions {
  readonly memory: WasmMemory;
  readonly table: WasmTable;
  readonly target: Target;
  readonly mmu: SoftMmu;
  readonly codeMap: CodeMap;
  readonly helpers: Record<string, unknown>;
  readonly hotAfter: number;
  readonly optimisations: Optimisations;
  /** `calld`: a helper that calls a device. */
  readonly callDevice: (id: number, a: number, b: number, c: number, d: number) => number;
  readonly nextPage: (lin: number) => number;
  readonly outAsm?: ((pc: number, module: Uint8Array) => void) | undefined;
  readonly profile?: TcgProfile | undefined;
}

export class HotTier {
  readonly #o: HotTierOptions;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;
  readonly #builder: RegionBuilder;
  readonly #callDevice: HotTierOptions['callDevice'];
  #pending: { tb: Tb; group: boolean }[] = [];
  /** Insertion order = age. */
  readonly #live = new Set<Region>();
  /** Regions over several pages that are armed: what a change of mappings must look at. */
  readonly #armed = new Set<Region>();
  readonly #freeEntries: number[] = [];
  readonly #freeRecords: number[] = [];
  #nextRecord = 1;
  readonly #regionOfRecord = new Map<number, Region>();
  /** Counts what may have made a running region's code another: regions dropped, mappings changed. */
  changes = 0;
  readonly stats = { modules: 0, regions: 0, bytes: 0, compileMs: 0, dropped: 0 };

  constructor(options: HotTierOptions) {
    this.#o = options;
    this.#callDevice = options.profile?.device(options.callDevice) ?? options.callDevice;
    this.#u16 = new Uint16Array(options.memory.buffer);
    this.#i32 = new Int32Array(options.memory.buffer);
    for (let k = MAX_REGIONS - 1; k >= 0; k--) this.#freeEntries.push(k);
    this.#builder = new RegionBuilder({
      memory: options.memory.buffer,
      target: options.target,
      mmu: options.mmu,
      codeMap: options.codeMap,
      hotAfter: options.hotAfter,
      optimisations: options.optimisations,
      helper: (n) => options.target.wasmHelpers[n],
      nextPage: options.nextPage,
    });
  }

  /** Regions alive. */
  get live(): number {
    return this.#live.size;
  }

  get waiting(): number {
    return this.#pending.length;
  }

  request(tb: Tb, group = this.#o.optimisations['tlb-groups']): void {
    if (tb.queued || tb.coldFirst) return;
    tb.queued = true;
    this.#pending.push({ tb, group });
  }

  #exitRecord(kind: number, pc: number, insns: number): number {
    const id = this.#freeRecords.pop() ?? this.#nextRecord++;
    const at = EXIT_RECORDS.BASE + id * EXIT_RECORDS.SIZE;
    this.#i32[(at + EXIT_RECORDS.PC) >> 2] = pc;
    this.#u16[(at + EXIT_RECORDS.KIND) >> 1] = kind;
    this.#u16[(at + EXIT_RECORDS.INSNS) >> 1] = insns;
    this.#i32[(at + EXIT_RECORDS.REFILLS) >> 2] = 0;
    this.#i32[(at + EXIT_RECORDS.COUNTDOWN) >> 2] = kind === EXIT_KIND.COLD ? RECONSIDER_AFTER : 0;
    return id;
  }

  /** Compile what has been asked for. Returns true when new regions are entered from now on. */
  compilePending(): boolean {
    if (this.#pending.length === 0) return false;
    const start = nowMs();
    while (this.#pending.length > 0) this.#compileBatch(this.#pending.splice(0, BATCH));
    this.stats.compileMs += nowMs() - start;
    this.#o.profile?.compiled(nowMs() - start);
    return true;
  }

  /** Room for a batch's exit records, at the price of the oldest regions. */
  #reserveRecords(): void {
    while (EXIT_RECORDS.COUNT - this.#nextRecord + this.#freeRecords.length < BATCH * MAX_EXITS && this.#live.size > 0)
      this.drop(this.#live.values().next().value as Region);
  }

  #compileBatch(batch: readonly { tb: Tb; group: boolean }[]): void {
    this.#reserveRecords();
    const module = this.#builder.startModule();
    const built: RegionPlan[] = [];
    for (const { tb, group } of batch) {
      tb.queued = false;
      if (!tb.alive || tb.region !== null) continue;
      const plan = this.#builder.plan(tb, group);
      if (module.add(plan)) built.push(plan);
    }
    if (built.length === 0) return;
    const recordsOf: number[][] = built.map(() => []);
    const bytes = module.finish((k, kind, pc, insns) => {
      const id = this.#exitRecord(kind, pc, insns);
      recordsOf[k].push(id);
      return id;
    });
    this.stats.modules++;
    this.stats.bytes += bytes.length;
    this.#o.outAsm?.(built[0].head.pc, bytes);
    const instance = new engine.Instance(new engine.Module(bytes), {
      env: { memory: this.#o.memory, calld: this.#callDevice },
      helpers: this.#o.helpers,
    });
    built.forEach((plan, k) => this.#install(plan, instance.exports[`r${k}`], recordsOf[k]));
  }

  #install(plan: RegionPlan, fn: unknown, exits: number[]): void {
    while (this.#freeEntries.length === 0) this.drop(this.#live.values().next().value as Region);
    const entry = this.#freeEntries.pop()!;
    this.#o.table.set(entry, fn);
    const { head } = plan;
    const { mmu, target } = this.#o;
    const pageOf = (tb: Tb): number => mmu.page(target.linear(tb.pc, tb.csBase, tb.flags));
    const pages = new Map<number, number>();
    for (const { tb } of plan.nodes) {
      const page = pageOf(tb);
      pages.set(page, tb.host - (tb.host & 4095));
      if (tb.secondPage >= 0)
        pages.set(mmu.page(mmu.nextPage(mmu.pageAddress(page))), tb.secondPage - (tb.secondPage & 4095));
    }
    pages.delete(pageOf(head));
    const region: Region = {
      entry,
      head,
      blocks: plan.nodes.map((n) => n.tb),
      pages: [...pages].map(([page, host]) => ({ page, host })),
      exits,
      group: plan.group,
      checked: true,
      global: false,
    };
    head.region = region;
    for (const tb of region.blocks) tb.users.push(region);
    for (const id of exits) this.#regionOfRecord.set(id, region);
    this.#live.add(region);
    this.#o.profile?.installed(region);
    this.#arm(region);
    this.stats.regions++;
  }

  #arm(region: Region): void {
    this.#i32[(region.head.header + HEADER.ENTRY) >> 2] = region.entry;
    this.#u16[region.head.header >> 1] = COLD.HOT;
    region.checked = true;
    if (region.pages.length === 0) return;
    this.#armed.add(region);
    const { mmu } = this.#o;
    const user = this.#userOf(region.head);
    region.global = region.pages.every((p) => mmu.isGlobal(mmu.pageAddress(p.page), user));
  }

  #userOf(tb: Tb): number {
    const { target } = this.#o;
    return (tb.flags & target.userMask) === target.userValue ? 1 : 0;
  }

  #disarm(region: Region): void {
    this.#armed.delete(region);
    region.checked = false;
    this.#u16[region.head.header >> 1] = COLD.DEAD;
  }

  /** Forget a region; its head runs cold again and may become hot anew. */
  drop(region: Region): void {
    if (!this.#live.delete(region)) return;
    this.changes++;
    this.stats.dropped++;
    this.#o.profile?.dropped(region, this.#o.hotAfter);
    this.#armed.delete(region);
    this.#o.table.set(region.entry, null);
    this.#freeEntries.push(region.entry);
    for (const id of region.exits) this.#regionOfRecord.delete(id);
    this.#freeRecords.push(...region.exits);
    for (const tb of region.blocks) {
      const k = tb.users.indexOf(region);
      if (k >= 0) tb.users.splice(k, 1);
    }
    const { head } = region;
    head.region = null;
    if (head.alive) {
      this.#i32[(head.header + HEADER.COUNTER) >> 2] = this.#o.hotAfter;
      this.#u16[head.header >> 1] = COLD.HEADER;
    }
  }

  /** A block's code has changed. */
  invalidate(tb: Tb): void {
    this.#o.profile?.blockGone(tb);
    for (const region of [...tb.users]) this.drop(region);
  }

  /** Mappings may have changed, of global pages too or not: regions over several pages are looked at again before they run. */
  mappingsChanged(includeGlobal: boolean): void {
    this.changes++;
    for (const region of this.#armed) if (includeGlobal || !region.global) this.#disarm(region);
  }

  pageChanged(lin: number): void {
    this.changes++;
    if (this.#armed.size === 0) return;
    const page = this.#o.mmu.page(lin);
    for (const region of this.#armed) if (region.pages.some((p) => p.page === page)) this.#disarm(region);
  }

  /** The block found at the pc has a region that was made stale: arm it again if its pages still map as before. */
  revalidate(tb: Tb): void {
    const { region } = tb;
    if (region === null || region.checked) return;
    const { mmu } = this.#o;
    const user = this.#userOf(tb);
    for (const p of region.pages) {
      if (mmu.access(mmu.pageAddress(p.page), EXEC, user) !== p.host) {
        this.drop(region);
        return;
      }
    }
    this.#arm(region);
  }

  /** The live region that an exit record belongs to. For profiles. */
  regionOf(record: number): Region | undefined {
    return this.#regionOfRecord.get(record);
  }

  /** An exit record has been taken very often: a region that groups checks is compiled without, once. */
  reconsider(record: number): void {
    const at = EXIT_RECORDS.BASE + record * EXIT_RECORDS.SIZE;
    this.#i32[(at + EXIT_RECORDS.COUNTDOWN) >> 2] = 0x7fffffff;
    const region = this.#regionOfRecord.get(record);
    if (region !== undefined) this.#o.profile?.countdownReset(region, record);
    if (region === undefined || !region.group) return;
    const { head } = region;
    this.drop(region);
    this.request(head, false);
  }

  clear(): void {
    this.#o.profile?.flushing();
    for (const region of [...this.#live]) this.drop(region);
    this.#pending = [];
  }
}
