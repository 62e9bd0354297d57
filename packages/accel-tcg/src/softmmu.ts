/**
 * The softmmu: fills and flushes the TLB that generated code checks, and does every access that misses it: page walks,
 * device registers, page crossings, pages that hold translated code, watched pages.
 *
 * Results of an access are small integers, no exceptions: a host offset >= 0 of plain RAM, or ACCESS_IO (the physical
 * address is in `phys`), ACCESS_FAULT (the target has recorded nothing yet), ACCESS_CODE and ACCESS_WATCH (RAM at
 * `ramHost`, but a write must be looked at first).
 *
 * A linear address is a number, see `Target.linear`. Tags are 64-bit; without the target's `longMask` generated code compares
 * low halves, so the high ones are 0, and an address may be given as a signed 32-bit number too.
 */
import { ENV_BASE, IN_GLOBAL, IN_LOCAL, IS_GLOBAL, MAY_WRITE, MMU, PAGE_NUMBER, TLB } from '@emkit/codegen';
import { createPageInfo, PAGE_RAM, PAGE_ROM } from '@emkit/memory';
import type { AddressSpace } from '@emkit/memory';
import type { CodeMap } from './code-map.ts';
import { writeRamRanges } from './ram-ranges.ts';
import type { Target } from './target.ts';

export const ACCESS_IO = -1;
export const ACCESS_FAULT = -2;
/** RAM in a page that holds code, or ROM: `ramHost`, `romPage`. */
export const ACCESS_CODE = -3;
export const ACCESS_WATCH = -4;

export const READ = 0;
export const WRITE = 1;
export const EXEC = 2;

const ENTRY_WORDS = TLB.ENTRY_SIZE >> 2;
const MODE_WORDS = TLB.MODE_SIZE >> 2;
const BASE_WORD = TLB.BASE >> 2;
const HOST_PAGE = TLB.HOST_PAGE >> 2;
const ADDEND = TLB.ADDEND >> 2;
const IN_LIST = IN_LOCAL | IN_GLOBAL;

export class SoftMmu {
  readonly #i32: Int32Array;
  readonly #space: AddressSpace;
  readonly #u16: Uint16Array;
  readonly #codeMap: Pick<CodeMap, 'isCodePage'>;
  readonly #page = createPageInfo();
  #target!: Target;
  /** Word of env with the flags, and the flag that says how wide addresses are. */
  #flags = 0;
  #longMask = 0;
  /** Pages (`page`) that must always take the slow path (watchpoints); null when none. */
  #watched: Set<number> | null = null;
  /** Physical address of the last ACCESS_IO, host offset of the last ACCESS_CODE or ACCESS_WATCH. */
  phys = 0;
  ramHost = 0;
  /** The last ACCESS_CODE was to read-only memory. */
  rom = false;
  /** The page walker in WebAssembly: does what is plain (see page-walker.ts of codegen). */
  walker: ((lo: number, hi: number, access: number, user: number) => number) | null = null;
  /** Counters for profiles: entries made by script; flushes. */
  scriptFills = 0;
  flushes = 0;

  constructor(memory: ArrayBufferLike, space: AddressSpace, codeMap: Pick<CodeMap, 'isCodePage'>) {
    const i32 = (this.#i32 = new Int32Array(memory));
    this.#u16 = new Uint16Array(memory);
    this.#space = space;
    this.#codeMap = codeMap;
    // all ones is no page, whatever the addend
    i32.fill(-1, BASE_WORD, BASE_WORD + TLB.MODES * MODE_WORDS);
    for (let e = BASE_WORD; e < BASE_WORD + TLB.MODES * MODE_WORDS; e += ENTRY_WORDS) i32[e + HOST_PAGE] = 0;
    space.addListener({ commit: () => writeRamRanges(i32, space.view.ranges) });
  }

  /** Entries made, by script and by the walker in WebAssembly. */
  get fills(): number {
    return this.scriptFills + this.walkerFills;
  }
  get walkerFills(): number {
    return this.#i32[MMU.FILLS >> 2] >>> 0;
  }

  attach(target: Target): void {
    this.#target = target;
    this.#flags = (ENV_BASE + target.offsets.flags) >> 2;
    this.#longMask = target.longMask;
  }

  /** Linear addresses have 64 bits now. */
  get long(): boolean {
    return (this.#i32[this.#flags]! & this.#longMask) !== 0;
  }
  /** The one number of an address that may be a signed 32-bit one where addresses have 32 bits. */
  number(lin: number): number {
    return this.long ? lin : lin >>> 0;
  }
  /** The number that stands for all of its address: to be compared. */
  oneNumber(lin: number): number {
    return this.long ? this.#target.oneNumber(lin) : lin >>> 0;
  }
  /** Page number, which lasts; and its address. */
  page(lin: number): number {
    return this.long ? this.#target.pageNumber(lin) : lin >>> 12;
  }
  pageAddress(page: number): number {
    return this.long ? this.#target.pageAddress(page) : page * 4096;
  }
  /** First address of the next page. */
  nextPage(lin: number): number {
    return this.number(lin - (lin & 4095) + 4096);
  }

  /** Does the entry's tag for this kind of access name the page? */
  #matches(e: number, lin: number, kind: number): boolean {
    const i32 = this.#i32;
    return i32[e + kind * 2] === (lin & ~4095) && (!this.long || i32[e + kind * 2 + 1] === this.#target.highHalf(lin));
  }

  /** Host offset for an access of bytes inside one page, or ACCESS_*. Hot path. */
  access(lin: number, kind: number, user: number): number {
    const e = BASE_WORD + user * MODE_WORDS + ((lin >>> 12) & (TLB.ENTRIES - 1)) * ENTRY_WORDS;
    if (this.#matches(e, lin, kind)) return (lin + this.#i32[e + ADDEND]) >>> 0;
    return this.#miss(lin, kind, user, e);
  }

  /** As `access`, but -1 when the TLB does not know. */
  hit(lin: number, kind: number, user: number): number {
    const e = BASE_WORD + user * MODE_WORDS + ((lin >>> 12) & (TLB.ENTRIES - 1)) * ENTRY_WORDS;
    return this.#matches(e, lin, kind) ? (lin + this.#i32[e + ADDEND]) >>> 0 : -1;
  }

  /** The TLB knows the page for fetches, and that its mapping is global. */
  isGlobal(lin: number, user: number): boolean {
    const e = BASE_WORD + user * MODE_WORDS + ((lin >>> 12) & (TLB.ENTRIES - 1)) * ENTRY_WORDS;
    return this.#matches(e, lin, EXEC) && (this.#i32[e + HOST_PAGE] & IS_GLOBAL) !== 0;
  }

  #miss(lin: number, kind: number, user: number, e: number): number {
    const target = this.#target;
    if (kind === WRITE && this.#matches(e, lin, READ) && this.#i32[e + HOST_PAGE] < 0) return this.#codePage(lin, e);
    if (this.walker !== null && this.walker(lin | 0, this.long ? target.highHalf(lin) : 0, kind, user) !== 0)
      return (lin + this.#i32[e + ADDEND]) >>> 0;
    if (!target.walk(lin, kind, user !== 0)) return ACCESS_FAULT;
    this.#allowWalker();
    const phys = target.walkPhys;
    const info = this.#page;
    const what = this.#space.lookupPage(Math.floor(phys / 4096), info);
    const i32 = this.#i32;
    const page = lin & ~4095;
    if (what !== PAGE_RAM && what !== PAGE_ROM) {
      this.phys = phys;
      i32[e] = i32[e + 2] = i32[e + 4] = -1;
      return ACCESS_IO;
    }
    const host = info.hostOffset;
    const prot = target.walkProt;
    const isRom = what === PAGE_ROM;
    const isCode = this.#codeMap.isCodePage(host >>> 12);
    if (this.#watched !== null && this.#watched.has(this.page(lin))) {
      i32[e] = i32[e + 2] = i32[e + 4] = -1;
      this.ramHost = host + (lin & 4095);
      this.rom = isRom;
      return kind === EXEC ? this.ramHost : ACCESS_WATCH;
    }
    this.scriptFills++;
    i32[e] = (prot & 1) !== 0 ? page : -1;
    i32[e + 2] = (prot & 2) !== 0 && !isRom && !isCode ? page : -1;
    i32[e + 4] = (prot & 4) !== 0 ? page : -1;
    i32[e + 1] = i32[e + 3] = i32[e + 5] = this.long ? target.highHalf(lin) : 0;
    i32[e + ADDEND] = (host - page) | 0;
    const writable = (prot & 2) !== 0 && !isRom;
    i32[e + HOST_PAGE] =
      (host >>> 12) | (writable ? MAY_WRITE : 0) | (target.walkGlobal ? IS_GLOBAL : 0) | (i32[e + HOST_PAGE] & IN_LIST);
    this.#list(e, target.walkGlobal);
    if (kind === WRITE && (isRom || isCode)) {
      this.ramHost = host + (lin & 4095);
      this.rom = isRom;
      return ACCESS_CODE;
    }
    return host + (lin & 4095);
  }

  /** Write to a page that is mapped writable, but holds (or held) code: no walk is needed. */
  #codePage(lin: number, e: number): number {
    const host = (lin + this.#i32[e + ADDEND]) >>> 0;
    if (!this.#codeMap.isCodePage(host >>> 12)) {
      this.#i32[e + 2] = lin & ~4095;
      return host;
    }
    this.ramHost = host;
    this.rom = false;
    return ACCESS_CODE;
  }

  /** After a flush of everything the walker in WebAssembly waits until the target has said how to walk. */
  #allowWalker(): void {
    const i32 = this.#i32;
    if (this.walker === null || i32[MMU.WALK >> 2] !== 0 || this.#watched !== null) return;
    i32[MMU.WALK >> 2] = this.#target.pageWalkControl?.() ?? 0;
  }

  /** Note that an entry is in use, once. */
  #list(e: number, isGlobal: boolean): void {
    const i32 = this.#i32;
    const bit = isGlobal ? IN_GLOBAL : IN_LOCAL;
    if ((i32[e + HOST_PAGE] & bit) !== 0) return;
    i32[e + HOST_PAGE] |= bit;
    const count = (isGlobal ? MMU.GLOBAL_COUNT : MMU.LOCAL_COUNT) >> 2;
    const list = (isGlobal ? MMU.GLOBAL_LIST : MMU.LOCAL_LIST) >> 1;
    this.#u16[list + i32[count]++] = (e - BASE_WORD) / ENTRY_WORDS;
  }

  /** A page begins to hold code: no entry may allow plain stores to it any more. */
  protectCode(hostPage: number): void {
    this.#protectIn(MMU.LOCAL_LIST, this.#i32[MMU.LOCAL_COUNT >> 2], hostPage);
    this.#protectIn(MMU.GLOBAL_LIST, this.#i32[MMU.GLOBAL_COUNT >> 2], hostPage);
  }
  #protectIn(list: number, count: number, hostPage: number): void {
    const i32 = this.#i32;
    for (let n = 0; n < count; n++) {
      const e = BASE_WORD + this.#u16[(list >> 1) + n] * ENTRY_WORDS;
      if ((i32[e + HOST_PAGE] & PAGE_NUMBER) === hostPage) i32[e + 2] = -1;
    }
  }

  /** Costs what has been filled since the last flush, not the size of the table. */
  flush(includeGlobal: boolean): void {
    this.flushes++;
    this.#dropListed(MMU.LOCAL_LIST, MMU.LOCAL_COUNT, IN_LOCAL, includeGlobal);
    if (!includeGlobal) return;
    this.#dropListed(MMU.GLOBAL_LIST, MMU.GLOBAL_COUNT, IN_GLOBAL, true);
    this.#i32[MMU.WALK >> 2] = 0;
  }

  #dropListed(list: number, count: number, bit: number, includeGlobal: boolean): void {
    const i32 = this.#i32;
    const n = i32[count >> 2];
    i32[count >> 2] = 0;
    for (let k = list >> 1; k < (list >> 1) + n; k++) {
      const e = BASE_WORD + this.#u16[k] * ENTRY_WORDS;
      const word = (i32[e + HOST_PAGE] &= ~bit);
      if (includeGlobal || (word & IS_GLOBAL) === 0) this.#drop(e);
    }
  }

  flushPage(lin: number): void {
    for (let user = 0; user < TLB.MODES; user++) this.forgetPage(lin, user);
  }

  /** The entry for one privilege is dropped, without a change of the mapping: the next access walks again. */
  forgetPage(lin: number, user: number): void {
    this.#drop(BASE_WORD + user * MODE_WORDS + ((lin >>> 12) & (TLB.ENTRIES - 1)) * ENTRY_WORDS);
  }

  #drop(e: number): void {
    const i32 = this.#i32;
    i32[e] = i32[e + 2] = i32[e + 4] = -1;
    i32[e + HOST_PAGE] &= IN_LIST;
  }

  /** Pages (`page`) whose accesses must be seen. */
  watch(pages: Set<number> | null): void {
    this.#watched = pages !== null && pages.size > 0 ? pages : null;
    this.flush(true);
  }
}
