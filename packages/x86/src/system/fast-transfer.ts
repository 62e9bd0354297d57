/**
 * Interrupts, exceptions and IRET as operating systems with flat segments have them: 32-bit gate or frame, flat code and
 * stack segments from an aligned GDT, a frame within one page of plain RAM. Each memory area is translated once and
 * read or written directly. All else: the functions return false with nothing changed, and interrupt.ts and iret.ts
 * do it step by step; they also decide which fault it is. Page faults of a step raised here are those that the same
 * step raises there, because the order is theirs. SDM Vol. 3A §6.12, Vol. 2A "INT n", "IRET/IRETD/IRETQ".
 */
import type { X86Cpu } from '../cpu.ts';
import {
  CS,
  DS,
  ENV,
  ES,
  ESP,
  FLAGS_ARITH,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FS,
  GS,
  HF_ADDSEG,
  HF_CPL,
  HF_CS32,
  HF_SEGCHECK,
  HF_SS32,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import { returnFlags } from './debug-registers.ts';
import {
  DESC_AVL,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_DPL_SHIFT,
  DESC_KEPT,
  DESC_L,
  DESC_TYPE_SHIFT,
  SYS_TRAP_GATE32,
} from './descriptor-bits.ts';
import { gdtWord, loadNull, plainWord } from './descriptor.ts';
import { PRIVILEGE_BITS, privilegeBits, withSegmentBits } from './hflags.ts';

/** Flat 4 GiB 32-bit segments, present and accessed: readable code (not conforming), writable data; DPL to be or'ed. */
const FLAT_LO = 0x0000ffff;
const FLAT_CODE = 0x00cf9b00;
const FLAT_DATA = 0x00cf9300;
const IGNORED = DESC_AVL | DESC_L;

const segmentAt = (seg: number): number => (ENV.SEG + seg * SEG_STRIDE) >> 2;
const CS_AT = segmentAt(CS);
const SS_AT = segmentAt(SS);

/** Whether the descriptor at a word of memory is flat. */
function isFlat(m: Int32Array, at: number, like: number, dpl: number): boolean {
  return m[at] === FLAT_LO && (m[at + 1] & ~IGNORED) === (like | (dpl << DESC_DPL_SHIFT));
}

function setFlat(e: Int32Array, at: number, selector: number, hi: number): void {
  e[at + (SEG_SELECTOR >> 2)] = selector;
  e[at + (SEG_FLAGS >> 2)] = hi & DESC_KEPT;
  e[at + (SEG_BASE >> 2)] = 0;
  e[at + (SEG_BASE >> 2) + 1] = 0;
  e[at + (SEG_LIMIT >> 2)] = -1;
}

/**
 * `flags`: EFLAGS to push. `hasDpl`: the gate's DPL is checked (INT n, INT3, INTO). error -1: none is pushed.
 * Called in protected mode outside VM86, and not for #DB.
 */
export function fastEnter(
  cpu: X86Cpu,
  vector: number,
  hasDpl: boolean,
  error: number,
  flags: number,
  returnEip: number,
): boolean {
  const e = cpu.ei32;
  const m = cpu.i32;
  const h = e[ENV.HFLAGS >> 2];
  const idt = (e[ENV.IDT_BASE >> 2] + vector * 8) | 0;
  if ((idt & 7) !== 0 || vector * 8 + 7 > e[ENV.IDT_LIMIT >> 2]) return false;
  const gate = plainWord(cpu, idt, 0, 0);
  if (gate < 0) return false;
  const gateLo = m[gate];
  const gateHi = m[gate + 1];
  const cpl = h & HF_CPL;
  // P, S = 0, type 14 or 15
  if ((gateHi & 0x9e00) !== 0x8e00 || (hasDpl && ((gateHi >>> DESC_DPL_SHIFT) & 3) < cpl)) return false;
  const selector = gateLo >>> 16;
  if ((selector & 0xfffc) === 0) return false;
  const code = gdtWord(cpu, selector);
  if (code < 0) return false;
  const codeHi = m[code + 1];
  const dpl = (codeHi >>> DESC_DPL_SHIFT) & 3;
  if (dpl > cpl || !isFlat(m, code, FLAT_CODE, dpl)) return false;

  const count = error >= 0 ? 4 : 3;
  if (dpl === cpl) {
    if ((h & (HF_SEGCHECK | HF_ADDSEG | HF_SS32)) !== HF_SS32) return false;
    const top = e[ESP << 1];
    const p = frame(cpu, top, count, cpl === 3 ? 1 : 0);
    if (p < 0) return false;
    pushReturn(m, p + count, e[CS_AT], error, flags, returnEip);
    e[ESP << 1] = (top - count * 4) | 0;
  } else if (!switchStack(cpu, dpl, count + 2, error, flags, returnEip)) return false;

  setFlat(e, CS_AT, (selector & 0xfffc) | dpl, codeHi);
  e[ENV.CS_BASE >> 2] = 0;
  e[ENV.EIP >> 2] = (gateHi & 0xffff0000) | (gateLo & 0xffff);
  let cleared = FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT;
  if (((gateHi >>> DESC_TYPE_SHIFT) & 15) !== SYS_TRAP_GATE32) cleared |= FLAG_IF;
  const eflags = (e[ENV.EFLAGS >> 2] &= ~cleared);
  const next = (h & ~PRIVILEGE_BITS) | HF_CS32 | HF_SS32 | privilegeBits(cpu, dpl, eflags);
  e[ENV.HFLAGS >> 2] = (h & (HF_SEGCHECK | HF_ADDSEG)) === 0 ? next : withSegmentBits(cpu, next);
  return true;
}

/** To the stack of an inner level: its SS:ESP from the TSS, the frame written, SS and ESP loaded. */
function switchStack(
  cpu: X86Cpu,
  dpl: number,
  count: number,
  error: number,
  flags: number,
  returnEip: number,
): boolean {
  const e = cpu.ei32;
  const m = cpu.i32;
  const at = dpl * 8 + 4;
  const tss = (e[(ENV.TR + SEG_BASE) >> 2] + at) | 0;
  if (((e[(ENV.TR + SEG_FLAGS) >> 2] >>> DESC_TYPE_SHIFT) & 8) === 0 || at + 5 > cpu.e32[(ENV.TR + SEG_LIMIT) >> 2])
    return false;
  if ((tss & 3) !== 0 || (tss & 4095) > 4088) return false;
  const from = plainWord(cpu, tss, 0, 0);
  if (from < 0) return false;
  const top = m[from];
  const ss = m[from + 1] & 0xffff;
  if ((ss & 0xfffc) === 0 || (ss & 3) !== dpl) return false;
  const stack = gdtWord(cpu, ss);
  if (stack < 0 || !isFlat(m, stack, FLAT_DATA, dpl)) return false;
  const stackHi = m[stack + 1];
  const p = frame(cpu, top, count, 0);
  if (p < 0) return false;
  m[p + count - 1] = e[SS_AT];
  m[p + count - 2] = e[ESP << 1];
  pushReturn(m, p + count - 2, e[CS_AT], error, flags, returnEip);
  setFlat(e, SS_AT, ss, stackHi);
  e[ESP << 1] = (top - count * 4) | 0;
  return true;
}

/** Word of memory of the lowest of `count` dwords below `top`, if they lie in one page of plain RAM; else -1. */
function frame(cpu: X86Cpu, top: number, count: number, user: number): number {
  const first = (top - 4) | 0; // pushed first: the one that a page fault names
  if ((top & 3) !== 0 || (first & 4095) < (count - 1) * 4) return -1;
  const p = plainWord(cpu, first, 1, user);
  return p < 0 ? -1 : p - (count - 1);
}

/** EFLAGS, CS, EIP and the error code below word `p`. */
function pushReturn(m: Int32Array, p: number, cs: number, error: number, flags: number, returnEip: number): void {
  m[p - 1] = flags;
  m[p - 2] = cs;
  m[p - 3] = returnEip;
  if (error >= 0) m[p - 4] = error;
}

/** Flags that a 32-bit IRET may change at any level, and at level 0. */
const ANY = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_RF | FLAG_AC | FLAG_ID;
const LEVEL0 = FLAG_IOPL | FLAG_VIF | FLAG_VIP;

/** IRETD. Called in protected mode outside VM86 with NT clear. */
export function fastIret(cpu: X86Cpu): boolean {
  const e = cpu.ei32;
  const m = cpu.i32;
  const h = e[ENV.HFLAGS >> 2];
  if ((h & (HF_SEGCHECK | HF_ADDSEG | HF_SS32)) !== HF_SS32) return false;
  const cpl = h & HF_CPL;
  const esp = e[ESP << 1];
  if ((esp & 3) !== 0 || (esp & 4095) > 4096 - 12) return false;
  const p = plainWord(cpu, esp, 0, cpl === 3 ? 1 : 0);
  if (p < 0) return false;
  const eip = m[p];
  const selector = m[p + 1] & 0xffff;
  const flags = returnFlags(cpu, m[p + 2]);
  const rpl = selector & 3;
  if ((selector & 0xfffc) === 0 || rpl < cpl || ((flags & FLAG_VM) !== 0 && cpl === 0)) return false;
  const code = gdtWord(cpu, selector);
  if (code < 0 || !isFlat(m, code, FLAT_CODE, rpl)) return false;
  const codeHi = m[code + 1];
  let next = h;
  if (rpl === cpl) {
    e[ESP << 1] = (esp + 12) | 0;
  } else {
    if ((esp & 4095) > 4096 - 20) return false;
    const ss = m[p + 4] & 0xffff;
    if ((ss & 0xfffc) === 0 || (ss & 3) !== rpl) return false;
    const stack = gdtWord(cpu, ss);
    if (stack < 0 || !isFlat(m, stack, FLAT_DATA, rpl)) return false;
    setFlat(e, SS_AT, ss, m[stack + 1]);
    e[ESP << 1] = m[p + 3];
    if ((nullInner(cpu, ES, rpl) | nullInner(cpu, DS, rpl) | nullInner(cpu, FS, rpl) | nullInner(cpu, GS, rpl)) !== 0)
      next = withSegmentBits(cpu, h);
  }
  setFlat(e, CS_AT, selector, codeHi);
  e[ENV.CS_BASE >> 2] = 0;
  e[ENV.EIP >> 2] = eip;

  const old = e[ENV.EFLAGS >> 2];
  let mask = ANY;
  if (cpl <= (old & FLAG_IOPL) >> 12) mask |= FLAG_IF;
  if (cpl === 0) mask |= LEVEL0;
  e[ENV.CC_SRC >> 2] = flags & FLAGS_ARITH;
  e[ENV.CC_OP >> 2] = 0;
  const eflags = (old & ~mask & ~FLAGS_ARITH) | (flags & mask & ~FLAGS_ARITH) | 2;
  if (cpu.smapPages.count !== 0 && (old & ~eflags & FLAG_AC) !== 0) cpu.smapPages.forget();
  e[ENV.EFLAGS >> 2] = eflags;
  e[ENV.HFLAGS >> 2] = (next & ~PRIVILEGE_BITS) | HF_CS32 | privilegeBits(cpu, rpl, eflags);
  return true;
}

/** Data and nonconforming code of DPL < CPL become null. 1: the register was not null before. */
function nullInner(cpu: X86Cpu, seg: number, cpl: number): number {
  const e = cpu.ei32;
  const at = segmentAt(seg);
  const flags = e[at + (SEG_FLAGS >> 2)];
  if (
    ((flags >>> DESC_DPL_SHIFT) & 3) >= cpl ||
    (flags & (DESC_CODE | DESC_CONFORMING)) === (DESC_CODE | DESC_CONFORMING)
  )
    return 0;
  if ((flags | e[at + (SEG_SELECTOR >> 2)] | e[at + (SEG_BASE >> 2)] | e[at + (SEG_LIMIT >> 2)]) === 0) return 0;
  loadNull(cpu, seg, 0);
  return 1;
}
