/**
 * `x87_commit`: finishes an x87 instruction whose outcome depends on which exceptions are unmasked (or, FSINCOS and
 * FPTAN, on the operand). The result is in env scratch, computed with the real control word; here it is decided what
 * is written, whether the stack moves, and whether an error is pending now.
 *
 * An unmasked IE, DE or ZE stops the instruction before it changes operands or stack; an unmasked OE, UE, PE comes
 * after the result, except that a store with unmasked OE or UE stores nothing. SDM Vol. 1 §8.5, §8.6, §8.7.
 * The error itself (#MF) waits for the next waiting instruction.
 */
import type { X86Cpu } from '../cpu.ts';
import {
  CS,
  ENV,
  FLAGS_ARITH,
  FLAG_CF,
  FLAG_PF,
  FLAG_ZF,
  FS,
  HF_CS64,
  HF_TOP,
  HF_TOP_SHIFT,
  SEG_BASE,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import { linearAt, linearOf, probe } from './address.ts';
import {
  COMMIT_COMI,
  COMMIT_COMPARE,
  COMMIT_MOVE,
  COMMIT_PREM,
  COMMIT_PUSH,
  COMMIT_STORE,
  COMMIT_TRIG,
  COMMIT_TWO,
  COMMIT_XCHG,
  DST_SHIFT,
  FOP_SHIFT,
  FSW_C1,
  FSW_C2,
  FSW_CC,
  FSW_SF,
  NO_SEGMENT,
  POPS_SHIFT,
  SEGMENT_SHIFT,
  SIZE_SHIFT,
  X87_DE,
  X87_FLAGS,
  X87_IE,
  X87_OE,
  X87_UE,
  X87_ZE,
  withErrorSummary,
  withX87Flags,
} from './x87-bits.ts';

const RESULT = ENV.SCRATCH + 32;
const RESULT2 = ENV.SCRATCH + 48;

const slotOf = (physical: number): number => ENV.FPREGS + 16 * (physical & 7);
export const topOfCpu = (cpu: X86Cpu): number => (cpu.hflags & HF_TOP) >>> HF_TOP_SHIFT;
export const setTopOfCpu = (cpu: X86Cpu, top: number): void => {
  cpu.hflags = (cpu.hflags & ~HF_TOP) | ((top & 7) << HF_TOP_SHIFT);
};

function writeIndefinite(cpu: X86Cpu, offset: number): void {
  cpu.e8.fill(0, offset, offset + 7);
  cpu.e8[offset + 7] = 0xc0;
  cpu.e8[offset + 8] = 0xff;
  cpu.e8[offset + 9] = 0xff;
}
/** Register := 10 bytes at `from`; the tag becomes valid. */
function place(cpu: X86Cpu, physical: number, from: number): void {
  cpu.e8.copyWithin(slotOf(physical), from, from + 10);
  cpu.e8[ENV.FPTAGS + (physical & 7)] = 0;
}
function popRegisters(cpu: X86Cpu, count: number): void {
  for (let n = 0; n < count; n++) {
    const top = topOfCpu(cpu);
    cpu.e8[ENV.FPTAGS + top] = 1;
    setTopOfCpu(cpu, top + 1);
  }
}
/** A faulting operand of FXCH becomes the default NaN. */
function exchange(cpu: X86Cpu, x: number, y: number): void {
  const { e8 } = cpu;
  for (const n of [x, y]) {
    if (e8[ENV.FPTAGS + n] !== 0) writeIndefinite(cpu, slotOf(n));
    e8[ENV.FPTAGS + n] = 0;
  }
  e8.copyWithin(RESULT, slotOf(x), slotOf(x) + 10);
  e8.copyWithin(slotOf(x), slotOf(y), slotOf(y) + 10);
  e8.copyWithin(slotOf(y), RESULT, RESULT + 10);
}
/** Indefinite of a store by its size: SDM Vol. 1 §4.2, §4.8.3.7. The 4- and 8-byte real forms differ from the integer ones. */
function storeIndefinite(cpu: X86Cpu, size: number, fop: number): void {
  const { e8 } = cpu;
  if (size === 10) {
    writeIndefinite(cpu, RESULT);
    return;
  }
  e8.fill(0, RESULT, RESULT + size);
  const real = (fop >> 8 === 1 || fop >> 8 === 5) && ((fop >> 3) & 7) !== 1; // D9, DD but not FISTTP m64
  e8[RESULT + size - 1] = real ? 0xff : 0x80;
  if (real) e8[RESULT + size - 2] = size === 4 ? 0xc0 : 0xf8;
}
/** The store is done whole or not at all. */
function writeMemory(cpu: X86Cpu, address: number, size: number, stack: boolean): void {
  probe(cpu, address, size, 1, stack);
  for (let n = 0; n < size; n++) cpu.write8(linearAt(cpu, address, n), cpu.e8[RESULT + n]!);
}

/** Does a result exist, and is it placed? Changes registers, stack and memory accordingly. */
function place87(cpu: X86Cpu, kind: number, flags: number, descriptor: number, low: number, high: number): void {
  const dst = (descriptor >> DST_SHIFT) & 7;
  const stackFault = (flags & FSW_SF) !== 0;
  const top = topOfCpu(cpu);
  switch (kind) {
    case COMMIT_COMPARE:
      break;
    case COMMIT_COMI:
      cpu.setEflags((flags >> 8) & (FLAG_CF | FLAG_PF | FLAG_ZF), FLAGS_ARITH);
      break;
    case COMMIT_XCHG:
      exchange(cpu, top, dst);
      break;
    case COMMIT_STORE: {
      const size = (descriptor >> SIZE_SHIFT) & 15;
      if (stackFault) storeIndefinite(cpu, size, (descriptor >> FOP_SHIFT) & 0x7ff);
      const stack = ((descriptor >>> SEGMENT_SHIFT) & 7) === SS;
      writeMemory(cpu, linearOf(cpu, low, high, stack), size, stack);
      break;
    }
    case COMMIT_TWO:
      if (!stackFault && (flags & FSW_C2) !== 0) return;
      if (stackFault) {
        writeIndefinite(cpu, RESULT);
        writeIndefinite(cpu, RESULT2);
      }
      place(cpu, top, RESULT);
      place(cpu, top - 1, RESULT2);
      setTopOfCpu(cpu, top - 1);
      return;
    case COMMIT_PUSH:
      if (stackFault) writeIndefinite(cpu, RESULT);
      place(cpu, top - 1, RESULT);
      setTopOfCpu(cpu, top - 1);
      return;
    default:
      if (kind === COMMIT_TRIG && !stackFault && (flags & FSW_C2) !== 0) return;
      if (stackFault) writeIndefinite(cpu, RESULT);
      place(cpu, dst, RESULT);
  }
  popRegisters(cpu, (descriptor >> POPS_SHIFT) & 3);
}

/** FDP: the offset in the operand's segment, linear address less base. In 64-bit code only FS and GS have a base. */
function setDataPointer(cpu: X86Cpu, low: number, high: number, baseSlot: number): void {
  const long = (cpu.hflags & HF_CS64) !== 0;
  const hasBase = !long || baseSlot >= ENV.SEG + FS * SEG_STRIDE;
  const base = hasBase ? cpu.env32(baseSlot) : 0;
  const baseHigh = hasBase ? cpu.env32(baseSlot + 4) : 0;
  cpu.setEnv32(ENV.FDP, low - base);
  cpu.setEnv32(ENV.FDP + 4, long ? high - baseHigh - (low >>> 0 < base ? 1 : 0) : 0);
}

/** Condition-code bits an instruction of this kind replaces. */
function clearedBits(kind: number, stopped: boolean, stackFault: boolean): number {
  if (kind === COMMIT_COMI || kind === COMMIT_MOVE) return stackFault ? FSW_C1 : 0;
  if (kind === COMMIT_COMPARE || kind === COMMIT_PREM) return stopped ? FSW_C1 : FSW_CC;
  return kind === COMMIT_TRIG || kind === COMMIT_TWO ? FSW_C1 | FSW_C2 : FSW_C1;
}

export const x87Commit =
  (cpu: X86Cpu) =>
  (flags: number, descriptor: number, low: number, high: number): number => {
    const fcw = cpu.ei32[ENV.FPUC >> 2]!;
    const kind = descriptor & 15;
    const unmasked = flags & ~fcw & X87_FLAGS;
    const stopped =
      (unmasked & (X87_IE | X87_DE | X87_ZE)) !== 0 || (kind === COMMIT_STORE && (unmasked & (X87_OE | X87_UE)) !== 0);
    if (!stopped) place87(cpu, kind, flags, descriptor, low, high);

    const kept = cpu.ei32[ENV.FPUS >> 2]! & ~clearedBits(kind, stopped, (flags & FSW_SF) !== 0);
    let added = flags & (X87_FLAGS | FSW_SF | FSW_CC);
    if (kind === COMMIT_COMI || (stopped && kind === COMMIT_COMPARE)) added &= ~FSW_CC;
    const fsw = withErrorSummary(kept | added, fcw);
    cpu.ei32[ENV.FPUS >> 2] = fsw;
    cpu.hflags = withX87Flags(cpu.hflags, fsw, fcw);

    cpu.setEnv32(ENV.FIP, cpu.currentEip());
    cpu.setEnv32(ENV.FIP + 4, (cpu.hflags & HF_CS64) !== 0 ? cpu.env32(ENV.CS_BASE) : 0);
    if (unmasked === 0) return 0;
    cpu.setEnv32(ENV.FCS, cpu.segSelector(CS));
    cpu.setEnv32(ENV.FOP, (descriptor >> FOP_SHIFT) & 0x7ff);
    const segment = (descriptor >>> SEGMENT_SHIFT) & 7;
    if (segment !== NO_SEGMENT) {
      setDataPointer(cpu, low, high, ENV.SEG + segment * SEG_STRIDE + SEG_BASE);
      cpu.setEnv32(ENV.FDS, cpu.segSelector(segment));
    }
    return 0;
  };
