/**
 * Script helpers FXSAVE and FXRSTOR, and the legacy region of XSAVE areas, which has the same layout. SDM Vol. 2A "FXSAVE"
 * tables 3-43 ff. Memory is checked or read whole before any state changes. Reserved bytes are left alone.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, EXC, XMM_STRIDE } from '../state.ts';
import { linearAt, linearOf, probe } from './address.ts';
import { setWords, statusWord } from './fpu-state.ts';
import { MXCSR_VALID, withSseFast } from './mxcsr.ts';
import { topOfCpu } from './x87-commit.ts';

type Factory = (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number;

/** Form argument: XMM registers take part (CR4.OSFXSR), 64-bit code (16 of them), REX.W (64-bit pointers), operand on the stack. */
export const FX_XMM = 1;
export const FX_LONG = 2;
export const FX_WIDE = 4;
export const FX_STACK = 8;

/** Dword indices in the area: ST(0), XMM0, and the end of what has state with 8 and 16 XMM registers. */
export const FX_ST = 8;
export const FX_XMM0 = 40;
const FX_END_8 = 72;
const FX_END_16 = 104;
const ST_AT = ENV.FPREGS >> 2;
const XMM_AT = ENV.XMM >> 2;

export const xmmCount = (form: number): number => ((form & FX_LONG) !== 0 ? 16 : 8);

/** Index into `cpu.u32` of `bytes` bytes when they are RAM in one page, else -1 (both pages have been checked). */
export function areaIndex(cpu: X86Cpu, linear: number, bytes: number, access: number, stack: boolean): number {
  probe(cpu, linear, bytes, access, stack);
  if ((linear & 0xfff) > 0x1000 - bytes) return -1;
  const p = cpu.host.pointer(linear, access, cpu.user);
  return p < 0 || (p & 3) !== 0 ? -1 : p >>> 2;
}

// --- x87 part: dwords 0-5 and 8-39 ------------------------------------------------------------------------------------
export function saveX87(cpu: X86Cpu, area: Uint32Array, form: number): void {
  const { e32, e8 } = cpu;
  let tags = 0;
  for (let n = 0; n < 8; n++) if (e8[ENV.FPTAGS + n] === 0) tags |= 1 << n;
  area[0] = e32[ENV.FPUC >> 2]! | (statusWord(cpu) << 16);
  area[1] = tags | ((e32[ENV.FOP >> 2]! & 0x7ff) << 16);
  const wide = (form & FX_WIDE) !== 0;
  area[2] = e32[ENV.FIP >> 2]!;
  area[3] = wide ? e32[(ENV.FIP >> 2) + 1]! : e32[ENV.FCS >> 2]! & 0xffff;
  area[4] = e32[ENV.FDP >> 2]!;
  area[5] = wide ? e32[(ENV.FDP >> 2) + 1]! : e32[ENV.FDS >> 2]! & 0xffff;
  const top = topOfCpu(cpu);
  for (let i = 0; i < 8; i++) {
    const from = ST_AT + 4 * ((top + i) & 7);
    area[FX_ST + 4 * i] = e32[from]!;
    area[FX_ST + 4 * i + 1] = e32[from + 1]!;
    area[FX_ST + 4 * i + 2] = e32[from + 2]! & 0xffff;
    area[FX_ST + 4 * i + 3] = 0;
  }
}
export function loadX87(cpu: X86Cpu, area: Uint32Array, form: number): void {
  const { e32, e8 } = cpu;
  setWords(cpu, area[0]! & 0xffff, area[0]! >>> 16);
  for (let n = 0; n < 8; n++) e8[ENV.FPTAGS + n] = ((area[1]! >> n) & 1) ^ 1;
  const wide = (form & FX_WIDE) !== 0;
  e32[ENV.FOP >> 2] = (area[1]! >>> 16) & 0x7ff;
  e32[ENV.FIP >> 2] = area[2]!;
  e32[(ENV.FIP >> 2) + 1] = wide ? area[3]! : 0;
  e32[ENV.FCS >> 2] = wide ? 0 : area[3]! & 0xffff;
  e32[ENV.FDP >> 2] = area[4]!;
  e32[(ENV.FDP >> 2) + 1] = wide ? area[5]! : 0;
  e32[ENV.FDS >> 2] = wide ? 0 : area[5]! & 0xffff;
  const top = topOfCpu(cpu);
  for (let i = 0; i < 8; i++) {
    const to = ST_AT + 4 * ((top + i) & 7);
    e32[to] = area[FX_ST + 4 * i]!;
    e32[to + 1] = area[FX_ST + 4 * i + 1]!;
    e32[to + 2] = area[FX_ST + 4 * i + 2]! & 0xffff;
  }
}

// --- SSE part: MXCSR (dwords 6-7) and the XMM registers ------------------------------------------------------------------
export function saveXmm(cpu: X86Cpu, area: Uint32Array, count: number): void {
  const { e32 } = cpu;
  for (let n = 0; n < count; n++) {
    for (let k = 0; k < 4; k++) area[FX_XMM0 + 4 * n + k] = e32[XMM_AT + (XMM_STRIDE >> 2) * n + k]!;
  }
}
export function loadXmm(cpu: X86Cpu, area: Uint32Array, count: number): void {
  const { e32 } = cpu;
  for (let n = 0; n < count; n++) {
    for (let k = 0; k < 4; k++) e32[XMM_AT + (XMM_STRIDE >> 2) * n + k] = area[FX_XMM0 + 4 * n + k]!;
  }
}
/** MXCSR of an image; bits that do not exist are #GP(0). */
export function checkMxcsr(cpu: X86Cpu, mxcsr: number): void {
  if ((mxcsr & ~MXCSR_VALID) !== 0) cpu.raise(EXC.GP, 0);
}
export function setMxcsr(cpu: X86Cpu, mxcsr: number): void {
  cpu.e32[ENV.MXCSR >> 2] = mxcsr;
  cpu.hflags = withSseFast(cpu.hflags, mxcsr);
}

// --- the helpers ----------------------------------------------------------------------------------------------------------
const fxsave: Factory = (cpu) => {
  const area = new Uint32Array(FX_END_16);
  const images = [area.subarray(0, FX_XMM0), area.subarray(0, FX_END_8), area];
  return (low, high, form) => {
    const stack = (form & FX_STACK) !== 0;
    const address = linearOf(cpu, low, high, stack);
    const index = areaIndex(cpu, address, 512, 1, stack);
    saveX87(cpu, area, form);
    area[6] = cpu.env32(ENV.MXCSR);
    area[7] = MXCSR_VALID;
    const withXmm = (form & FX_XMM) !== 0;
    if (withXmm) saveXmm(cpu, area, xmmCount(form));
    const image = images[withXmm ? xmmCount(form) >> 3 : 0]!;
    if (index >= 0) cpu.u32.set(image, index);
    else for (let n = 0; n < image.length; n++) cpu.write32(linearAt(cpu, address, 4 * n), image[n]!);
    return 0;
  };
};

/** MXCSR is checked before anything is loaded. */
const fxrstor: Factory = (cpu) => {
  const area = new Uint32Array(FX_END_16);
  return (low, high, form) => {
    const stack = (form & FX_STACK) !== 0;
    const address = linearOf(cpu, low, high, stack);
    const index = areaIndex(cpu, address, 512, 0, stack);
    for (let n = 0; n < FX_END_16; n++)
      area[n] = index >= 0 ? cpu.u32[index + n]! : cpu.read32(linearAt(cpu, address, 4 * n));
    const withXmm = (form & FX_XMM) !== 0;
    if (withXmm) checkMxcsr(cpu, area[6]!);
    loadX87(cpu, area, form);
    if (!withXmm) return 0;
    setMxcsr(cpu, area[6]!);
    loadXmm(cpu, area, xmmCount(form));
    return 0;
  };
};

export const FXSAVE_HELPERS: Readonly<Record<string, Factory>> = { fxsave, fxrstor };
