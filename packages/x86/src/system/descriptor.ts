/**
 * Descriptors: fetch from GDT or LDT, parse, accessed bit, segment-cache loads of the three modes.
 * SDM Vol. 3A §3.4.2 "Segment Selectors", §3.4.5 "Segment Descriptors". Rights checks are the callers'.
 * A fetched descriptor lives in cpu.descLo, descHi, descLin until the next fetch. Hot path: no allocation.
 * In long mode tables have 64-bit bases, and system descriptors 16 bytes: §7.2.3 "TSS Descriptor in 64-bit mode", §5.8.3.1.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, EXC, HF_LMA, SEG_BASE, SEG_LIMIT } from '../state.ts';
import {
  DESC_A,
  DESC_AVL,
  DESC_B,
  DESC_CODE,
  DESC_EXPAND_DOWN,
  DESC_G,
  DESC_KEPT,
  DESC_L,
  DESC_P,
  DESC_RW,
  DESC_S,
} from './descriptor-bits.ts';

/** Fetch the descriptor of a selector. False: beyond its table's limit. Reads as supervisor; may raise #PF. */
export function fetchDescriptor(cpu: X86Cpu, selector: number): boolean {
  const e = cpu.e32;
  const index = selector & 0xfff8;
  const local = (selector & 4) !== 0;
  const limit = local ? e[(ENV.LDTR + SEG_LIMIT) >> 2] : e[ENV.GDT_LIMIT >> 2];
  if (index + 7 > limit) return false;
  const at = (local ? ENV.LDTR + SEG_BASE : ENV.GDT_BASE) >> 2;
  const long = (e[ENV.HFLAGS >> 2] & HF_LMA) !== 0;
  const lin = long ? cpu.linear.of(e[at], cpu.ei32[at + 1]) + index : (e[at] + index) >>> 0;
  cpu.descLin = lin;
  cpu.descLo = cpu.readSys32(lin);
  cpu.descHi = cpu.readSys32(lin + 4);
  return true;
}

/**
 * The upper half of the 16-byte system descriptor just fetched, to cpu.descUpper. #GP(error) if it is beyond the table or has a
 * type where there must be none.
 */
export function fetchUpper(cpu: X86Cpu, selector: number, error: number): void {
  const e = cpu.e32;
  const limit = (selector & 4) !== 0 ? e[(ENV.LDTR + SEG_LIMIT) >> 2] : e[ENV.GDT_LIMIT >> 2];
  if ((selector & 0xfff8) + 15 > limit) cpu.raise(EXC.GP, error);
  cpu.descUpper = cpu.readSys32(cpu.descLin + 8);
  if ((cpu.readSys32(cpu.descLin + 12) & 0x1f00) !== 0) cpu.raise(EXC.GP, error);
}

/** Load LDTR or TR from the fetched 16-byte descriptor, whose base must be canonical: #GP(error). */
export function loadWideCache(cpu: X86Cpu, offset: number, selector: number, hi: number, error: number): void {
  if (!cpu.linear.canonicalBase(cpu.descUpper)) cpu.raise(EXC.GP, error);
  const { descLo: lo, descUpper } = cpu;
  cpu.setSegCache(offset, selector, descriptorBase(lo, hi), descriptorLimit(lo, hi), hi & DESC_KEPT);
  cpu.setEnv32(offset + SEG_BASE + 4, descUpper);
}

/**
 * Index in cpu.i32 of the first dword of a GDT descriptor: for fast paths. -1: in the LDT, beyond the limit, not
 * aligned, not in plain RAM; then `fetchDescriptor` does it. May raise #PF.
 */
export function gdtWord(cpu: X86Cpu, selector: number): number {
  const e = cpu.ei32;
  const index = selector & 0xfff8;
  if ((selector & 4) !== 0 || index + 7 > e[ENV.GDT_LIMIT >> 2]) return -1;
  const long = (e[ENV.HFLAGS >> 2] & HF_LMA) !== 0;
  const base = e[ENV.GDT_BASE >> 2];
  const lin = long ? cpu.linear.of(base, e[(ENV.GDT_BASE >> 2) + 1]) + index : (base + index) >>> 0;
  return (lin & 7) === 0 ? plainWord(cpu, lin, 0, 0) : -1;
}

/** Index in cpu.i32 of the aligned dword at lin if it is plain RAM, else -1. May raise #PF. */
export function plainWord(cpu: X86Cpu, lin: number, access: number, user: number): number {
  const host = cpu.host.pointer(lin, access, user);
  return host < 0 || (host & 3) !== 0 ? -1 : host >>> 2;
}

export const descriptorBase = (lo: number, hi: number): number =>
  ((lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff000000)) >>> 0;

/** Byte-granular limit. */
export function descriptorLimit(lo: number, hi: number): number {
  const raw = (lo & 0xffff) | (hi & 0xf0000);
  return (hi & DESC_G) !== 0 ? ((raw << 12) | 0xfff) >>> 0 : raw;
}

/** Set the accessed bit of the fetched descriptor in memory. May raise #PF: before any state changes. */
export function markAccessed(cpu: X86Cpu): void {
  if ((cpu.descHi & DESC_A) !== 0) return;
  cpu.descHi |= DESC_A;
  cpu.writeSys8(cpu.descLin + 5, (cpu.descHi >>> 8) & 0xff);
}

/** Load a segment register's cache from the fetched descriptor. */
export function loadCache(cpu: X86Cpu, seg: number, selector: number): void {
  const { descLo: lo, descHi: hi } = cpu;
  cpu.setSeg(seg, selector, descriptorBase(lo, hi), descriptorLimit(lo, hi), hi & DESC_KEPT);
}

/** A null selector: every access through the register faults. */
export function loadNull(cpu: X86Cpu, seg: number, selector: number): void {
  cpu.setSeg(seg, selector, 0, 0, 0);
}

/**
 * Real mode: selector and base only; the limit (with G, B, AVL) stays as it is, so "unreal" limits survive.
 * The rights become those of an accessed writable data segment.
 */
export function loadReal(cpu: X86Cpu, seg: number, selector: number): void {
  const flags = (cpu.segFlags(seg) & (DESC_AVL | DESC_L | DESC_B | DESC_G)) | DESC_P | DESC_S | DESC_RW | DESC_A;
  cpu.setSeg(seg, selector, selector << 4, cpu.segLimit(seg), flags);
}

/** Virtual-8086: base selector * 16, limit FFFFH, DPL 3, 16-bit. SDM Vol. 3B §21.2.1. */
export function loadVm86(cpu: X86Cpu, seg: number, selector: number): void {
  cpu.setSeg(seg, selector, selector << 4, 0xffff, DESC_P | DESC_S | DESC_RW | DESC_A | (3 << 13));
}

/** Whether `size` bytes at `offset` lie within a segment. */
export function withinLimit(flags: number, limit: number, offset: number, size: number): boolean {
  const last = offset + size - 1;
  if ((flags & (DESC_CODE | DESC_EXPAND_DOWN)) === DESC_EXPAND_DOWN) {
    return offset > limit && last <= ((flags & DESC_B) !== 0 ? 0xffffffff : 0xffff);
  }
  return last <= limit || limit === 0xffffffff;
}
