/**
 * A profile's books of regions and blocks: how often each was entered, and how it was left. Nothing is counted here: every exit of a
 * region counts its record's COUNTDOWN down and every run of a cold block its header's COUNTER; this remembers where they
 * began, and reads them before they are reused.
 */
import { COLD, EXIT_KIND, EXIT_RECORDS, HEADER } from '@emkit/codegen';
import type { Region, Tb } from './code-map.ts';

/** What is known of a region; compiled again, it goes on with the same numbers. */
export interface RegionCounts {
  /** Linear number of the head. */
  readonly address: number;
  readonly user: boolean;
  blocks: number;
  insns: number;
  pages: number;
  compilations: number;
  /** Times it was entered: it leaves as often. */
  entries: number;
  /** By EXIT_KIND, its name in lower case. */
  readonly exits: Map<string, number>;
  /** Instructions at which it left to the cold tier: linear number to how often. */
  readonly coldAt: Map<number, number>;
  /** Dropped because code changed, mappings changed, or room was needed. */
  dropped: number;
}

export interface BlockCounts {
  readonly address: number;
  readonly user: boolean;
  readonly insns: number;
  /** Its first instruction needs script, so that it never becomes hot. */
  readonly coldOnly: boolean;
  executions: number;
}

export interface RegionBooksHost {
  readonly memory: ArrayBufferLike;
  linear(pc: number, csBase: number, flags: number): number;
  user(flags: number): boolean;
}

/** Numbers of a region's exit records. */
function* exitsOf({ firstExit, exitCount }: Region): Generator<number> {
  for (let id = firstExit; id < firstExit + exitCount; id++) yield id;
}

const KIND_NAMES = new Map<number, string>(Object.entries(EXIT_KIND).map(([name, kind]) => [kind, name.toLowerCase()]));

export class RegionBooks {
  readonly #host: RegionBooksHost;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #regions = new Map<string, RegionCounts>();
  readonly #blocks = new Map<string, BlockCounts>();
  readonly #live = new Set<Region>();
  /** Countdown of each record of live regions when it was last read. */
  readonly #countdown = new Map<number, number>();
  /** Counter of a block's header when it was last read or set; without one: as the encoder left it. */
  readonly #counter = new Map<Tb, number>();

  constructor(host: RegionBooksHost) {
    this.#host = host;
    this.#i32 = new Int32Array(host.memory);
    this.#u16 = new Uint16Array(host.memory);
  }

  get regions(): readonly RegionCounts[] {
    for (const region of this.#live) this.#readExits(region);
    return [...this.#regions.values()];
  }

  /** Blocks that have run in the cold tier, those that are alive among them. */
  blocks(alive: Iterable<Tb>): readonly BlockCounts[] {
    for (const tb of alive) this.readBlock(tb);
    return [...this.#blocks.values()];
  }

  countsOf(region: Region): RegionCounts | undefined {
    return this.#regions.get(this.#key(region.head));
  }

  /** After its records were made and before the headers of its entries are turned. */
  installed(region: Region): void {
    for (const tb of region.entries.keys()) this.readBlock(tb);
    const { head } = region;
    const key = this.#key(head);
    let counts = this.#regions.get(key);
    if (counts === undefined) {
      counts = {
        address: this.#host.linear(head.pc, head.csBase, head.flags),
        user: this.#host.user(head.flags),
        blocks: 0,
        insns: 0,
        pages: 0,
        compilations: 0,
        entries: 0,
        exits: new Map(),
        coldAt: new Map(),
        dropped: 0,
      };
      this.#regions.set(key, counts);
    }
    counts.blocks = region.blocks.length;
    counts.insns = region.blocks.reduce((sum, tb) => sum + tb.insns, 0);
    counts.pages = region.pages.length + 1;
    counts.compilations++;
    this.#live.add(region);
    for (const id of exitsOf(region)) this.#countdown.set(id, this.#i32[this.#countdownAt(id)]);
  }

  /** Before its records are given away. `counter`: what its head's header starts from again. */
  dropped(region: Region, counter: number): void {
    if (!this.#live.delete(region)) return;
    this.#readExits(region);
    for (const id of exitsOf(region)) this.#countdown.delete(id);
    const counts = this.countsOf(region);
    if (counts !== undefined) counts.dropped++;
    for (const tb of region.entries.keys()) this.#counter.set(tb, counter);
  }

  /** A countdown that had run out was set anew. */
  reset(region: Region, id: number): void {
    const before = this.#countdown.get(id);
    if (before === undefined) return;
    this.#count(region, id, before);
    this.#countdown.set(id, this.#i32[this.#countdownAt(id)]);
  }

  #countdownAt(id: number): number {
    return (EXIT_RECORDS.BASE + id * EXIT_RECORDS.SIZE + EXIT_RECORDS.COUNTDOWN) >> 2;
  }

  #readExits(region: Region): void {
    for (const id of exitsOf(region)) {
      const now = this.#i32[this.#countdownAt(id)];
      const before = this.#countdown.get(id) ?? now;
      this.#countdown.set(id, now);
      this.#count(region, id, (before - now) >>> 0);
    }
  }

  #count(region: Region, id: number, times: number): void {
    const counts = this.countsOf(region);
    if (times === 0 || counts === undefined) return;
    const at = EXIT_RECORDS.BASE + id * EXIT_RECORDS.SIZE;
    const kind = this.#u16[(at + EXIT_RECORDS.KIND) >> 1];
    counts.entries += times;
    const name = KIND_NAMES.get(kind) ?? String(kind);
    counts.exits.set(name, (counts.exits.get(name) ?? 0) + times);
    if (kind !== EXIT_KIND.COLD) return;
    const { head } = region;
    const where = this.#host.linear(this.#i32[(at + EXIT_RECORDS.PC) >> 2], head.csBase, head.flags);
    counts.coldAt.set(where, (counts.coldAt.get(where) ?? 0) + times);
  }

  /** Before a block goes, or its counter is set anew. */
  readBlock(tb: Tb): void {
    if (this.#u16[tb.header >> 1] !== COLD.HEADER) return;
    const now = this.#i32[(tb.header + HEADER.COUNTER) >> 2];
    const before = this.#counter.get(tb) ?? tb.firstCounter;
    this.#counter.set(tb, now);
    const times = (before - now) >>> 0;
    if (times === 0) return;
    const key = this.#key(tb);
    let counts = this.#blocks.get(key);
    if (counts === undefined) {
      counts = {
        address: this.#host.linear(tb.pc, tb.csBase, tb.flags),
        user: this.#host.user(tb.flags),
        insns: tb.insns,
        coldOnly: tb.coldFirst,
        executions: 0,
      };
      this.#blocks.set(key, counts);
    }
    counts.executions += times;
  }

  /** The block's counter was set by the accelerator, not by running. */
  setCounter(tb: Tb): void {
    this.#counter.set(tb, this.#i32[(tb.header + HEADER.COUNTER) >> 2]);
  }

  /** The block is gone. */
  forget(tb: Tb): void {
    this.readBlock(tb);
    this.#counter.delete(tb);
  }

  #key(tb: Tb): string {
    return `${tb.pc | 0}:${tb.csBase}:${tb.flags}`;
  }
}
