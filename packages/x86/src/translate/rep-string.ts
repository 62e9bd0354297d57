/**
 * Repeated string instructions as script helpers. Each call does at most `REP_BUDGET` bytes' worth of elements, page by
 * page through host pointers, with single elements where a pointer is not to be had (MMIO, code pages, page crossings).
 *
 * Restart: ECX, ESI, EDI are written after every piece, so that a fault, which is thrown by the access, finds the state
 * after the last completed element; EIP is then still the instruction. Flags of CMPS and SCAS are written only when the
 * instruction ends (SDM Vol. 2B "REP": after a fault EFLAGS is that from before).
 * Copies have the meaning of element after element in the given direction, also when the areas overlap.
 *
 * 64-bit code: no limits, a base for FS and GS only, addresses that must be canonical. Linear addresses are numbers as in
 * docs/adr/0015.
 */
import type { X86Cpu } from '../cpu.ts';
import { KIND_SUB, ccOp } from '../flags.ts';
import {
  EAX,
  ECX,
  EDI,
  ENV,
  ES,
  ESI,
  EXC,
  FLAG_DF,
  FS,
  HF_ALIGN,
  HF_CS64,
  HF_FGCHECK,
  HF_PE,
  HF_SEGCHECK,
  HF_TF,
  HF_VM,
  SS,
} from '../state.ts';
import { REP_ADDRESS_32, REP_ADDRESS_64, REP_SEGMENT_SHIFT, REP_SIZE, REP_UNTIL_EQUAL } from './rep-bits.ts';

/** Bytes that one call moves at most before interrupts are looked at. */
export const REP_BUDGET = 1 << 18;
const PAGE = 4096;

/** State of one repeated instruction while its helper runs; one per CPU, reused. */
class RepString {
  readonly cpu: X86Cpu;
  /** log2 and bytes of an element; signed step; address mask, of no use with 64-bit addresses. */
  size = 0;
  bytes = 1;
  step = 1;
  mask = 0;
  /** 64-bit code; 64-bit addresses. */
  is64 = false;
  wide = false;
  /** Elements to do, and no more than a double counts exactly. */
  count = 0;
  segment = 0;
  user = 0;
  /** Elements left in this call. */
  budget = 0;
  /** High half of the element that `read` or `peek` gave. */
  high = 0;

  constructor(cpu: X86Cpu) {
    this.cpu = cpu;
  }

  begin(bits: number): void {
    const { cpu } = this;
    this.size = bits & REP_SIZE;
    this.bytes = 1 << this.size;
    this.is64 = (cpu.hflags & HF_CS64) !== 0;
    this.wide = (bits & REP_ADDRESS_64) !== 0;
    this.mask = (bits & REP_ADDRESS_32) !== 0 ? 0xffffffff : 0xffff;
    this.segment = (bits >> REP_SEGMENT_SHIFT) & 7;
    this.step = (cpu.ei32[ENV.EFLAGS >> 2]! & FLAG_DF) !== 0 ? -this.bytes : this.bytes;
    if (this.wide) this.count = Math.min(cpu.regHigh(ECX) * 0x1_0000_0000 + cpu.reg(ECX), Number.MAX_SAFE_INTEGER);
    else this.count = (cpu.reg(ECX) & this.mask) >>> 0;
    this.user = cpu.user;
    this.budget = (cpu.hflags & HF_TF) !== 0 ? 1 : REP_BUDGET >> this.size;
  }

  /** An index register as an offset in the segment; with 64-bit addresses the linear address itself. */
  get(r: number, seg: number): number {
    const { cpu } = this;
    return this.wide ? cpu.linearIn(seg, cpu.reg(r), cpu.regHigh(r)) : (cpu.reg(r) & this.mask) >>> 0;
  }
  /** Move a register by n, of which the sum is exact also where the register is not. */
  move(r: number, n: number): void {
    const { cpu } = this;
    const low = cpu.reg(r) + n;
    if (this.mask === 0xffff && !this.wide) cpu.setReg16(r, low);
    else if (this.wide) cpu.setReg64(r, low, cpu.regHigh(r) + Math.floor(low / 0x1_0000_0000));
    else cpu.setReg(r, low);
  }
  /** n elements are done: move ECX and the given index registers. */
  advance(n: number, si: boolean, di: boolean): void {
    this.count -= n;
    this.budget -= n;
    this.move(ECX, -n);
    if (si) this.move(ESI, n * this.step);
    if (di) this.move(EDI, n * this.step);
  }
  /** EIP at the end of a call: the next instruction when all is done, else this one. Returns 0 for the helper. */
  end(done: boolean, nextEip: number): number {
    if (done) this.cpu.goNext(nextEip);
    else this.cpu.eip = this.cpu.currentEip() >>> 0;
    return 0;
  }

  /** Linear address of what `get` gave, as yet without checks. */
  linear(seg: number, offset: number): number {
    if (!this.is64) return (this.cpu.segBase(seg) + offset) >>> 0;
    return this.wide ? offset : this.cpu.linearIn(seg, offset, 0);
  }
  /**
   * Elements from seg:offset in the direction of the step that lie in one page, in the segment, and before the offset
   * wraps; at most the count and the budget. 0: the next element needs the slow way (which also raises its faults).
   */
  run(seg: number, offset: number, write: boolean): number {
    const { cpu, bytes } = this;
    const lin = this.linear(seg, offset);
    const inPage = lin & (PAGE - 1);
    let n: number;
    if (this.step > 0) n = (PAGE - inPage) >> this.size;
    else n = inPage + bytes > PAGE ? 0 : (inPage >> this.size) + 1;
    if (this.is64 && !cpu.linear.canonical(lin)) return 0;
    if (!this.wide) {
      const before = this.step > 0 ? (this.mask - offset + 1) / bytes : offset / bytes + 1;
      n = Math.min(n, Math.floor(before));
    }
    n = Math.min(n, this.count, this.budget);
    if (n > 0 && this.checked(seg)) {
      const low = this.step > 0 ? offset : offset - (n - 1) * bytes;
      if (!this.allowed(seg, low, n * bytes, write)) return 0;
    }
    if (bytes > 1 && (cpu.hflags & HF_ALIGN) !== 0 && (lin & (bytes - 1)) !== 0) return 0;
    return n;
  }
  checked(seg: number): boolean {
    return !this.is64 && (this.cpu.hflags & (seg >= FS ? HF_FGCHECK : HF_SEGCHECK)) !== 0;
  }
  /** Limit and type of a segment, as translated code checks them (Translator.linear). */
  allowed(seg: number, offset: number, length: number, write: boolean): boolean {
    const { cpu } = this;
    const limit = cpu.segLimit(seg);
    const last = offset + length - 1;
    if ((cpu.hflags & (HF_PE | HF_VM)) !== HF_PE) return last <= limit;
    const type = cpu.segFlags(seg);
    if ((type & 0x8000) === 0) return false;
    if (write ? (type & 0xa00) !== 0x200 : (type & 0xa00) === 0x800) return false;
    if ((type & 0xc00) === 0x400) return offset > limit && last <= ((type & (1 << 22)) !== 0 ? 0xffffffff : 0xffff);
    return last <= limit;
  }
  /** Linear address of a single element, all checks raised. */
  element(seg: number, offset: number, write: boolean): number {
    const { cpu, bytes } = this;
    if (this.checked(seg) && !this.allowed(seg, offset, bytes, write)) cpu.raise(seg === SS ? EXC.SS : EXC.GP, 0);
    const lin = this.linear(seg, offset);
    // the last byte counts too: an element may not reach across the end of the canonical half
    if (this.is64 && !(cpu.linear.canonical(lin) && cpu.linear.canonical(lin + bytes - 1))) cpu.raise(EXC.GP, 0);
    if (bytes > 1 && (cpu.hflags & HF_ALIGN) !== 0 && (lin & (bytes - 1)) !== 0) cpu.raise(EXC.AC, 0);
    return lin;
  }
  /** Element at a linear address; of 8 bytes the low half, the other in `high`. */
  read(lin: number): number {
    const { host } = this.cpu;
    if (this.size === 0) return host.read8(lin, this.user);
    if (this.size === 1) return host.read16(lin, this.user);
    if (this.size === 3) this.high = host.read32(lin + 4, this.user) | 0;
    return host.read32(lin, this.user);
  }
  write(lin: number, v: number, high: number): void {
    const { host } = this.cpu;
    if (this.size === 0) host.write8(lin, v & 0xff, this.user);
    else if (this.size === 1) host.write16(lin, v & 0xffff, this.user);
    else {
      if (this.size === 3) {
        // all or nothing: either half may lie in a page that faults
        host.pointer(lin, 1, this.user);
        host.pointer(lin + 7, 1, this.user);
        host.write32(lin + 4, high >>> 0, this.user);
      }
      host.write32(lin, v >>> 0, this.user);
    }
  }
  /** Element at a host offset. */
  peek(p: number): number {
    const { u8 } = this.cpu;
    if (this.size === 0) return u8[p]!;
    const low = u8[p]! | (u8[p + 1]! << 8);
    if (this.size === 1) return low;
    if (this.size === 3) this.high = u8[p + 4]! | (u8[p + 5]! << 8) | (u8[p + 6]! << 16) | (u8[p + 7]! << 24);
    return low | (u8[p + 2]! << 16) | (u8[p + 3]! << 24);
  }

  movs(nextEip: number): number {
    const { cpu } = this;
    while (this.count !== 0 && this.budget > 0) {
      const si = this.get(ESI, this.segment);
      const di = this.get(EDI, ES);
      const n = Math.min(this.run(this.segment, si, false), this.run(ES, di, true));
      if (n > 0) {
        const from = cpu.host.pointer(this.linear(this.segment, si), 0, this.user);
        const to = cpu.host.pointer(this.linear(ES, di), 1, this.user);
        if (from >= 0 && to >= 0) {
          const all = this.extend(n, si, from, di, to);
          this.copy(from, to, all);
          this.advance(all, true, true);
          continue;
        }
      }
      const v = this.read(this.element(this.segment, si, false));
      this.write(this.element(ES, di, true), v, this.high);
      this.advance(1, true, true);
    }
    return this.end(this.count === 0, nextEip);
  }
  /**
   * A piece of n elements made longer by the pages after it, as far as the TLB knows them and they follow each other in
   * the host: one long copy in place of many. Nothing here can fault. si -1: there is no source.
   */
  extend(n: number, si: number, from: number, di: number, to: number): number {
    const { cpu, bytes, user } = this;
    const { tlbHit } = cpu.host;
    if (tlbHit === undefined || this.step < 0) return n;
    const limit = Math.min(this.count, this.budget);
    let all = n;
    while (all < limit) {
      const done = all * bytes;
      let more = Math.min(this.run(ES, di + done, true), limit - all);
      if (more <= 0 || tlbHit(this.linear(ES, di + done), 1, user) !== to + done) break;
      if (si >= 0) {
        more = Math.min(more, this.run(this.segment, si + done, false));
        if (more <= 0 || tlbHit(this.linear(this.segment, si + done), 0, user) !== from + done) break;
      }
      all += more;
    }
    return all;
  }
  /** n elements as if one after the other; from, to: host offsets of the first element in step order. */
  copy(from: number, to: number, n: number): void {
    const { u8 } = this.cpu;
    const length = n * this.bytes;
    if (this.step < 0) {
      const down = length - this.bytes;
      const low = from - down;
      const target = to - down;
      if (target < low && target + length > low) this.copyElements(from, to, n);
      else u8.copyWithin(target, low, low + length);
      return;
    }
    const distance = to - from;
    if (distance <= 0 || distance >= length) {
      u8.copyWithin(to, from, from + length);
      return;
    }
    if (distance < this.bytes) {
      this.copyElements(from, to, n);
      return;
    }
    // the destination repeats the first `distance` bytes: copy it in doubling pieces
    for (let done = 0; done < length;) {
      const piece = Math.min(distance + done, length - done);
      u8.copyWithin(to + done, from, from + piece);
      done += piece;
    }
  }
  copyElements(from: number, to: number, n: number): void {
    const { u8 } = this.cpu;
    for (let k = 0; k < n; k++, from += this.step, to += this.step) u8.copyWithin(to, from, from + this.bytes);
  }

  stos(nextEip: number): number {
    const { cpu } = this;
    const v = cpu.reg(EAX);
    const high = cpu.regHigh(EAX) | 0;
    while (this.count !== 0 && this.budget > 0) {
      const di = this.get(EDI, ES);
      const n = this.run(ES, di, true);
      if (n > 0) {
        const to = cpu.host.pointer(this.linear(ES, di), 1, this.user);
        if (to >= 0) {
          const all = this.extend(n, -1, 0, di, to);
          this.fill(this.step > 0 ? to : to - (all - 1) * this.bytes, all * this.bytes, v, high);
          this.advance(all, false, true);
          continue;
        }
      }
      this.write(this.element(ES, di, true), v, high);
      this.advance(1, false, true);
    }
    return this.end(this.count === 0, nextEip);
  }
  fill(to: number, length: number, v: number, high: number): void {
    const { u8 } = this.cpu;
    const byte = v & 0xff;
    // 4 bytes at a time unless the halves of 8 differ
    const size = this.size === 3 && (v | 0) === high ? 2 : this.size;
    const uniform = size === 1 ? (v & 0xffff) === byte * 0x101 : v >>> 0 === (byte * 0x01010101) >>> 0;
    if (size === 0 || (size < 3 && uniform)) {
      u8.fill(byte, to, to + length);
      return;
    }
    if (size === 2 && (to & 3) === 0) {
      this.cpu.i32.fill(v | 0, to / 4, (to + length) / 4);
      return;
    }
    for (let k = 0; k < this.bytes; k++) u8[to + k] = k < 4 ? v >>> (8 * k) : high >>> (8 * k - 32);
    for (let done = this.bytes; done < length; done *= 2)
      u8.copyWithin(to + done, to, to + Math.min(done, length - done));
  }

  lods(nextEip: number): number {
    const { cpu } = this;
    while (this.count !== 0 && this.budget > 0) {
      const si = this.get(ESI, this.segment);
      const n = this.run(this.segment, si, false);
      const from = n > 0 ? cpu.host.pointer(this.linear(this.segment, si), 0, this.user) : -1;
      const done = from >= 0 ? n : 1;
      // only the last element stays
      const v = from >= 0 ? this.peek(from + (n - 1) * this.step) : this.read(this.element(this.segment, si, false));
      if (this.size === 3) cpu.setReg64(EAX, v, this.high);
      else if (this.size === 2) cpu.setReg(EAX, v);
      else if (this.size === 1) cpu.setReg16(EAX, v);
      else cpu.setReg64(EAX, (cpu.reg(EAX) & ~0xff) | v, cpu.regHigh(EAX));
      this.advance(done, true, false);
    }
    return this.end(this.count === 0, nextEip);
  }

  /** CMPS and SCAS: until the count ends or (REPE) elements differ, (REPNE) are equal. */
  compare(nextEip: number, scan: boolean, untilEqual: boolean): number {
    const { cpu } = this;
    const shift = Math.max(32 - 8 * this.bytes, 0);
    if (this.count === 0) return this.end(true, nextEip);
    let x = cpu.reg(EAX);
    let y = 0;
    // high halves of elements of 8 bytes
    let xHigh = this.size === 3 ? cpu.regHigh(EAX) | 0 : 0;
    this.high = 0;
    let stop = false;
    while (this.count !== 0 && this.budget > 0 && !stop) {
      const si = this.get(ESI, this.segment);
      const di = this.get(EDI, ES);
      let n = this.run(ES, di, false);
      if (!scan) n = Math.min(n, this.run(this.segment, si, false));
      let left = -1;
      let right = -1;
      if (n > 0) {
        if (!scan) left = cpu.host.pointer(this.linear(this.segment, si), 0, this.user);
        right = cpu.host.pointer(this.linear(ES, di), 0, this.user);
      }
      if (right < 0 || (!scan && left < 0)) {
        if (!scan) {
          x = this.read(this.element(this.segment, si, false));
          xHigh = this.high;
        }
        y = this.read(this.element(ES, di, false));
        this.advance(1, !scan, true);
        stop = ((((x ^ y) << shift) | (xHigh ^ this.high)) === 0) === untilEqual;
        continue;
      }
      let k = 0;
      while (k < n && !stop) {
        if (!scan) {
          x = this.peek(left + k * this.step);
          xHigh = this.high;
        }
        y = this.peek(right + k * this.step);
        stop = ((((x ^ y) << shift) | (xHigh ^ this.high)) === 0) === untilEqual;
        k++;
      }
      this.advance(k, !scan, true);
    }
    const done = stop || this.count === 0;
    if (done) {
      cpu.ei32[ENV.CC_OP >> 2] = ccOp(KIND_SUB, this.size);
      const borrow = x >>> 0 < y >>> 0 ? 1 : 0;
      cpu.setEnv64(ENV.CC_DST, x - y, xHigh - this.high - borrow);
      cpu.setEnv64(ENV.CC_SRC, y, this.high);
    }
    return this.end(done, nextEip);
  }
}

type RepHelper = (cpu: X86Cpu) => (bits: number, nextEip: number) => number;
const helper =
  (body: (r: RepString, nextEip: number, bits: number) => number): RepHelper =>
  (cpu) => {
    const r = new RepString(cpu);
    return (bits, nextEip) => {
      r.begin(bits);
      return body(r, nextEip, bits);
    };
  };

export const REP_HELPERS: Readonly<Record<string, RepHelper>> = {
  rep_movs: helper((r, next) => r.movs(next)),
  rep_stos: helper((r, next) => r.stos(next)),
  rep_lods: helper((r, next) => r.lods(next)),
  rep_cmps: helper((r, next, bits) => r.compare(next, false, (bits & REP_UNTIL_EQUAL) !== 0)),
  rep_scas: helper((r, next, bits) => r.compare(next, true, (bits & REP_UNTIL_EQUAL) !== 0)),
};
