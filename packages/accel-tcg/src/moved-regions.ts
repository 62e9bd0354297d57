/**
 * The same code mapped elsewhere: the next process of a program has it at another address. What a region was compiled to is kept with what
 * its blocks are made of, and found by the host address of an entry; run elsewhere it is another instance of the module, with a distance
 * (`code_offset`) and exit records of its own. So nothing is compiled again.
 */
import { EXIT_KIND } from '@emkit/codegen';
import type { WasmModule } from './engine.ts';
import type { Region, Tb } from './code-map.ts';
import { EXIT_WORDS } from './exit-records.ts';

/** Most that are kept: each holds its module. */
const MAX_KEPT = 8192;
/** Most places at which one runs: others are those of processes that are gone, as far as anybody knows. */
const MAX_PLACES = 4;
/** Distance from where another window begins, or where addresses end, within which nothing is moved: more than a branch reaches is asked below. */
const MARGIN = 0x1_0000;
/** User addresses end here, less what a branch reaches: farther up one might leave the canonical addresses. */
const LIMIT = 2 ** 47 - 2 ** 31;
const WINDOW = 2 ** 32;

/** What a region was compiled to. */
export interface Compiled {
  readonly module: WasmModule;
  /** Its function's name there. */
  readonly name: string;
  readonly head: Tb;
  /** By number. */
  readonly entries: readonly Tb[];
  readonly blocks: readonly Tb[];
  /** EXIT_WORDS for each of its exits, and the number that the first has in its code. */
  readonly exits: Int32Array;
  readonly firstRecord: number;
  readonly group: boolean;
  readonly generation: number;
  /** Where it runs, by the distance from where it was translated, oldest first. */
  readonly places: Map<number, Region>;
}

/** Pcs of a list of exits; those of other kinds have theirs in env. */
function exitPcs(exits: Int32Array): number[] {
  const pcs: number[] = [];
  for (let k = 0; k < exits.length; k += EXIT_WORDS) if (hasPc(exits[k])) pcs.push(exits[k + 1]);
  return pcs;
}
const hasPc = (kind: number): boolean =>
  kind === EXIT_KIND.JUMP || kind === EXIT_KIND.COLD || kind === EXIT_KIND.BUDGET;

/** The same exits where the region runs. */
export const exitsAt = ({ exits }: Pick<Compiled, 'exits'>, offset: number): Int32Array =>
  exits.map((word, k) => (k % EXIT_WORDS === 1 ? (word + offset) | 0 : word));

/** Can code at these linear addresses, all of one window, be translated so that it runs elsewhere, or run there? */
export function isMovable(low: number, high: number): boolean {
  const from = low - MARGIN;
  const to = high + MARGIN;
  return from >= 0 && to < LIMIT && Math.floor(from / WINDOW) === Math.floor(to / WINDOW);
}

export interface MovedRegionsHost {
  readonly linear: (tb: Tb) => number;
  readonly drop: (region: Region) => void;
}

interface Entry {
  readonly compiled: Compiled;
  readonly number: number;
}

export class MovedRegions {
  readonly #host: MovedRegionsHost;
  readonly #byHost = new Map<number, Entry>();
  /** Insertion order = age. */
  readonly #kept = new Set<Compiled>();

  constructor(host: MovedRegionsHost) {
    this.#host = host;
  }

  /** Linear addresses between which all of a region's code and jumps lie. */
  #span({ blocks, exits }: Pick<Compiled, 'blocks' | 'exits'>): { low: number; high: number } {
    const first = this.#host.linear(blocks[0]);
    const window = first - (blocks[0].pc >>> 0);
    let low = first;
    let high = first;
    for (const pc of [...blocks.map((tb) => tb.pc), ...exitPcs(exits)]) {
      low = Math.min(low, window + (pc >>> 0));
      high = Math.max(high, window + (pc >>> 0));
    }
    return { low, high };
  }

  keep(compiled: Compiled): void {
    const { low, high } = this.#span(compiled);
    if (!isMovable(low, high)) return;
    if (this.#kept.size >= MAX_KEPT) this.forget(this.#kept.values().next().value as Compiled);
    this.#kept.add(compiled);
    compiled.entries.forEach((tb, number) => this.#byHost.set(tb.host, { compiled, number }));
    for (const tb of compiled.blocks) (tb.compiled ??= new Set()).add(compiled);
  }

  forget(compiled: Compiled): void {
    if (!this.#kept.delete(compiled)) return;
    for (const tb of compiled.entries)
      if (this.#byHost.get(tb.host)?.compiled === compiled) this.#byHost.delete(tb.host);
    for (const tb of compiled.blocks) tb.compiled?.delete(compiled);
  }

  /** What the block's code was compiled to as an entry, and how far away, if it can run there. */
  find(tb: Tb): { compiled: Compiled; number: number; offset: number } | null {
    const entry = this.#byHost.get(tb.host);
    if (entry === undefined) return null;
    const { compiled, number } = entry;
    if (compiled.head.flags !== tb.flags) return null;
    const offset = this.#host.linear(tb) - this.#host.linear(compiled.entries[number]);
    if ((offset & 4095) !== 0) return null;
    if (offset !== 0) {
      const { low, high } = this.#span(compiled);
      if (!isMovable(low + offset, high + offset)) return null;
    }
    return { compiled, number, offset };
  }

  /** Room for one more place. */
  makeRoom({ places }: Compiled): void {
    if (places.size >= MAX_PLACES) this.#host.drop(places.values().next().value as Region);
  }

  /** A block's code has changed. */
  changed(tb: Tb): void {
    if (tb.compiled !== null) for (const compiled of tb.compiled) this.forget(compiled);
  }

  clear(): void {
    this.#kept.clear();
    this.#byHost.clear();
  }
}
