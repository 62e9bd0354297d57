/**
 * The exit records of regions (`EXIT_RECORDS` of codegen): each region has a run of them, so that its code can be made before anybody
 * knows how many it needs, and in another thread. What an exit leads to, the dispatcher remembers in it (`LINK`), and in the jump cache: here is only until when that holds.
 */
import { CTL, EXIT_KIND, EXIT_RECORDS, INDIRECT_SAMPLE, JUMP_CACHE, LINK } from '@emkit/codegen';

/** Words of one exit in a compiled region's list: kind, pc, instructions. */
export const EXIT_WORDS = 3;
/** Side exits of one record before its region is looked at again. */
const RECONSIDER_AFTER = 4000;
/** Exits of one record to other regions before its region takes in what they lead to; eight times as many each time after. */
const GROW_AFTER = 50_000;
const MAX_GENERATIONS = 3;

interface Counting {
  /** How often the region has been made anew. */
  readonly generation: number;
  /** It may be made anew with what its exits lead to. */
  readonly grows: boolean;
  /** Of exits of kind INDIRECT one in INDIRECT_SAMPLE is counted. */
  readonly sampled: boolean;
}

/** Counted exits of a kind until the accelerator looks at the record, 0: never. */
export function countdownOf({ generation, grows, sampled }: Counting): (kind: number) => number {
  const exits = grows && generation < MAX_GENERATIONS ? GROW_AFTER << (3 * generation) : 0;
  return (kind) => {
    if (kind === EXIT_KIND.COLD) return RECONSIDER_AFTER;
    if (kind === EXIT_KIND.JUMP) return exits;
    if (kind === EXIT_KIND.INDIRECT) return sampled ? Math.ceil(exits / INDIRECT_SAMPLE) : exits;
    return 0;
  };
}

interface Run {
  first: number;
  count: number;
}

export class ExitRecords {
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  /** What is free, in order, no two beside each other. Record 0 is no exit. */
  readonly #free: Run[] = [{ first: 1, count: EXIT_RECORDS.COUNT - 1 }];
  /** Behind the last record that has ever been written. */
  #end = 1;
  /** How often links have ended: a region went, or mappings may have changed. */
  changes = 0;

  constructor(memory: ArrayBufferLike) {
    this.#i32 = new Int32Array(memory);
    this.#u16 = new Uint16Array(memory);
    this.#i32[CTL.LINKS >> 2] = 1 << LINK.GENERATION_SHIFT;
  }

  /** The first of `count` records in a row, or -1: there is no room for them. */
  take(count: number): number {
    const k = this.#free.findIndex((run) => run.count >= count);
    if (k < 0) return -1;
    const run = this.#free[k];
    const { first } = run;
    run.first += count;
    run.count -= count;
    if (run.count === 0) this.#free.splice(k, 1);
    return first;
  }

  give(first: number, count: number): void {
    if (count === 0) return;
    const free = this.#free;
    let k = free.findIndex((run) => run.first > first);
    if (k < 0) k = free.length;
    const before = k > 0 ? free[k - 1] : undefined;
    const after = k < free.length ? free[k] : undefined;
    const joinsBefore = before !== undefined && before.first + before.count === first;
    const joinsAfter = after !== undefined && first + count === after.first;
    if (joinsBefore && joinsAfter) {
      before.count += count + after.count;
      free.splice(k, 1);
    } else if (joinsBefore) before.count += count;
    else if (joinsAfter) {
      after.first = first;
      after.count += count;
    } else free.splice(k, 0, { first, count });
  }

  /** Of records in a row: another number whenever one of those exits was counted in between. */
  state(first: number, count: number): number {
    let sum = 0;
    let at = (EXIT_RECORDS.BASE + first * EXIT_RECORDS.SIZE + EXIT_RECORDS.COUNTDOWN) >> 2;
    for (let n = 0; n < count; n++, at += EXIT_RECORDS.SIZE >> 2) sum = (sum + this.#i32[at]) | 0;
    return sum;
  }

  /** `exits`: EXIT_WORDS for each record from `first` on; `countdown`: exits of that kind until it is looked at, 0: never. */
  write(first: number, exits: Int32Array, countdown: (kind: number) => number): void {
    this.#end = Math.max(this.#end, first + exits.length / EXIT_WORDS);
    for (let k = 0; k < exits.length; k += EXIT_WORDS) {
      const at = EXIT_RECORDS.BASE + (first + k / EXIT_WORDS) * EXIT_RECORDS.SIZE;
      this.#i32[(at + EXIT_RECORDS.PC) >> 2] = exits[k + 1];
      this.#u16[(at + EXIT_RECORDS.KIND) >> 1] = exits[k];
      this.#u16[(at + EXIT_RECORDS.INSNS) >> 1] = exits[k + 2];
      this.#i32[(at + EXIT_RECORDS.REFILLS) >> 2] = 0;
      this.#i32[(at + EXIT_RECORDS.COUNTDOWN) >> 2] = countdown(exits[k]);
    }
  }

  /** No link that there is holds any longer. */
  unlink(): void {
    this.changes++;
    const i32 = this.#i32;
    let generation = (i32[CTL.LINKS >> 2] >>> LINK.GENERATION_SHIFT) + 1;
    if (generation === LINK.GENERATIONS) {
      generation = 1; // has been before
      for (
        let at = EXIT_RECORDS.BASE;
        at < EXIT_RECORDS.BASE + this.#end * EXIT_RECORDS.SIZE;
        at += EXIT_RECORDS.SIZE
      ) {
        if (this.#u16[(at + EXIT_RECORDS.KIND) >> 1] === EXIT_KIND.JUMP) i32[(at + EXIT_RECORDS.LINK) >> 2] = 0;
      }
      const { BASE, ENTRIES, ENTRY_SIZE } = JUMP_CACHE;
      for (let e = BASE; e < BASE + ENTRIES * ENTRY_SIZE; e += ENTRY_SIZE) i32[(e + JUMP_CACHE.LINK) >> 2] = 0;
    }
    i32[CTL.LINKS >> 2] = generation << LINK.GENERATION_SHIFT;
  }
}
