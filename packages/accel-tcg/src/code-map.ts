/**
 * The block cache's books: which translation blocks exist, by host address of their first byte (so that two mappings
 * of one RAM page share, and aliases are invalidated together), and which bytes of which pages they cover.
 * Exact under self-modifying code: a write drops just the blocks whose bytes it touches; data beside code costs one
 * look at a bitmap of 64-byte granules.
 */

import { CODE_PAGES, GRANULES, isPlace } from '@emkit/codegen';

export interface Region {
  /** Index in the function table. */
  readonly entry: number;
  /** Block from which it was formed. */
  readonly head: Tb;
  /** Blocks whose headers enter it, and the number of the entry. */
  readonly entries: Map<Tb, number>;
  /** Blocks of whose code it is made, and its entries. */
  readonly blocks: Tb[];
  /** It runs wherever its code is mapped. */
  readonly movable: boolean;
  /** Where it may be entered now, see `CodePlaces.current`. */
  place: number;
  /** Pages besides that of the entries, all if those are several (`SoftMmu.page`), and the host page each must map to. Empty: always valid. */
  readonly pages: readonly { readonly page: number; readonly host: number }[];
  /** Its exit records, in a row. */
  readonly firstExit: number;
  readonly exitCount: number;
  readonly group: boolean;
  /** How often it was made anew to take in what its exits led to. */
  readonly generation: number;
  /** `ExitRecords.state` of its records when it was last spared. */
  seen: number;
  /** Pages were looked at since the last TLB flush. */
  checked: boolean;
  /** All of them were global pages then: only a flush of everything counts. */
  global: boolean;
}

export class Tb {
  readonly pc: number;
  readonly csBase: number;
  readonly flags: number;
  /** Host offset of the first byte, bytes covered, and host offset of the second page's part (-1: one page). */
  readonly host: number;
  readonly bytes: number;
  readonly secondPage: number;
  readonly insns: number;
  /** It runs wherever its code is mapped; pc and CS base are those for which it was translated. */
  movable = false;
  /** Addresses of the cold stream's header and of its terminator. */
  header = 0;
  terminator = 0;
  /** What the header's counter began with. */
  firstCounter = 0;
  /** Block-relative offsets of 4-byte immediates that the translation reads from memory: writing them changes nothing. */
  holes: readonly number[] = [];
  /** Flags at the terminator, -1 unknown; return pc of a call, -1 none. */
  exitFlags = -1;
  callReturn = -1;
  /** Terminator: direct successors (-1 none) and kind. */
  taken = -1;
  notTaken = -1;
  indirect = false;
  isReturn = false;
  /** The first instruction exists only in the cold tier, in hot translations too: never promoted. */
  coldFirst = false;
  /** Compiled region entered at this block. */
  region: Region | null = null;
  /** Regions that contain this block's code. */
  users: Region[] = [];
  /** How often its region could not be entered since a page was not there yet. */
  waits = 0;
  next: Tb | null = null;
  alive = true;
  /** Waiting to be compiled. */
  queued = false;
  /** Entry of a region that is being compiled. */
  claimed = false;

  constructor(
    pc: number,
    csBase: number,
    flags: number,
    host: number,
    bytes: number,
    secondPage: number,
    insns: number,
  ) {
    this.pc = pc;
    this.csBase = csBase;
    this.flags = flags;
    this.host = host;
    this.bytes = bytes;
    this.secondPage = secondPage;
    this.insns = insns;
  }
}

/** Writes to a page without code before it counts as data again. */
const IDLE_WRITES = 64;

class CodePage {
  readonly tbs: Tb[] = [];
  /** Its granules in memory, where generated code looks at them: index of two words. */
  readonly #granules: Int32Array;
  readonly #word: number;
  /** Writes seen since the page last lost all its code. */
  idleWrites = 0;

  constructor(granules: Int32Array, page: number) {
    this.#granules = granules;
    this.#word = (GRANULES.BASE >> 2) + page * 2;
    this.clear();
  }

  clear(): void {
    this.#granules[this.#word] = 0;
    this.#granules[this.#word + 1] = 0;
  }
  mark(from: number, to: number): void {
    for (let g = from >> 6; g <= (to - 1) >> 6; g++) {
      this.#granules[this.#word + (g >> 5)] |= 1 << (g & 31);
    }
  }
  touches(from: number, to: number): boolean {
    for (let g = from >> 6; g <= (to - 1) >> 6; g++) {
      if (((this.#granules[this.#word + (g >> 5)] >>> (g & 31)) & 1) !== 0) return true;
    }
    return false;
  }
}

export class CodeMap {
  readonly #memory: Int32Array;
  readonly #byHost = new Map<number, Tb>();
  readonly #pages = new Map<number, CodePage>();
  /** A bit for each host page that holds code, where the page walker looks too. */
  readonly #codePages: Uint8Array;
  count = 0;

  constructor(memory: ArrayBufferLike) {
    this.#memory = new Int32Array(memory);
    this.#codePages = new Uint8Array(memory, CODE_PAGES.BASE, CODE_PAGES.BYTES);
  }

  /** Stores to such a host page take the slow path. */
  isCodePage(page: number): boolean {
    return ((this.#codePages[page >>> 3] >>> (page & 7)) & 1) !== 0;
  }
  #setCodePage(page: number, on: boolean): void {
    if (on) this.#codePages[page >>> 3] |= 1 << (page & 7);
    else this.#codePages[page >>> 3] &= ~(1 << (page & 7));
  }

  find(host: number, pc: number, flags: number, csBase: number): Tb | null {
    let tb = this.#byHost.get(host) ?? null;
    while (tb !== null && (tb.pc !== pc || tb.flags !== flags || tb.csBase !== csBase)) tb = tb.next;
    return tb;
  }

  /** The block to run at this pc, which may have been translated for another. */
  findHere(host: number, pc: number, flags: number, csBase: number): Tb | null {
    let tb = this.#byHost.get(host) ?? null;
    for (; tb !== null; tb = tb.next) {
      if (tb.flags !== flags) continue;
      if ((tb.pc === pc && tb.csBase === csBase) || (tb.movable && isPlace(pc, csBase))) return tb;
    }
    return null;
  }

  /** Returns true when a page held no code before: its write permission must leave the TLB. */
  insert(tb: Tb): boolean {
    tb.next = this.#byHost.get(tb.host) ?? null;
    this.#byHost.set(tb.host, tb);
    this.count++;
    const offset = tb.host & 4095;
    const first = Math.min(tb.bytes, 4096 - offset);
    let fresh = this.#cover(tb, tb.host >>> 12, offset, offset + first);
    if (tb.secondPage >= 0) fresh = this.#cover(tb, tb.secondPage >>> 12, 0, tb.bytes - first) || fresh;
    return fresh;
  }

  #cover(tb: Tb, page: number, from: number, to: number): boolean {
    let p = this.#pages.get(page);
    const fresh = p === undefined;
    if (p === undefined) {
      p = new CodePage(this.#memory, page);
      this.#pages.set(page, p);
      this.#setCodePage(page, true);
    }
    p.tbs.push(tb);
    p.mark(from, to);
    return fresh;
  }

  /** Does a write of [host, host + length) inside one page touch code granules? */
  touches(host: number, length: number): boolean {
    const p = this.#pages.get(host >>> 12);
    if (p === undefined) return false;
    if (p.touches(host & 4095, (host & 4095) + length)) return true;
    if (p.tbs.length === 0 && ++p.idleWrites > IDLE_WRITES) {
      this.#pages.delete(host >>> 12);
      this.#setCodePage(host >>> 12, false);
    }
    return false;
  }

  /** Blocks with bytes in [host, host + length), which lies in one page. */
  overlapping(host: number, length: number): Tb[] {
    const p = this.#pages.get(host >>> 12);
    if (p === undefined) return [];
    return p.tbs.filter((tb) => {
      const offset = tb.host & 4095;
      const first = Math.min(tb.bytes, 4096 - offset);
      if (tb.host >>> 12 === host >>> 12 && tb.host < host + length && host < tb.host + first)
        return !inHole(tb, host - tb.host, length);
      return tb.secondPage >= 0 && tb.secondPage >>> 12 === host >>> 12 && (host & 4095) < tb.bytes - first;
    });
  }

  remove(tb: Tb): void {
    let link = this.#byHost.get(tb.host) ?? null;
    if (link === tb) {
      if (tb.next === null) this.#byHost.delete(tb.host);
      else this.#byHost.set(tb.host, tb.next);
    } else {
      while (link !== null && link.next !== tb) link = link.next;
      if (link !== null) link.next = tb.next;
    }
    tb.alive = false;
    this.count--;
    this.#uncover(tb, tb.host >>> 12);
    if (tb.secondPage >= 0) this.#uncover(tb, tb.secondPage >>> 12);
  }

  #uncover(tb: Tb, page: number): void {
    const p = this.#pages.get(page);
    if (p === undefined) return;
    const k = p.tbs.indexOf(tb);
    if (k >= 0) p.tbs.splice(k, 1);
    // An empty page stays protected for a while: code that is rewritten again and again would pay for protecting it anew.
    p.idleWrites = 0;
    p.clear();
    for (const t of p.tbs) {
      const offset = t.host & 4095;
      const first = Math.min(t.bytes, 4096 - offset);
      if (t.host >>> 12 === page) p.mark(offset, offset + first);
      else p.mark(0, t.bytes - first);
    }
  }

  /** All blocks with code in a host page. */
  inPage(page: number): readonly Tb[] {
    return this.#pages.get(page)?.tbs ?? [];
  }

  /** Forget everything. */
  clear(): void {
    for (const [page, p] of this.#pages) {
      this.#setCodePage(page, false);
      p.clear();
    }
    for (const tb of this.#byHost.values()) {
      for (let t: Tb | null = tb; t !== null; t = t.next) t.alive = false;
    }
    this.#byHost.clear();
    this.#pages.clear();
    this.count = 0;
  }
}

/** Does a write at a block-relative offset lie wholly in an immediate that the block reads when it runs? */
function inHole(tb: Tb, offset: number, length: number): boolean {
  for (const hole of tb.holes) if (offset >= hole && offset + length <= hole + 4) return true;
  return false;
}
