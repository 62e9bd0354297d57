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
import { ENV_BASE, TLB } from '@emkit/codegen';
import { createPageInfo, PAGE_RAM, PAGE_ROM } from '@emkit/memory';
import type { AddressSpace } from '@emkit/memory';
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
/** Fills remembered for cheap flushes; beyond that a flush clears the tables. */
const FILL_LOG = 2048;
/** In HOST_PAGE: the page may be written, whatever its write tag says; the tag is withheld while it holds code. */
const MAY_WRITE = 1 << 31;

export class SoftMmu {
  readonly #i32: Int32Array;
  readonly #space: AddressSpace;
  readonly #codePages: Uint8Array;
  readonly #page = createPageInfo();
  readonly #global = new Uint8Array(TLB.ENTRIES * TLB.MODES);
  readonly #log = new Int32Array(FILL_LOG);
  #logged = 0;
  #overflow = true;
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
  /** Counters for profiles. */
  fills = 0;
  flushes = 0;

  constructor(memory: ArrayBufferLike, space: AddressSpace, codePages: Uint8Array) {
    this.#i32 = new Int32Array(memory);
    this.#space = space;
    this.#codePages = codePages;
    this.#i32.fill(-1, BASE_WORD, BASE_WORD + MODE_WORDS * TLB.MODES);
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
    if (this.#matches(e, lin, kind)) return (lin + this.#i32[e + (TLB.ADDEND >> 2)]) >>> 0;
    return this.#miss(lin, kind, user, e);
  }

  /** As `access`, but -1 when the TLB does not know. */
  hit(lin: number, kind: number, user: number): number {
    const e = BASE_WORD + user * MODE_WORDS + ((lin >>> 12) & (TLB.ENTRIES - 1)) * ENTRY_WORDS;
    return this.#matches(e, lin, kind) ? (lin + this.#i32[e + (TLB.ADDEND >> 2)]) >>> 0 : -1;
  }

  #miss(lin: number, kind: number, user: number, e: number): number {
    const target = this.#target;
    if (kind === WRITE && this.#matches(e, lin, READ) && this.#i32[e + (TLB.HOST_PAGE >> 2)] < 0)
      return this.#codePage(lin, e);
    if (!target.walk(lin, kind, user !== 0)) return ACCESS_FAULT;
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
    const isCode = this.#codePages[host >>> 12] !== 0;
    if (this.#watched !== null && this.#watched.has(this.page(lin))) {
      i32[e] = i32[e + 2] = i32[e + 4] = -1;
      this.ramHost = host + (lin & 4095);
      this.rom = isRom;
      return kind === EXEC ? this.ramHost : ACCESS_WATCH;
    }
    this.fills++;
    const index = (user * TLB.ENTRIES + ((lin >>> 12) & (TLB.ENTRIES - 1))) | 0;
    i32[e] = (prot & 1) !== 0 ? page : -1;
    i32[e + 2] = (prot & 2) !== 0 && !isRom && !isCode ? page : -1;
    i32[e + 4] = (prot & 4) !== 0 ? page : -1;
    i32[e + 1] = i32[e + 3] = i32[e + 5] = this.long ? target.highHalf(lin) : 0;
    i32[e + (TLB.ADDEND >> 2)] = (host - page) | 0;
    const writable = (prot & 2) !== 0 && !isRom;
    i32[e + (TLB.HOST_PAGE >> 2)] = (host >>> 12) | (writable ? MAY_WRITE : 0);
    this.#global[index] = target.walkGlobal ? 1 : 0;
    if (this.#logged < FILL_LOG) this.#log[this.#logged++] = index;
    else this.#overflow = true;
    if (kind === WRITE && (isRom || isCode)) {
      this.ramHost = host + (lin & 4095);
      this.rom = isRom;
      return ACCESS_CODE;
    }
    return host + (lin & 4095);
  }

  /** Write to a page that is mapped writable, but holds (or held) code: no walk is needed. */
  #codePage(lin: number, e: number): number {
    const host = (lin + this.#i32[e + (TLB.ADDEND >> 2)]) >>> 0;
    if (this.#codePages[host >>> 12] === 0) {
      this.#i32[e + 2] = lin & ~4095;
      return host;
    }
    this.ramHost = host;
    this.rom = false;
    return ACCESS_CODE;
  }

  /** A page begins to hold code: no entry may allow plain stores to it any more. */
  protectCode(hostPage: number): void {
    const i32 = this.#i32;
    for (let k = 0; k < TLB.ENTRIES * TLB.MODES; k++) {
      const e = BASE_WORD + k * ENTRY_WORDS;
      if ((i32[e + (TLB.HOST_PAGE >> 2)] & ~MAY_WRITE) === hostPage) i32[e + 2] = -1;
    }
  }

  /** A page holds no code any more: the entry of this linear page allows stores again at its next miss. */
  flush(includeGlobal: boolean): void {
    this.flushes++;
    const i32 = this.#i32;
    if (this.#overflow) {
      if (includeGlobal) {
        i32.fill(-1, BASE_WORD, BASE_WORD + MODE_WORDS * TLB.MODES);
        this.#logged = 0;
        this.#overflow = false;
        return;
      }
      let kept = 0;
      let all = true;
      for (let k = 0; k < TLB.ENTRIES * TLB.MODES; k++) {
        const e = BASE_WORD + k * ENTRY_WORDS;
        if (i32[e] === -1 && i32[e + 4] === -1 && i32[e + 2] === -1) continue;
        if (this.#global[k] === 0) this.#drop(e);
        else if (kept < FILL_LOG) this.#log[kept++] = k;
        else all = false;
      }
      this.#logged = kept;
      this.#overflow = !all;
      return;
    }
    let kept = 0;
    for (let n = 0; n < this.#logged; n++) {
      const k = this.#log[n];
      if (!includeGlobal && this.#global[k] !== 0) this.#log[kept++] = k;
      else this.#drop(BASE_WORD + k * ENTRY_WORDS);
    }
    this.#logged = kept;
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
    i32[e + (TLB.HOST_PAGE >> 2)] = 0;
  }

  /** Pages (`page`) whose accesses must be seen. */
  watch(pages: Set<number> | null): void {
    this.#watched = pages !== null && pages.size > 0 ? pages : null;
    this.flush(true);
  }
}
