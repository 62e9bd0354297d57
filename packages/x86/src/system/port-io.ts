/**
 * IN, OUT, INS, OUTS with the IOPL and TSS bitmap checks, REP included. SDM Vol. 1 §18.5 "I/O Protection",
 * Vol. 2A "INS", Vol. 2B "OUTS". A REP string does a bounded number of elements a call; then EIP stays at the
 * instruction with ECX, ESI, EDI exact, so that interrupts get in.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  ECX,
  EDI,
  EDX,
  ENV,
  ES,
  ESI,
  EXC,
  FLAG_DF,
  HF_IOPL_OK,
  HF_SEGCHECK,
  HF_FGCHECK,
  HF_TF,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SS,
} from '../state.ts';
import { TWO32, highHalf } from './address.ts';
import { notePortAccess } from './debug-registers.ts';
import { DESC_CODE, DESC_P, DESC_RW, DESC_TYPE_SHIFT } from './descriptor-bits.ts';
import { withinLimit } from './descriptor.ts';

/** Elements of a REP INS/OUTS before interrupts are looked at. */
export const REP_IO_CHUNK = 1024;

type PortSize = 1 | 2 | 4;

/** #GP(0) unless every bit of the access is clear in the TSS's I/O permission map. */
function checkPermission(cpu: X86Cpu, port: number, size: number): void {
  if ((cpu.hflags & HF_IOPL_OK) !== 0) return;
  const e = cpu.e32;
  const limit = e[(ENV.TR + SEG_LIMIT) >> 2];
  const base = cpu.envNumber(ENV.TR + SEG_BASE);
  // Types 9 and 11: only the 32-bit TSS has a map.
  if (((e[(ENV.TR + SEG_FLAGS) >> 2] >>> DESC_TYPE_SHIFT) & 13) !== 9 || limit < 0x67) cpu.raise(EXC.GP, 0);
  const at = cpu.readSys16(base + 0x66) + (port >> 3);
  // Two bytes are always read: the map ends with a byte of ones.
  if (at + 1 > limit) cpu.raise(EXC.GP, 0);
  const bits = cpu.readSys16(base + at) >>> (port & 7);
  if ((bits & ((1 << size) - 1)) !== 0) cpu.raise(EXC.GP, 0);
}

export function portIn(cpu: X86Cpu, port: number, size: number): number {
  port &= 0xffff;
  checkPermission(cpu, port, size);
  const v = cpu.host.portIn(port, size as PortSize);
  notePortAccess(cpu, port, size);
  return v | 0;
}

export function portOut(cpu: X86Cpu, port: number, size: number, v: number): number {
  port &= 0xffff;
  checkPermission(cpu, port, size);
  cpu.host.portOut(port, size as PortSize, size === 4 ? v >>> 0 : v & (size === 2 ? 0xffff : 0xff));
  notePortAccess(cpu, port, size);
  return 0;
}

/** kind: 0 INS, 1 OUTS. bits: 1 address size 32, 4 address size 64, 2 REP; from bit 4 the source segment of OUTS. Sets EIP. */
export function insOuts(cpu: X86Cpu, kind: number, size: number, bits: number, nextEip: number): number {
  const port = cpu.reg(EDX) & 0xffff;
  const mask = (bits & 4) !== 0 ? WIDE : (bits & 1) !== 0 ? 0xffffffff : 0xffff;
  const rep = (bits & 2) !== 0;
  const out = (kind & 1) !== 0;
  let left = rep ? count(cpu, mask) : 1;
  checkPermission(cpu, port, size);
  let budget = (cpu.hflags & HF_TF) !== 0 ? 1 : REP_IO_CHUNK;
  const step = (cpu.ei32[ENV.EFLAGS >> 2] & FLAG_DF) !== 0 ? -size : size;
  const index = out ? ESI : EDI;
  const seg = out ? (bits >> 4) & 7 : ES;
  while (left !== 0 && budget !== 0) {
    const lin = elementAddress(cpu, seg, index, mask, size, !out);
    if (out) cpu.host.portOut(port, size as PortSize, readElement(cpu, lin, size));
    else inElement(cpu, lin, port, size);
    advance(cpu, index, step, mask);
    left--;
    budget--;
    if (rep) advance(cpu, ECX, -1, mask);
    if (cpu.e32[ENV.HALTED >> 2] !== 0) break; // the port reset or stopped the machine
  }
  notePortAccess(cpu, port, size);
  if (left === 0) cpu.goNext(nextEip);
  else cpu.eip = cpu.currentEip();
  return 0;
}

/** In place of a mask of offsets: all 64 bits. */
const WIDE = 0;

/** CX, ECX or RCX. */
function count(cpu: X86Cpu, mask: number): number {
  return mask === WIDE ? cpu.regHigh(ECX) * TWO32 + cpu.reg(ECX) : (cpu.reg(ECX) & mask) >>> 0;
}

/** Linear address of an element, checked. In 64-bit code only FS and GS have a base, and all that counts is its form. */
function elementAddress(cpu: X86Cpu, seg: number, index: number, mask: number, size: number, write: boolean): number {
  const offset = (cpu.reg(index) & (mask === WIDE ? 0xffffffff : mask)) >>> 0;
  if (!cpu.code64) {
    checkSegment(cpu, seg, offset, size, write);
    return (cpu.segBase(seg) + offset) >>> 0;
  }
  const lin = cpu.linearIn(seg, offset, mask === WIDE ? cpu.regHigh(index) : 0);
  if (!cpu.linear.canonical(lin)) cpu.raise(seg === SS ? EXC.SS : EXC.GP, 0);
  return lin;
}

function advance(cpu: X86Cpu, reg: number, by: number, mask: number): void {
  if (mask === WIDE) {
    const low = cpu.reg(reg) + by;
    cpu.setReg64(reg, low, cpu.regHigh(reg) + highHalf(low));
  } else if (mask === 0xffff) cpu.setReg16(reg, cpu.reg(reg) + by);
  else cpu.setReg(reg, cpu.reg(reg) + by);
}

function readElement(cpu: X86Cpu, lin: number, size: number): number {
  if (size === 4) return cpu.read32(lin) >>> 0;
  return size === 2 ? cpu.read16(lin) & 0xffff : cpu.read8(lin) & 0xff;
}

/** The destination is probed before the port is read: a page fault must not lose data. */
function inElement(cpu: X86Cpu, lin: number, port: number, size: number): void {
  const { user, host } = cpu;
  const last = cpu.code64 ? lin + size - 1 : (lin + size - 1) >>> 0;
  host.pointer(lin, 1, user);
  if ((last ^ lin) >>> 12 !== 0) host.pointer(last, 1, user);
  const v = host.portIn(port, size as PortSize);
  if (size === 4) host.write32(lin, v >>> 0, user);
  else if (size === 2) host.write16(lin, v & 0xffff, user);
  else host.write8(lin, v & 0xff, user);
}

/** Segment rights and limit of one element: #GP(0), #SS(0) through SS. */
function checkSegment(cpu: X86Cpu, seg: number, offset: number, size: number, write: boolean): void {
  if ((cpu.hflags & (HF_SEGCHECK | HF_FGCHECK)) === 0) return;
  const flags = cpu.segFlags(seg);
  const readable = (flags & (DESC_CODE | DESC_RW)) !== DESC_CODE;
  const writable = (flags & (DESC_CODE | DESC_RW)) === DESC_RW;
  if (
    (flags & DESC_P) === 0 ||
    !(write ? writable : readable) ||
    !withinLimit(flags, cpu.segLimit(seg), offset, size)
  ) {
    cpu.raise(seg === SS ? EXC.SS : EXC.GP, 0);
  }
}
