/**
 * Repeated string instructions as script helpers. Each call does at most `REP_BUDGET` bytes' worth of elements, page by
 * page through host pointers, with single elements where a pointer is not to be had (MMIO, code pages, page crossings).
 *
 * Restart: ECX, ESI, EDI are written after every piece, so that a fault, which is thrown by the access, finds the state
 * after the last completed element; EIP is then still the instruction. Flags of CMPS and SCAS are written only when the
 * instruction ends (SDM Vol. 2B "REP": after a fault EFLAGS is that from before).
 * Copies have the meaning of element after element in the given direction, also when the areas overlap.
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
  HF_FGCHECK,
  HF_PE,
  HF_SEGCHECK,
  HF_TF,
  HF_VM,
  SS,
} from '../state.ts';
import { REP_ADDRESS_32, REP_SEGMENT_SHIFT, REP_SIZE, REP_UNTIL_EQUAL } from './rep-bits.ts';

/** Bytes that one call moves at most before interrupts are looked at. */
export const REP_BUDGET = 1 << 18;
const PAGE = 4096;

/** State of one repeated instruction while its helper runs; one per CPU, reused. */
class RepString {
  readonly cpu: X86Cpu;
  /** log2 and bytes of an element; signed step; address mask. */
  size = 0;
  bytes = 1;
  step = 1;
  mask = 0;
  count = 0;
  segment = 0;
  user = 0;
  /** Elements left in this call. */
  budget = 0;

  constructor(cpu: X86Cpu) {
    this.cpu = cpu;
  }

  begin(bits: number): void {
    const { cpu } = this;
    this.size = bits & REP_SIZE;
    this.bytes = 1 << this.size;
    this.mask = (bits & REP_ADDRESS_32) !== 0 ? 0xffffffff : 0xffff;
    this.segment = (bits >> REP_SEGMENT_SHIFT) & 7;
    this.step = (cpu.ei32[ENV.EFLAGS >> 2]! & FLAG_DF) !== 0 ? -this.bytes : this.bytes;
    this.count = (cpu.reg(ECX) & this.mask) >>> 0;
    this.user = cpu.user;
    this.budget = (cpu.hflags & HF_TF) !== 0 ? 1 : REP_BUDGET >> this.size;
  }

  get(r: number): number {
    return (this.cpu.reg(r) & this.mask) >>> 0;
  }
  set(r: number, v: number): void {
    if (this.mask === 0xffff) this.cpu.setReg16(r, v);
    else this.cpu.setReg(r, v);
  }
  /** n elements are done: move ECX and the given index registers. */
  advance(n: number, si: boolean, di: boolean): void {
    this.count -= n;
    this.budget -= n;
    this.set(ECX, this.count);
    if (si) this.set(ESI, this.get(ESI) + n * this.step);
    if (di) this.set(EDI, this.get(EDI) + n * this.step);
  }
  /** EIP at the end of a call: the next instruction when all is done, else this one. Returns 0 for the helper. */
  end(done: boolean, nextEip: number): number {
    this.cpu.eip = done ? nextEip >>> 0 : this.cpu.currentEip() >>> 0;
    return 0;
  }

  /**
   * Elements from seg:offset in the direction of the step that lie in one page, in the segment, and before the offset
   * wraps; at most the count and the budget. 0: the next element needs the slow way (which also raises its faults).
   */
  run(seg: number, offset: number, write: boolean): number {
    const { cpu, bytes } = this;
    const lin = (cpu.segBase(seg) + offset) >>> 0;
    const inPage = lin & (PAGE - 1);
    let n: number;
    if (this.step > 0) {
      n = Math.min((PAGE - inPage) >> this.size, Math.floor((this.mask - offset + 1) / bytes));
    } else {
      n = inPage + bytes > PAGE ? 0 : Math.min((inPage >> this.size) + 1, Math.floor(offset / bytes) + 1);
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
    return (this.cpu.hflags & (seg >= FS ? HF_FGCHECK : HF_SEGCHECK)) !== 0;
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
    const lin = (cpu.segBase(seg) + offset) >>> 0;
    if (bytes > 1 && (cpu.hflags & HF_ALIGN) !== 0 && (lin & (bytes - 1)) !== 0) cpu.raise(EXC.AC, 0);
    return lin;
  }
  read(lin: number): number {
    const { cpu } = this;
    if (this.size === 0) return cpu.read8(lin);
    return this.size === 1 ? cpu.read16(lin) : cpu.read32(lin);
  }
  write(lin: number, v: number): void {
    const { cpu } = this;
    if (this.size === 0) cpu.write8(lin, v & 0xff);
    else if (this.size === 1) cpu.write16(lin, v & 0xffff);
    else cpu.write32(lin, v >>> 0);
  }
  /** Element at a host offset. */
  peek(p: number): number {
    const { u8 } = this.cpu;
    if (this.size === 0) return u8[p]!;
    const low = u8[p]! | (u8[p + 1]! << 8);
    return this.size === 1 ? low : low | (u8[p + 2]! << 16) | (u8[p + 3]! << 24);
  }

  movs(nextEip: number): number {
    const { cpu } = this;
    while (this.count !== 0 && this.budget > 0) {
      const si = this.get(ESI);
      const di = this.get(EDI);
      const n = Math.min(this.run(this.segment, si, false), this.run(ES, di, true));
      if (n > 0) {
        const from = cpu.host.pointer((cpu.segBase(this.segment) + si) >>> 0, 0, this.user);
        const to = cpu.host.pointer((cpu.segBase(ES) + di) >>> 0, 1, this.user);
        if (from >= 0 && to >= 0) {
          const all = this.extend(n, si, from, di, to);
          this.copy(from, to, all);
          this.advance(all, true, true);
          continue;
        }
      }
      const v = this.read(this.element(this.segment, si, false));
      this.write(this.element(ES, di, true), v);
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
      if (more <= 0 || tlbHit((cpu.segBase(ES) + di + done) | 0, 1, user) !== to + done) break;
      if (si >= 0) {
        more = Math.min(more, this.run(this.segment, si + done, false));
        if (more <= 0 || tlbHit((cpu.segBase(this.segment) + si + done) | 0, 0, user) !== from + done) break;
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
    while (this.count !== 0 && this.budget > 0) {
      const di = this.get(EDI);
      const n = this.run(ES, di, true);
      if (n > 0) {
        const to = cpu.host.pointer((cpu.segBase(ES) + di) >>> 0, 1, this.user);
        if (to >= 0) {
          const all = this.extend(n, -1, 0, di, to);
          this.fill(this.step > 0 ? to : to - (all - 1) * this.bytes, all * this.bytes, v);
          this.advance(all, false, true);
          continue;
        }
      }
      this.write(this.element(ES, di, true), v);
      this.advance(1, false, true);
    }
    return this.end(this.count === 0, nextEip);
  }
  fill(to: number, length: number, v: number): void {
    const { u8 } = this.cpu;
    const byte = v & 0xff;
    if (this.size === 0 || (this.size === 1 ? (v & 0xffff) === byte * 0x101 : v >>> 0 === (byte * 0x01010101) >>> 0)) {
      u8.fill(byte, to, to + length);
      return;
    }
    if (this.size === 2 && (to & 3) === 0) {
      this.cpu.i32.fill(v | 0, to >> 2, (to + length) >> 2);
      return;
    }
    for (let k = 0; k < this.bytes; k++) u8[to + k] = v >>> (8 * k);
    for (let done = this.bytes; done < length; done *= 2)
      u8.copyWithin(to + done, to, to + Math.min(done, length - done));
  }

  lods(nextEip: number): number {
    const { cpu } = this;
    while (this.count !== 0 && this.budget > 0) {
      const si = this.get(ESI);
      const n = this.run(this.segment, si, false);
      const from = n > 0 ? cpu.host.pointer((cpu.segBase(this.segment) + si) >>> 0, 0, this.user) : -1;
      const done = from >= 0 ? n : 1;
      // only the last element stays
      const v = from >= 0 ? this.peek(from + (n - 1) * this.step) : this.read(this.element(this.segment, si, false));
      if (this.size === 2) cpu.setReg(EAX, v);
      else if (this.size === 1) cpu.setReg16(EAX, v);
      else cpu.setReg(EAX, (cpu.reg(EAX) & ~0xff) | v);
      this.advance(done, true, false);
    }
    return this.end(this.count === 0, nextEip);
  }

  /** CMPS and SCAS: until the count ends or (REPE) elements differ, (REPNE) are equal. */
  compare(nextEip: number, scan: boolean, untilEqual: boolean): number {
    const { cpu } = this;
    const shift = 32 - 8 * this.bytes;
    const a = cpu.reg(EAX);
    if (this.count === 0) return this.end(true, nextEip);
    let x = a;
    let y = 0;
    let stop = false;
    while (this.count !== 0 && this.budget > 0 && !stop) {
      const si = this.get(ESI);
      const di = this.get(EDI);
      let n = this.run(ES, di, false);
      if (!scan) n = Math.min(n, this.run(this.segment, si, false));
      let left = -1;
      let right = -1;
      if (n > 0) {
        if (!scan) left = cpu.host.pointer((cpu.segBase(this.segment) + si) >>> 0, 0, this.user);
        right = cpu.host.pointer((cpu.segBase(ES) + di) >>> 0, 0, this.user);
      }
      if (right < 0 || (!scan && left < 0)) {
        if (!scan) x = this.read(this.element(this.segment, si, false));
        y = this.read(this.element(ES, di, false));
        this.advance(1, !scan, true);
        stop = ((x ^ y) << shift === 0) === untilEqual;
        continue;
      }
      let k = 0;
      while (k < n && !stop) {
        if (!scan) x = this.peek(left + k * this.step);
        y = this.peek(right + k * this.step);
        stop = ((x ^ y) << shift === 0) === untilEqual;
        k++;
      }
      this.advance(k, !scan, true);
    }
    const done = stop || this.count === 0;
    if (done) {
      cpu.ei32[ENV.CC_OP >> 2] = ccOp(KIND_SUB, this.size);
      cpu.ei32[ENV.CC_DST >> 2] = x - y;
      cpu.ei32[ENV.CC_SRC >> 2] = y;
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
