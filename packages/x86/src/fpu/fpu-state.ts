/**
 * Script helpers of the state images: FNSTENV, FLDENV, FNSAVE, FRSTOR (four layouts), FXSAVE, FXRSTOR.
 * SDM Vol. 1 §8.1.10 figures 8-9 to 8-12; Vol. 2A "FXSAVE" tables 3-43 ff. Memory is checked or read whole before any
 * state changes. FXSAVE leaves the reserved bytes of its 512 alone.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, EXC, HF_FPU_ES, HF_FPU_UNMASKED, HF_TOP, XMM_STRIDE } from '../state.ts';
import { MXCSR_VALID, withSseFast } from './mxcsr.ts';
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

const LAYOUT_32 = 1;
const LAYOUT_PROTECTED = 2;
const environmentSize = (layout: number): number => ((layout & LAYOUT_32) !== 0 ? 28 : 14);

/** Fault on any page of the range that cannot be accessed (access 0 read, 1 write). */
function probe(cpu: X86Cpu, address: number, bytes: number, access: number): void {
  cpu.host.pointer(address >>> 0, access, cpu.user);
  if (((address ^ (address + bytes - 1)) & ~0xfff) !== 0)
    cpu.host.pointer((address + bytes - 1) >>> 0, access, cpu.user);
}

// --- parts ------------------------------------------------------------------------------------------------------------
const statusWord = (cpu: X86Cpu): number => (cpu.env32(ENV.FPUS) & ~FSW_TOP) | (topOfCpu(cpu) << FSW_TOP_SHIFT);

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
function setWords(cpu: X86Cpu, control: number, status: number): void {
  const fcw = (control & FCW_WRITABLE) | FCW_ONE;
  const fsw = withErrorSummary(status & 0xffff & ~FSW_TOP, fcw);
  cpu.setEnv32(ENV.FPUC, fcw);
  cpu.setEnv32(ENV.FPUS, fsw);
  setTopOfCpu(cpu, (status & FSW_TOP) >> FSW_TOP_SHIFT);
  cpu.hflags = withX87Flags(cpu.hflags, fsw, fcw);
}
function initialise(cpu: X86Cpu): void {
  cpu.setEnv32(ENV.FPUC, FCW_INIT);
  cpu.setEnv32(ENV.FPUS, 0);
  cpu.e8.fill(1, ENV.FPTAGS, ENV.FPTAGS + 8);
  for (const slot of [ENV.FOP, ENV.FIP, ENV.FCS, ENV.FDP, ENV.FDS]) cpu.setEnv32(slot, 0);
  cpu.hflags &= ~(HF_TOP | HF_FPU_ES | HF_FPU_UNMASKED);
}

// --- environment ------------------------------------------------------------------------------------------------------
function writeEnvironment(cpu: X86Cpu, address: number, layout: number): void {
  const words = [cpu.env32(ENV.FPUC), statusWord(cpu), tagWord(cpu)];
  const ip = cpu.env32(ENV.FIP);
  const dp = cpu.env32(ENV.FDP);
  const fop = cpu.env32(ENV.FOP) & 0x7ff;
  const isProtected = (layout & LAYOUT_PROTECTED) !== 0;
  if ((layout & LAYOUT_32) !== 0) {
    words.forEach((w, n) => cpu.write32(address + 4 * n, w | 0xffff0000));
    if (isProtected) {
      cpu.write32(address + 12, ip);
      cpu.write32(address + 16, (cpu.env32(ENV.FCS) & 0xffff) | (fop << 16));
      cpu.write32(address + 20, dp);
      cpu.write32(address + 24, (cpu.env32(ENV.FDS) & 0xffff) | 0xffff0000);
    } else {
      const linearIp = (ip + ((cpu.env32(ENV.FCS) & 0xffff) << 4)) >>> 0;
      const linearDp = (dp + ((cpu.env32(ENV.FDS) & 0xffff) << 4)) >>> 0;
      cpu.write32(address + 12, (linearIp & 0xffff) | 0xffff0000);
      cpu.write32(address + 16, ((linearIp >>> 16) << 12) | fop);
      cpu.write32(address + 20, (linearDp & 0xffff) | 0xffff0000);
      cpu.write32(address + 24, (linearDp >>> 16) << 12);
    }
    return;
  }
  words.forEach((w, n) => cpu.write16(address + 2 * n, w));
  if (isProtected) {
    [ip, cpu.env32(ENV.FCS), dp, cpu.env32(ENV.FDS)].forEach((w, n) => cpu.write16(address + 6 + 2 * n, w & 0xffff));
  } else {
    const linearIp = ip + ((cpu.env32(ENV.FCS) & 0xffff) << 4);
    const linearDp = dp + ((cpu.env32(ENV.FDS) & 0xffff) << 4);
    cpu.write16(address + 6, linearIp & 0xffff);
    cpu.write16(address + 8, (((linearIp >>> 16) & 15) << 12) | fop);
    cpu.write16(address + 10, linearDp & 0xffff);
    cpu.write16(address + 12, ((linearDp >>> 16) & 15) << 12);
  }
}

/** Reads everything, then sets it: a fault changes nothing. */
function readEnvironment(cpu: X86Cpu, address: number, layout: number): void {
  probe(cpu, address, environmentSize(layout), 0);
  const wide = (layout & LAYOUT_32) !== 0;
  const read = (n: number): number => (wide ? cpu.read32(address + 4 * n) >>> 0 : cpu.read16(address + 2 * n));
  const [control, status, tags, a, c, d, e] = [read(0), read(1), read(2), read(3), read(4), read(5), read(6)];
  if ((layout & LAYOUT_PROTECTED) !== 0) {
    cpu.setEnv32(ENV.FIP, a);
    cpu.setEnv32(ENV.FCS, c & 0xffff);
    cpu.setEnv32(ENV.FOP, wide ? (c >>> 16) & 0x7ff : 0);
    cpu.setEnv32(ENV.FDP, d);
    cpu.setEnv32(ENV.FDS, e & 0xffff);
  } else {
    cpu.setEnv32(ENV.FIP, (a & 0xffff) | (((c >>> 12) & 0xffff) << 16));
    cpu.setEnv32(ENV.FCS, 0);
    cpu.setEnv32(ENV.FOP, c & 0x7ff);
    cpu.setEnv32(ENV.FDP, (d & 0xffff) | (((e >>> 12) & 0xffff) << 16));
    cpu.setEnv32(ENV.FDS, 0);
  }
  setWords(cpu, control, status);
  for (let n = 0; n < 8; n++) cpu.e8[ENV.FPTAGS + n] = ((tags >> (2 * n)) & 3) === 3 ? 1 : 0;
}

/** After FNSTENV all exceptions are masked; so nothing is pending. */
const fnstenv: Factory = (cpu) => (address, layout) => {
  probe(cpu, address, environmentSize(layout), 1);
  writeEnvironment(cpu, address, layout);
  cpu.setEnv32(ENV.FPUC, cpu.env32(ENV.FPUC) | X87_FLAGS);
  cpu.setEnv32(ENV.FPUS, cpu.env32(ENV.FPUS) & ~(FSW_ES | FSW_B));
  cpu.hflags &= ~(HF_FPU_ES | HF_FPU_UNMASKED);
  return 0;
};
const fldenv: Factory = (cpu) => (address, layout) => {
  readEnvironment(cpu, address, layout);
  return 0;
};
const fnsave: Factory = (cpu) => (address, layout) => {
  const head = environmentSize(layout);
  probe(cpu, address, head + 80, 1);
  writeEnvironment(cpu, address, layout);
  const top = topOfCpu(cpu);
  for (let i = 0; i < 8; i++) {
    const slot = ENV.FPREGS + 16 * ((top + i) & 7);
    for (let k = 0; k < 10; k++) cpu.write8(address + head + 10 * i + k, cpu.e8[slot + k]!);
  }
  initialise(cpu);
  return 0;
};
const frstor: Factory = (cpu) => {
  const registers = new Uint8Array(80);
  return (address, layout) => {
    const head = environmentSize(layout);
    probe(cpu, address, head + 80, 0);
    for (let k = 0; k < 80; k++) registers[k] = cpu.read8(address + head + k);
    readEnvironment(cpu, address, layout);
    const top = topOfCpu(cpu);
    for (let i = 0; i < 8; i++) cpu.e8.set(registers.subarray(10 * i, 10 * i + 10), ENV.FPREGS + 16 * ((top + i) & 7));
    return 0;
  };
};

// --- FXSAVE area --------------------------------------------------------------------------------------------------------
/** Dwords of the area that hold state: header and ST(0)-ST(7), and with the eight XMM registers of 32-bit modes. */
const FX_WORDS_X87 = 40;
const FX_WORDS = 72;
const FX_ST = 8;
const FX_XMM = 40;
const ST_AT = ENV.FPREGS >> 2;
const XMM_AT = ENV.XMM >> 2;

/** Index into `cpu.u32` of the 512 bytes when they are RAM in one page, else -1 (both pages have been checked). */
function areaIndex(cpu: X86Cpu, address: number, access: number): number {
  probe(cpu, address, 512, access);
  if ((address & 0xfff) > 0x1000 - 512) return -1;
  const p = cpu.host.pointer(address >>> 0, access, cpu.user);
  return p < 0 || (p & 3) !== 0 ? -1 : p >> 2;
}

/** `withXmm`: CR4.OSFXSR. Without it the XMM registers are neither saved nor restored. */
const fxsave: Factory = (cpu) => {
  const area = new Uint32Array(FX_WORDS);
  const areaX87 = area.subarray(0, FX_WORDS_X87);
  return (address, withXmm) => {
    const { e32, e8 } = cpu;
    const index = areaIndex(cpu, address, 1);
    let tags = 0;
    for (let n = 0; n < 8; n++) if (e8[ENV.FPTAGS + n] === 0) tags |= 1 << n;
    area[0] = e32[ENV.FPUC >> 2]! | (statusWord(cpu) << 16);
    area[1] = tags | ((e32[ENV.FOP >> 2]! & 0x7ff) << 16);
    area[2] = e32[ENV.FIP >> 2]!;
    area[3] = e32[ENV.FCS >> 2]! & 0xffff;
    area[4] = e32[ENV.FDP >> 2]!;
    area[5] = e32[ENV.FDS >> 2]! & 0xffff;
    area[6] = e32[ENV.MXCSR >> 2]!;
    area[7] = MXCSR_VALID;
    const top = topOfCpu(cpu);
    for (let i = 0; i < 8; i++) {
      const from = ST_AT + 4 * ((top + i) & 7);
      area[FX_ST + 4 * i] = e32[from]!;
      area[FX_ST + 4 * i + 1] = e32[from + 1]!;
      area[FX_ST + 4 * i + 2] = e32[from + 2]! & 0xffff;
    }
    for (let n = 0; n < 8; n++) {
      for (let k = 0; k < 4; k++) area[FX_XMM + 4 * n + k] = e32[XMM_AT + (XMM_STRIDE >> 2) * n + k]!;
    }
    const image = withXmm !== 0 ? area : areaX87;
    if (index >= 0) cpu.u32.set(image, index);
    else for (let n = 0; n < image.length; n++) cpu.write32(address + 4 * n, image[n]!);
    return 0;
  };
};

/** MXCSR bits that do not exist are #GP(0), before anything is loaded. */
const fxrstor: Factory = (cpu) => {
  const area = new Uint32Array(FX_WORDS);
  return (address, withXmm) => {
    const { e32, e8 } = cpu;
    const index = areaIndex(cpu, address, 0);
    for (let n = 0; n < FX_WORDS; n++) area[n] = index >= 0 ? cpu.u32[index + n]! : cpu.read32(address + 4 * n);
    if (withXmm !== 0 && (area[6]! & ~MXCSR_VALID) !== 0) cpu.raise(EXC.GP, 0);
    setWords(cpu, area[0]! & 0xffff, area[0]! >>> 16);
    for (let n = 0; n < 8; n++) e8[ENV.FPTAGS + n] = ((area[1]! >> n) & 1) ^ 1;
    e32[ENV.FOP >> 2] = (area[1]! >>> 16) & 0x7ff;
    e32[ENV.FIP >> 2] = area[2]!;
    e32[ENV.FCS >> 2] = area[3]! & 0xffff;
    e32[ENV.FDP >> 2] = area[4]!;
    e32[ENV.FDS >> 2] = area[5]! & 0xffff;
    const top = topOfCpu(cpu);
    for (let i = 0; i < 8; i++) {
      const to = ST_AT + 4 * ((top + i) & 7);
      e32[to] = area[FX_ST + 4 * i]!;
      e32[to + 1] = area[FX_ST + 4 * i + 1]!;
      e32[to + 2] = area[FX_ST + 4 * i + 2]! & 0xffff;
    }
    if (withXmm === 0) return 0;
    e32[ENV.MXCSR >> 2] = area[6]!;
    cpu.hflags = withSseFast(cpu.hflags, area[6]!);
    for (let n = 0; n < 8; n++) {
      for (let k = 0; k < 4; k++) e32[XMM_AT + (XMM_STRIDE >> 2) * n + k] = area[FX_XMM + 4 * n + k]!;
    }
    return 0;
  };
};

export const FPU_STATE_HELPERS: Readonly<Record<string, Factory>> = {
  fnstenv,
  fldenv,
  fnsave,
  frstor,
  fxsave,
  fxrstor,
};
