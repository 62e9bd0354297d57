/**
 * DR0-DR7: moves, data watchpoints for the accelerator, instruction breakpoints, single step.
 * SDM Vol. 3B §18.2 "Debug Registers", §18.3 "Debug Exceptions". I/O breakpoints (CR4.DE, R/W = 10) are checked by
 * port I/O. Not here: last-branch records.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, EXC, FLAG_RF, HF_INHIBIT_IRQ } from '../state.ts';
import { CR4_DE } from './cr-bits.ts';
import { HELD_BY_GUEST } from './linear-numbers.ts';
import { SHADOW_MOV_SS } from './load-seg.ts';

export const DR6_BD = 1 << 13;
export const DR6_BS = 1 << 14;
export const DR6_BT = 1 << 15;
const DR7_GD = 1 << 13;
const DR7_FIXED = 1 << 10;
/** Bits of DR6 that read as 1, and those that can be written. SDM §18.2.3. */
const DR6_FIXED = 0xffff_0ff0;
const DR6_WRITABLE = 0x0000_e00f;
const DR7_WRITABLE = 0xffff_23ff;

/** One data breakpoint of DR7. */
export interface Watchpoint {
  /** 0-3: which DR, and which bit of DR6. */
  readonly index: number;
  readonly address: number;
  readonly length: number;
  /** Also on reads (R/W = 11); else on writes only (01). */
  readonly reads: boolean;
}

const enabled = (dr7: number, i: number): boolean => ((dr7 >>> (2 * i)) & 3) !== 0;
const kind = (dr7: number, i: number): number => (dr7 >>> (16 + 4 * i)) & 3;
/** LEN 10 is 8 bytes in 64-bit mode and undefined elsewhere: taken as 8, as processors with long mode do. */
const LENGTHS = [1, 2, 8, 4];

/** Low bits of a breakpoint's address do not count. */
function alignedAddress(cpu: X86Cpu, index: number, length: number): number {
  const low = cpu.dr(index) & -length;
  const high = cpu.env32(ENV.DR + index * 8 + 4);
  // the guest holds four at most
  return cpu.linear.hold(low, high, HELD_BY_GUEST) ?? cpu.linear.of(low, high);
}

/** Rebuild cpu.watchpoints. */
export function collectWatchpoints(cpu: X86Cpu): void {
  const dr7 = cpu.dr(7);
  cpu.watchpoints.length = 0;
  cpu.linear.release(HELD_BY_GUEST);
  for (let index = 0; index < 4; index++) {
    const k = kind(dr7, index);
    if (!enabled(dr7, index) || (k !== 1 && k !== 3)) continue;
    const length = LENGTHS[(dr7 >>> (18 + 4 * index)) & 3];
    cpu.watchpoints.push({ index, address: alignedAddress(cpu, index, length), length, reads: k === 3 });
  }
}

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE, then #UD. SDM §18.2.2. General detect: #DB before any access. */
function checkAccess(cpu: X86Cpu, n: number): number {
  if (n === 4 || n === 5) {
    if ((cpu.cr(4) & CR4_DE) !== 0) cpu.raise(EXC.UD);
    n += 2;
  }
  if ((cpu.dr(7) & DR7_GD) !== 0) {
    cpu.setDrRaw(6, cpu.dr(6) | DR6_BD);
    cpu.setDrRaw(7, cpu.dr(7) & ~DR7_GD);
    cpu.raise(EXC.DB);
  }
  return n;
}

/** High half of the result in ENV.SCRATCH. */
export function movFromDr(cpu: X86Cpu, n: number): number {
  n = checkAccess(cpu, n & 7);
  cpu.setEnv32(ENV.SCRATCH, cpu.env32(ENV.DR + n * 8 + 4));
  return cpu.dr(n) | 0;
}

export function movToDr(cpu: X86Cpu, n: number, v: number, high = 0): number {
  n = checkAccess(cpu, n & 7);
  if (n >= 6 && high !== 0) cpu.raise(EXC.GP, 0);
  if (n === 6) cpu.setDrRaw(6, (v & DR6_WRITABLE) | DR6_FIXED);
  else if (n === 7) cpu.setDrRaw(7, (v & DR7_WRITABLE) | DR7_FIXED);
  else cpu.setDrRaw(n, v, high);
  if (n !== 6) {
    const before = cpu.watchpoints.length;
    collectWatchpoints(cpu);
    if (before + cpu.watchpoints.length > 0) cpu.host.watchpointsChanged?.();
    cpu.updateHflags();
  }
  return 0;
}

/**
 * EFLAGS that IRET loads: RF only holds back instruction breakpoints, so while DR7 enables none it is dropped at once
 * and not at the end of the next instruction, which spares that instruction a block of its own. (An interrupt between
 * the two would push RF clear.)
 */
export function returnFlags(cpu: X86Cpu, flags: number): number {
  return (cpu.ei32[(ENV.DR + 7 * 8) >> 2] & 0xff) === 0 ? flags & ~FLAG_RF : flags;
}

/** Bits of DR6 for the instruction breakpoints that match a linear address. */
function matchInstruction(cpu: X86Cpu, low: number, high: number): number {
  const dr7 = cpu.dr(7);
  let hit = 0;
  for (let i = 0; i < 4; i++) {
    if (!enabled(dr7, i) || kind(dr7, i) !== 0 || cpu.dr(i) !== low >>> 0) continue;
    if (cpu.env32(ENV.DR + i * 8 + 4) === high >>> 0) hit |= 1 << i;
  }
  return hit;
}

/**
 * Before an instruction under HF_DEBUG: #DB as a fault if it is marked and RF is clear. Data and I/O hits of the
 * instruction before, if nobody has delivered them yet, are reported here: EIP is the same.
 */
export function checkInstructionBreakpoint(cpu: X86Cpu, eip: number): number {
  const pending = cpu.e32[ENV.PENDING_DR6 >> 2];
  if (pending !== 0) {
    cpu.e32[ENV.PENDING_DR6 >> 2] = 0;
    cpu.setDrRaw(6, cpu.dr(6) | pending);
    cpu.raise(EXC.DB);
  }
  if ((cpu.e32[ENV.EFLAGS >> 2] & FLAG_RF) !== 0) return 0;
  const base = cpu.ei32[ENV.CS_BASE >> 2];
  const hit = cpu.code64 ? matchInstruction(cpu, eip, base) : matchInstruction(cpu, base + eip, 0);
  if (hit !== 0) {
    cpu.setDrRaw(6, (cpu.dr(6) & ~15) | hit);
    cpu.raise(EXC.DB);
  }
  return 0;
}

/** After a port access: I/O breakpoints (R/W = 10, needs CR4.DE) become pending. */
export function notePortAccess(cpu: X86Cpu, port: number, size: number): void {
  const dr7 = cpu.dr(7);
  if ((dr7 & 0xff) === 0 || (cpu.cr(4) & CR4_DE) === 0) return;
  for (let i = 0; i < 4; i++) {
    if (!enabled(dr7, i) || kind(dr7, i) !== 2) continue;
    const length = LENGTHS[(dr7 >>> (18 + 4 * i)) & 3];
    const address = alignedAddress(cpu, i, length);
    if (port < address + length && address < port + size) cpu.e32[ENV.PENDING_DR6 >> 2] |= 1 << i;
  }
}

/**
 * After an instruction that began with TF set; EIP is the next one. The shadow of MOV SS puts the trap off to the end
 * of the instruction behind it. SDM Vol. 3B §18.3.1.4, Vol. 3A §6.8.3.
 */
export function singleStep(cpu: X86Cpu): number {
  if ((cpu.hflags & HF_INHIBIT_IRQ) !== 0 && cpu.e32[ENV.INHIBIT_IRQ >> 2] === SHADOW_MOV_SS) return 0;
  cpu.e32[ENV.PENDING_DR6 >> 2] |= DR6_BS;
  cpu.deliverPendingTrap();
  return 0;
}
