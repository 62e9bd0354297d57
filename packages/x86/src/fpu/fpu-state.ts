/**
 * Script helpers of the x87 state images: FNSTENV, FLDENV, FNSAVE, FRSTOR (four layouts). SDM Vol. 1 §8.1.10 figures 8-9 to
 * 8-12. Memory is checked or read whole before any state changes. FXSAVE and XSAVE areas: fxsave.ts, xsave.ts.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, HF_FPU_ES, HF_FPU_UNMASKED, HF_TOP } from '../state.ts';
import { linearAt, linearOf, probe } from './address.ts';
import {
  FCW_INIT,
  FCW_ONE,
  FCW_WRITABLE,
  FSW_B,
  FSW_ES,
  FSW_TOP,
  FSW_TOP_SHIFT,
  X87_FLAGS,
  withErrorSummary,
  withX87Flags,
} from './x87-bits.ts';
import { setTopOfCpu, topOfCpu } from './x87-commit.ts';

type Factory = (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number;

/** Layout argument of the environment helpers; bit 2: the operand is on the stack. */
export const LAYOUT_32 = 1;
export const LAYOUT_PROTECTED = 2;
export const LAYOUT_STACK = 4;
const environmentSize = (layout: number): number => ((layout & LAYOUT_32) !== 0 ? 28 : 14);

// --- parts ------------------------------------------------------------------------------------------------------------
export const statusWord = (cpu: X86Cpu): number => (cpu.env32(ENV.FPUS) & ~FSW_TOP) | (topOfCpu(cpu) << FSW_TOP_SHIFT);

/** Two-bit tag of physical register n: 0 valid, 1 zero, 2 special, 3 empty. */
function fullTag(cpu: X86Cpu, n: number): number {
  if (cpu.e8[ENV.FPTAGS + n] !== 0) return 3;
  const at = (ENV.FPREGS + 16 * n) >> 2;
  const exponent = cpu.e32[at + 2]! & 0x7fff;
  const low = cpu.e32[at]!;
  const high = cpu.e32[at + 1]!;
  if (exponent === 0 && (low | high) === 0) return 1;
  return exponent === 0 || exponent === 0x7fff || high < 0x8000_0000 ? 2 : 0;
}
function tagWord(cpu: X86Cpu): number {
  let word = 0;
  for (let n = 0; n < 8; n++) word |= fullTag(cpu, n) << (2 * n);
  return word;
}
/** FCW, FSW and everything of HFLAGS that follows. */
export function setWords(cpu: X86Cpu, control: number, status: number): void {
  const fcw = (control & FCW_WRITABLE) | FCW_ONE;
  const fsw = withErrorSummary(status & 0xffff & ~FSW_TOP, fcw);
  cpu.setEnv32(ENV.FPUC, fcw);
  cpu.setEnv32(ENV.FPUS, fsw);
  setTopOfCpu(cpu, (status & FSW_TOP) >> FSW_TOP_SHIFT);
  cpu.hflags = withX87Flags(cpu.hflags, fsw, fcw);
}
/** FIP or FDP from an image of 32 bits. */
function setPointer(cpu: X86Cpu, slot: number, v: number): void {
  cpu.setEnv32(slot, v);
  cpu.setEnv32(slot + 4, 0);
}
export function initialise(cpu: X86Cpu): void {
  cpu.setEnv32(ENV.FPUC, FCW_INIT);
  cpu.setEnv32(ENV.FPUS, 0);
  cpu.e8.fill(1, ENV.FPTAGS, ENV.FPTAGS + 8);
  for (const slot of [ENV.FOP, ENV.FCS, ENV.FDS]) cpu.setEnv32(slot, 0);
  setPointer(cpu, ENV.FIP, 0);
  setPointer(cpu, ENV.FDP, 0);
  cpu.hflags &= ~(HF_TOP | HF_FPU_ES | HF_FPU_UNMASKED);
}

// --- environment ------------------------------------------------------------------------------------------------------
function writeEnvironment(cpu: X86Cpu, address: number, layout: number): void {
  const words = [cpu.env32(ENV.FPUC), statusWord(cpu), tagWord(cpu)];
  const ip = cpu.env32(ENV.FIP);
  const dp = cpu.env32(ENV.FDP);
  const fop = cpu.env32(ENV.FOP) & 0x7ff;
  const isProtected = (layout & LAYOUT_PROTECTED) !== 0;
  const write32 = (n: number, v: number): void => cpu.write32(linearAt(cpu, address, n), v);
  const write16 = (n: number, v: number): void => cpu.write16(linearAt(cpu, address, n), v);
  if ((layout & LAYOUT_32) !== 0) {
    words.forEach((w, n) => write32(4 * n, w | 0xffff0000));
    if (isProtected) {
      write32(12, ip);
      write32(16, (cpu.env32(ENV.FCS) & 0xffff) | (fop << 16));
      write32(20, dp);
      write32(24, (cpu.env32(ENV.FDS) & 0xffff) | 0xffff0000);
    } else {
      const linearIp = (ip + ((cpu.env32(ENV.FCS) & 0xffff) << 4)) >>> 0;
      const linearDp = (dp + ((cpu.env32(ENV.FDS) & 0xffff) << 4)) >>> 0;
      write32(12, (linearIp & 0xffff) | 0xffff0000);
      write32(16, ((linearIp >>> 16) << 12) | fop);
      write32(20, (linearDp & 0xffff) | 0xffff0000);
      write32(24, (linearDp >>> 16) << 12);
    }
    return;
  }
  words.forEach((w, n) => write16(2 * n, w));
  if (isProtected) {
    [ip, cpu.env32(ENV.FCS), dp, cpu.env32(ENV.FDS)].forEach((w, n) => write16(6 + 2 * n, w & 0xffff));
  } else {
    const linearIp = ip + ((cpu.env32(ENV.FCS) & 0xffff) << 4);
    const linearDp = dp + ((cpu.env32(ENV.FDS) & 0xffff) << 4);
    write16(6, linearIp & 0xffff);
    write16(8, (((linearIp >>> 16) & 15) << 12) | fop);
    write16(10, linearDp & 0xffff);
    write16(12, ((linearDp >>> 16) & 15) << 12);
  }
}

/** Reads everything, then sets it: a fault changes nothing. */
function readEnvironment(cpu: X86Cpu, address: number, layout: number): void {
  probe(cpu, address, environmentSize(layout), 0, (layout & LAYOUT_STACK) !== 0);
  const wide = (layout & LAYOUT_32) !== 0;
  const read = (n: number): number =>
    wide ? cpu.read32(linearAt(cpu, address, 4 * n)) >>> 0 : cpu.read16(linearAt(cpu, address, 2 * n));
  const [control, status, tags, a, c, d, e] = [read(0), read(1), read(2), read(3), read(4), read(5), read(6)];
  if ((layout & LAYOUT_PROTECTED) !== 0) {
    setPointer(cpu, ENV.FIP, a);
    cpu.setEnv32(ENV.FCS, c & 0xffff);
    cpu.setEnv32(ENV.FOP, wide ? (c >>> 16) & 0x7ff : 0);
    setPointer(cpu, ENV.FDP, d);
    cpu.setEnv32(ENV.FDS, e & 0xffff);
  } else {
    setPointer(cpu, ENV.FIP, (a & 0xffff) | (((c >>> 12) & 0xffff) << 16));
    cpu.setEnv32(ENV.FCS, 0);
    cpu.setEnv32(ENV.FOP, c & 0x7ff);
    setPointer(cpu, ENV.FDP, (d & 0xffff) | (((e >>> 12) & 0xffff) << 16));
    cpu.setEnv32(ENV.FDS, 0);
  }
  setWords(cpu, control, status);
  for (let n = 0; n < 8; n++) cpu.e8[ENV.FPTAGS + n] = ((tags >> (2 * n)) & 3) === 3 ? 1 : 0;
}

/** The checked memory operand of an environment helper. */
function areaOf(cpu: X86Cpu, low: number, high: number, layout: number, bytes: number, access: number): number {
  const stack = (layout & LAYOUT_STACK) !== 0;
  const address = linearOf(cpu, low, high, stack);
  probe(cpu, address, bytes, access, stack);
  return address;
}
/** After FNSTENV all exceptions are masked; so nothing is pending. */
const fnstenv: Factory = (cpu) => (low, high, layout) => {
  const address = areaOf(cpu, low, high, layout, environmentSize(layout), 1);
  writeEnvironment(cpu, address, layout);
  cpu.setEnv32(ENV.FPUC, cpu.env32(ENV.FPUC) | X87_FLAGS);
  cpu.setEnv32(ENV.FPUS, cpu.env32(ENV.FPUS) & ~(FSW_ES | FSW_B));
  cpu.hflags &= ~(HF_FPU_ES | HF_FPU_UNMASKED);
  return 0;
};
const fldenv: Factory = (cpu) => (low, high, layout) => {
  readEnvironment(cpu, linearOf(cpu, low, high, (layout & LAYOUT_STACK) !== 0), layout);
  return 0;
};
const fnsave: Factory = (cpu) => (low, high, layout) => {
  const head = environmentSize(layout);
  const address = areaOf(cpu, low, high, layout, head + 80, 1);
  writeEnvironment(cpu, address, layout);
  const top = topOfCpu(cpu);
  for (let i = 0; i < 8; i++) {
    const slot = ENV.FPREGS + 16 * ((top + i) & 7);
    for (let k = 0; k < 10; k++) cpu.write8(linearAt(cpu, address, head + 10 * i + k), cpu.e8[slot + k]!);
  }
  initialise(cpu);
  return 0;
};
const frstor: Factory = (cpu) => {
  const registers = new Uint8Array(80);
  return (low, high, layout) => {
    const head = environmentSize(layout);
    const address = areaOf(cpu, low, high, layout, head + 80, 0);
    for (let k = 0; k < 80; k++) registers[k] = cpu.read8(linearAt(cpu, address, head + k));
    readEnvironment(cpu, address, layout);
    const top = topOfCpu(cpu);
    for (let i = 0; i < 8; i++) cpu.e8.set(registers.subarray(10 * i, 10 * i + 10), ENV.FPREGS + 16 * ((top + i) & 7));
    return 0;
  };
};

export const FPU_STATE_HELPERS: Readonly<Record<string, Factory>> = {
  fnstenv,
  fldenv,
  fnsave,
  frstor,
};
