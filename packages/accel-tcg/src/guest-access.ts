/**
 * Guest memory accesses made by script: the slow paths of generated code, and the accessors that the target's helpers
 * use. Values of the slow paths travel through CTL.VAL, 16 bytes, little-endian.
 *
 * Statuses: 0 done; FAULTED: a fault has been recorded with the target; ALONE: the write touches the block that
 * is running, nothing was done, the instruction must be repeated in a block of its own.
 */
import { CTL } from '@emkit/codegen';
import type { AddressSpace } from '@emkit/memory';
import { ACCESS_CODE, ACCESS_FAULT, ACCESS_IO, ACCESS_WATCH, READ, WRITE } from './softmmu.ts';
import type { SoftMmu } from './softmmu.ts';
import type { Target } from './target.ts';

export const DONE = 0;
export const FAULTED = 1;
export const RUN_ALONE = 2;

/** `kind` of a slow access: its size, and these. */
export const ACCESS_KIND = { SIZE: 31, FOR_WRITE: 32, STACK: 64, WIDE: 128 } as const;

export interface AccessHooks {
  /** RAM holding code is about to be written. True: the running block is hit and the write must wait. */
  codeWrite(host: number, length: number, mayDefer: boolean): boolean;
  /** A watched range was touched. */
  watched(lin: number, size: number, write: boolean): void;
}

const VAL = CTL.VAL;

export class GuestAccess {
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #u16: Uint16Array;
  readonly #mmu: SoftMmu;
  readonly #space: AddressSpace;
  readonly #hooks: AccessHooks;
  #target!: Target;

  constructor(memory: ArrayBufferLike, mmu: SoftMmu, space: AddressSpace, hooks: AccessHooks) {
    this.#u8 = new Uint8Array(memory);
    this.#u16 = new Uint16Array(memory);
    this.#i32 = new Int32Array(memory);
    this.#mmu = mmu;
    this.#space = space;
    this.#hooks = hooks;
  }

  attach(target: Target): void {
    this.#target = target;
  }

  // --- slow paths of generated code ---------------------------------------------------------------------------
  /** Load to CTL.VAL from the address whose halves are given. */
  slowLoad(lo: number, hi: number, kind: number, user: number): number {
    const size = kind & ACCESS_KIND.SIZE;
    if (!this.#canonical(lo, hi, size, kind)) return FAULTED;
    if ((kind & ACCESS_KIND.WIDE) !== 0) return this.#checkWide(this.#number(lo, hi), size, user);
    return this.load(this.#number(lo, hi), size, (kind & ACCESS_KIND.FOR_WRITE) !== 0, user);
  }
  /** Store from CTL.VAL. */
  slowStore(lo: number, hi: number, kind: number, user: number): number {
    const size = kind & ACCESS_KIND.SIZE;
    if (!this.#canonical(lo, hi, size, kind)) return FAULTED;
    return this.store(this.#number(lo, hi), size, user);
  }
  #number(lo: number, hi: number): number {
    return hi === 0 ? lo >>> 0 : this.#target.number(lo, hi);
  }
  /** First and last byte are; else the fault is recorded. Of narrow addresses the high half is 0. */
  #canonical(lo: number, hi: number, size: number, kind: number): boolean {
    if (hi === 0) return true;
    const last = (lo + size - 1) | 0;
    const carry = last >>> 0 < lo >>> 0 ? 1 : 0;
    if (this.#target.canonical(lo, hi) && this.#target.canonical(last, (hi + carry) | 0)) return true;
    this.#target.recordNonCanonical(lo, hi, kind);
    return false;
  }

  /** Load `size` bytes to CTL.VAL. `forWrite`: check write permission too (read-modify-write). */
  load(lin: number, size: number, forWrite: boolean, user: number): number {
    if ((lin & 4095) + size > 4096) return this.#crossingLoad(lin, size, forWrite, user);
    if (forWrite) {
      const w = this.#mmu.access(lin, WRITE, user);
      if (w === ACCESS_FAULT) return this.#fault(lin);
    }
    const host = this.#mmu.access(lin, READ, user);
    if (host >= 0) {
      this.#copy(host, VAL, size);
      return DONE;
    }
    if (host === ACCESS_FAULT) return this.#fault(lin);
    if (host === ACCESS_WATCH) {
      const at = this.#mmu.ramHost;
      this.#hooks.watched(this.#mmu.oneNumber(lin), size, false);
      this.#copy(at, VAL, size);
      return DONE;
    }
    this.#ioRead(this.#mmu.phys, size);
    return DONE;
  }

  /** Store `size` bytes from CTL.VAL. */
  store(lin: number, size: number, user: number): number {
    if ((lin & 4095) + size > 4096) return this.#crossingStore(lin, size, user);
    const host = this.#mmu.access(lin, WRITE, user);
    if (host >= 0) {
      this.#copy(VAL, host, size);
      return DONE;
    }
    if (host === ACCESS_FAULT) return this.#fault(lin);
    return this.#special(host, lin, VAL, size, true);
  }

  /** Store to something that is not plain RAM. */
  #special(what: number, lin: number, from: number, size: number, mayDefer: boolean): number {
    if (what === ACCESS_IO) {
      this.#ioWrite(this.#mmu.phys, from, size);
      return DONE;
    }
    const { ramHost, rom } = this.#mmu;
    if (what === ACCESS_WATCH) this.#hooks.watched(this.#mmu.oneNumber(lin), size, true);
    if (rom) return DONE;
    if (what === ACCESS_CODE || what === ACCESS_WATCH) {
      if (this.#hooks.codeWrite(ramHost, size, mayDefer)) return RUN_ALONE;
    }
    this.#copy(from, ramHost, size);
    return DONE;
  }

  #crossingLoad(lin: number, size: number, forWrite: boolean, user: number): number {
    const second = this.#mmu.nextPage(lin);
    for (const at of [lin, second]) {
      const kind = forWrite ? WRITE : READ;
      if (this.#mmu.access(at, kind, user) === ACCESS_FAULT) return this.#fault(at);
    }
    for (let n = 0; n < size; n++) this.#u8[VAL + n] = this.#byte(lin + n, user);
    return DONE;
  }

  /** One byte of an access whose pages have been checked. */
  #byte(lin: number, user: number): number {
    const host = this.#mmu.access(lin, READ, user);
    if (host >= 0) return this.#u8[host];
    if (host === ACCESS_WATCH) {
      const at = this.#mmu.ramHost;
      this.#hooks.watched(this.#mmu.oneNumber(lin), 1, false);
      return this.#u8[at];
    }
    return host === ACCESS_IO ? this.#space.read8(this.#mmu.phys) : 0xff;
  }

  /** May all of a store in two parts of `size` bytes be written, the second at `upper`: see MEM_WIDE. */
  #checkWide(upper: number, size: number, user: number): number {
    // where the addresses begin again at 0, the first part finds its own fault: nothing is written before it
    const from = upper >= 0 && upper < size ? upper : upper - size;
    if (this.#mmu.access(from, WRITE, user) === ACCESS_FAULT) return this.#fault(from);
    if ((from & 4095) + (upper - from) + size <= 4096) return DONE;
    const second = this.#mmu.nextPage(from);
    return this.#mmu.access(second, WRITE, user) === ACCESS_FAULT ? this.#fault(second) : DONE;
  }

  #crossingStore(lin: number, size: number, user: number): number {
    const second = this.#mmu.nextPage(lin);
    const a = this.#mmu.access(lin, WRITE, user);
    if (a === ACCESS_FAULT) return this.#fault(lin);
    // Both parts are checked before either is written: the store is all or nothing.
    if (a === ACCESS_CODE && !this.#mmu.rom && this.#hooks.codeWrite(this.#mmu.ramHost, (second - lin) | 0, true))
      return RUN_ALONE;
    const b = this.#mmu.access(second, WRITE, user);
    if (b === ACCESS_FAULT) return this.#fault(second);
    if (
      b === ACCESS_CODE &&
      !this.#mmu.rom &&
      this.#hooks.codeWrite(this.#mmu.ramHost, (lin + size - second) | 0, true)
    )
      return RUN_ALONE;
    for (let n = 0; n < size; n++) {
      const host = this.#mmu.access(lin + n, WRITE, user);
      if (host >= 0) this.#u8[host] = this.#u8[VAL + n];
      else this.#special(host, lin + n, VAL + n, 1, false);
    }
    return DONE;
  }

  #fault(lin: number): number {
    this.#target.recordPageFault(this.#mmu.number(lin));
    return FAULTED;
  }

  #copy(from: number, to: number, size: number): void {
    if (size === 4 && ((from | to) & 3) === 0) this.#i32[to >>> 2] = this.#i32[from >>> 2];
    else if (size === 2 && ((from | to) & 1) === 0) this.#u16[to >>> 1] = this.#u16[from >>> 1];
    else for (let n = 0; n < size; n++) this.#u8[to + n] = this.#u8[from + n];
  }

  #ioRead(phys: number, size: number): void {
    const s = this.#space;
    switch (size) {
      case 1:
        this.#i32[VAL >> 2] = s.read8(phys);
        break;
      case 2:
        this.#i32[VAL >> 2] = s.read16(phys);
        break;
      default:
        for (let n = 0; n < size; n += 4) this.#i32[(VAL + n) >> 2] = s.read32(phys + n);
    }
  }

  #ioWrite(phys: number, from: number, size: number): void {
    const s = this.#space;
    switch (size) {
      case 1:
        s.write8(phys, this.#u8[from]);
        break;
      case 2:
        s.write16(phys, this.#u8[from] | (this.#u8[from + 1] << 8));
        break;
      default:
        for (let n = 0; n < size; n += 4)
          s.write32(
            phys + n,
            (this.#u8[from + n] |
              (this.#u8[from + n + 1] << 8) |
              (this.#u8[from + n + 2] << 16) |
              (this.#u8[from + n + 3] << 24)) >>>
              0,
          );
    }
  }

  // --- accessors of helpers: throw the target's fault -----------------------------------------------------------
  read8(lin: number, user: number): number {
    const host = this.#mmu.access(lin, READ, user);
    if (host >= 0) return this.#u8[host];
    this.#loadOrThrow(lin, 1, user);
    return this.#u8[VAL];
  }
  read16(lin: number, user: number): number {
    if ((lin & 4095) !== 4095) {
      const host = this.#mmu.access(lin, READ, user);
      if (host >= 0) return this.#u8[host] | (this.#u8[host + 1] << 8);
    }
    this.#loadOrThrow(lin, 2, user);
    return this.#u16[VAL >> 1];
  }
  read32(lin: number, user: number): number {
    if ((lin & 4095) <= 4092) {
      const host = this.#mmu.access(lin, READ, user);
      if (host >= 0) {
        if ((host & 3) === 0) return this.#i32[host >>> 2] >>> 0;
        return (
          (this.#u8[host] | (this.#u8[host + 1] << 8) | (this.#u8[host + 2] << 16) | (this.#u8[host + 3] << 24)) >>> 0
        );
      }
    }
    this.#loadOrThrow(lin, 4, user);
    return this.#i32[VAL >> 2] >>> 0;
  }
  write8(lin: number, v: number, user: number): void {
    this.#i32[VAL >> 2] = v;
    this.#storeOrThrow(lin, 1, user);
  }
  write16(lin: number, v: number, user: number): void {
    this.#i32[VAL >> 2] = v;
    this.#storeOrThrow(lin, 2, user);
  }
  write32(lin: number, v: number, user: number): void {
    if ((lin & 4095) <= 4092) {
      const host = this.#mmu.access(lin, WRITE, user);
      if (host >= 0 && (host & 3) === 0) {
        this.#i32[host >>> 2] = v;
        return;
      }
    }
    this.#i32[VAL >> 2] = v;
    this.#storeOrThrow(lin, 4, user);
  }

  #loadOrThrow(lin: number, size: number, user: number): void {
    if (this.load(lin, size, false, user) === FAULTED) throw this.#target.fault;
  }
  /** Helpers finish their instruction whatever block they overwrite, so their stores are never deferred. */
  #storeOrThrow(lin: number, size: number, user: number): void {
    if ((lin & 4095) + size > 4096) {
      const second = this.#mmu.nextPage(lin);
      for (const at of [lin, second]) {
        if (this.#mmu.access(at, WRITE, user) === ACCESS_FAULT) {
          this.#fault(at);
          throw this.#target.fault;
        }
      }
      for (let n = 0; n < size; n++) this.#storeByte(lin + n, VAL + n, user);
      return;
    }
    const host = this.#mmu.access(lin, WRITE, user);
    if (host >= 0) this.#copy(VAL, host, size);
    else if (host === ACCESS_FAULT) {
      this.#fault(lin);
      throw this.#target.fault;
    } else this.#special(host, lin, VAL, size, false);
  }
  #storeByte(lin: number, from: number, user: number): void {
    const host = this.#mmu.access(lin, WRITE, user);
    if (host >= 0) this.#u8[host] = this.#u8[from];
    else this.#special(host, lin, from, 1, false);
  }

  /** Host offset of plain RAM for bulk work inside the page, or -1; throws on a fault. */
  pointer(lin: number, kind: number, user: number): number {
    const host = this.#mmu.access(lin, kind, user);
    if (host >= 0) return host;
    if (host === ACCESS_FAULT) {
      this.#fault(lin);
      throw this.#target.fault;
    }
    return -1;
  }
}
