/**
 * Script helpers of the XSAVE family. SDM Vol. 1 chapter 13 "Managing State Using the XSAVE Feature Set": §13.4 (area and
 * header), §13.6 (init optimization), §13.7-13.13 (each instruction). Components: x87, SSE, AVX, PKRU (models/xsave-layout.ts).
 *
 * Memory is checked, and what is loaded is read and checked, before any state changes. There is no modified optimization: XSAVEOPT
 * may write what has not changed. CR4.OSXSAVE, CR0.TS, CPL and alignment are the translator's. IA32_XSS is always 0.
 */
import type { X86Cpu } from '../cpu.ts';
import { FEATURE, decodeFeatures } from '../decode/features.ts';
import { XCR0_AVX, XCR0_PKRU, XCR0_SSE, XCR0_X87, XSAVE_COMPONENTS, XSAVE_HEADER_END } from '../models/xsave-layout.ts';
import { ENV, EXC, XMM_STRIDE } from '../state.ts';
import { linearOf } from './address.ts';
import { initialise, statusWord } from './fpu-state.ts';
import {
  FX_STACK,
  FX_ST,
  FX_XMM0,
  checkMxcsr,
  loadX87,
  loadXmm,
  saveX87,
  saveXmm,
  setMxcsr,
  xmmCount,
} from './fxsave.ts';
import { MXCSR_RESET, MXCSR_VALID } from './mxcsr.ts';
import { StateArea } from './state-area.ts';
import { FCW_INIT } from './x87-bits.ts';

type Factory = (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number;

/** Bits of the form argument beside FX_LONG, FX_WIDE, FX_STACK: XSAVEOPT and XSAVEC leave out initial components; compacted form. */
export const XS_OPTIMIZE = 16;
export const XS_COMPACT = 32;

/** Dword indices: MXCSR and its mask, the header's fields, its end. */
const MXCSR_AT = 6;
const XSTATE_BV = 128;
const XCOMP_BV = 130;
const HEADER_END = XSAVE_HEADER_END >> 2;
/** Bit 63 of XCOMP_BV, in its high dword. */
const COMPACTED = 0x8000_0000;

const YMM_AT = (ENV.XMM + 16) >> 2;
const XMM_AT = ENV.XMM >> 2;
const STRIDE = XMM_STRIDE >> 2;
const bit = (n: number): number => 1 << n;

// --- which components are in use -----------------------------------------------------------------------------------------
function anyWord(cpu: X86Cpu, at: number, stride: number, words: number, count: number): boolean {
  for (let n = 0; n < count; n++) for (let k = 0; k < words; k++) if (cpu.e32[at + stride * n + k] !== 0) return true;
  return false;
}
/** The initial configuration is that of power-on: registers empty and zero. SDM Vol. 1 §13.6. */
function x87InUse(cpu: X86Cpu): boolean {
  if (cpu.env32(ENV.FPUC) !== FCW_INIT || statusWord(cpu) !== 0) return true;
  for (let n = 0; n < 8; n++) if (cpu.e8[ENV.FPTAGS + n] === 0) return true;
  for (const slot of [ENV.FOP, ENV.FCS, ENV.FDS, ENV.FIP, ENV.FIP + 4, ENV.FDP, ENV.FDP + 4])
    if (cpu.env32(slot) !== 0) return true;
  for (let n = 0; n < 8; n++) {
    const at = (ENV.FPREGS >> 2) + 4 * n;
    if ((cpu.e32[at]! | cpu.e32[at + 1]! | (cpu.e32[at + 2]! & 0xffff)) !== 0) return true;
  }
  return false;
}
/** XINUSE: the components of `mask` that are not in their initial configuration; `count` XMM registers exist in this mode. */
export function componentsInUse(cpu: X86Cpu, mask: number, count: number): number {
  let v = 0;
  if ((mask & XCR0_X87) !== 0 && x87InUse(cpu)) v |= XCR0_X87;
  if ((mask & XCR0_SSE) !== 0 && anyWord(cpu, XMM_AT, STRIDE, 4, count)) v |= XCR0_SSE;
  if ((mask & XCR0_AVX) !== 0 && anyWord(cpu, YMM_AT, STRIDE, 4, count)) v |= XCR0_AVX;
  if ((mask & XCR0_PKRU) !== 0 && cpu.env32(ENV.PKRU) !== 0) v |= XCR0_PKRU;
  return v;
}

// --- components beyond the legacy region -----------------------------------------------------------------------------------
/** Bytes that a component takes in this mode: AVX has half its registers outside 64-bit code. */
const bytesOf = (component: number, size: number, count: number): number => (component === 2 ? 16 * count : size);
/**
 * Calls `visit` with dword index and length of each component of `wanted`; `compacted`: the components that the compacted form
 * has, or -1 for the standard form.
 */
function layOut(
  wanted: number,
  compacted: number,
  count: number,
  visit: (component: number, at: number, words: number) => void,
): void {
  let next = XSAVE_HEADER_END;
  for (const c of XSAVE_COMPONENTS) {
    const at = compacted < 0 ? c.offset : next;
    if (compacted >= 0 && (compacted & bit(c.bit)) !== 0) next += c.size;
    if ((wanted & bit(c.bit)) !== 0) visit(c.bit, at >> 2, bytesOf(c.bit, c.size, count) >> 2);
  }
}
function extent(wanted: number, compacted: number, count: number): number {
  let end = HEADER_END;
  layOut(wanted, compacted, count, (_, at, words) => (end = Math.max(end, at + words)));
  return 4 * end;
}

// --- saving ------------------------------------------------------------------------------------------------------------------
const xsave: Factory = (cpu) => {
  const area = new StateArea(cpu);
  const { words } = area;
  const saveComponent = (component: number, at: number, length: number): void => {
    if (component === 2)
      for (let n = 0; n < length; n++) words[at + n] = cpu.e32[YMM_AT + STRIDE * (n >> 2) + (n & 3)]!;
    else {
      words[at] = cpu.env32(ENV.PKRU);
      words[at + 1] = 0;
    }
    area.write(at, at + length);
  };
  return (low, high, mask, form) => {
    const stack = (form & FX_STACK) !== 0;
    const compact = (form & XS_COMPACT) !== 0;
    const count = xmmCount(form);
    const requested = mask & cpu.env32(ENV.XCR0);
    let used = componentsInUse(cpu, requested, count);
    const mxcsr = cpu.env32(ENV.MXCSR);
    if (compact && (requested & XCR0_SSE) !== 0 && mxcsr !== MXCSR_RESET) used |= XCR0_SSE;
    const written = (form & (XS_OPTIMIZE | XS_COMPACT)) !== 0 ? used : requested;
    const compacted = compact ? requested : -1;
    area.open(linearOf(cpu, low, high, stack), extent(written, compacted, count), 1, stack);

    if ((written & XCR0_X87) !== 0) {
      saveX87(cpu, words, form);
      area.write(0, MXCSR_AT);
      area.write(FX_ST, FX_XMM0);
    }
    if (compact ? (written & XCR0_SSE) !== 0 : (requested & (XCR0_SSE | XCR0_AVX)) !== 0) {
      words[MXCSR_AT] = mxcsr;
      words[MXCSR_AT + 1] = MXCSR_VALID;
      area.write(MXCSR_AT, MXCSR_AT + 2);
    }
    if ((written & XCR0_SSE) !== 0) {
      saveXmm(cpu, words, count);
      area.write(FX_XMM0, FX_XMM0 + 4 * count);
    }
    layOut(written, compacted, count, saveComponent);

    if (compact) {
      words.set([used, 0, requested, COMPACTED], XSTATE_BV);
      area.write(XSTATE_BV, XSTATE_BV + 4);
    } else {
      area.read(XSTATE_BV, XSTATE_BV + 1);
      words[XSTATE_BV] = (words[XSTATE_BV]! & ~requested) | used;
      area.write(XSTATE_BV, XSTATE_BV + 1);
    }
    return 0;
  };
};

// --- restoring ---------------------------------------------------------------------------------------------------------------
/** The header's rules: #GP(0). Returns the components of the compacted form, -1 for the standard form. SDM Vol. 1 §13.8. */
function checkHeader(cpu: X86Cpu, words: Uint32Array, hasCompact: boolean, mustBeCompact: boolean): number {
  const xcr0 = cpu.env32(ENV.XCR0);
  const refuse = (): never => cpu.raise(EXC.GP, 0);
  const compact = (words[XCOMP_BV + 1]! & COMPACTED) !== 0 && (hasCompact || mustBeCompact);
  if (words[XSTATE_BV + 1] !== 0) refuse();
  if (!compact) {
    if (mustBeCompact || (words[XSTATE_BV]! & ~xcr0) !== 0) refuse();
    for (let n = XCOMP_BV; n < XCOMP_BV + 4; n++) if (words[n] !== 0) refuse();
    return -1;
  }
  if (words[XCOMP_BV + 1] !== COMPACTED || (words[XCOMP_BV]! & ~xcr0) !== 0) refuse();
  if ((words[XSTATE_BV]! & ~words[XCOMP_BV]!) !== 0) refuse();
  for (let n = XCOMP_BV + 2; n < HEADER_END; n++) if (words[n] !== 0) refuse();
  return words[XCOMP_BV]!;
}

const xrstor: Factory = (cpu) => {
  const area = new StateArea(cpu);
  const { words } = area;
  const hasCompact = decodeFeatures(cpu.features)[FEATURE['xsavec']!] === 1;
  const readComponent = (_: number, at: number, length: number): void => area.read(at, at + length);
  const loadComponent = (component: number, at: number, length: number): void => {
    if (component === 2)
      for (let n = 0; n < length; n++) cpu.e32[YMM_AT + STRIDE * (n >> 2) + (n & 3)] = words[at + n]!;
    else cpu.setPkru(words[at]!);
  };
  const initComponent = (component: number, _: number, length: number): void => {
    if (component === 2) for (let n = 0; n < length; n++) cpu.e32[YMM_AT + STRIDE * (n >> 2) + (n & 3)] = 0;
    else cpu.setPkru(0);
  };
  return (low, high, mask, form) => {
    const stack = (form & FX_STACK) !== 0;
    const count = xmmCount(form);
    const requested = mask & cpu.env32(ENV.XCR0);
    const linear = linearOf(cpu, low, high, stack);
    area.open(linear, XSAVE_HEADER_END, 0, stack);
    area.read(XSTATE_BV, HEADER_END);
    const compacted = checkHeader(cpu, words, hasCompact, (form & XS_COMPACT) !== 0);
    const loaded = requested & words[XSTATE_BV]!;
    const initial = requested & ~words[XSTATE_BV]!;
    const bytes = extent(loaded, compacted, count);
    if (bytes > XSAVE_HEADER_END) area.open(linear, bytes, 0, stack);
    layOut(loaded, compacted, count, readComponent);
    area.read(0, FX_XMM0 + 4 * count);
    const withMxcsr = compacted < 0 ? (requested & (XCR0_SSE | XCR0_AVX)) !== 0 : (loaded & XCR0_SSE) !== 0;
    if (withMxcsr) checkMxcsr(cpu, words[MXCSR_AT]!);

    if ((loaded & XCR0_X87) !== 0) loadX87(cpu, words, form);
    else if ((initial & XCR0_X87) !== 0) {
      initialise(cpu);
      cpu.e8.fill(0, ENV.FPREGS, ENV.FPREGS + 128);
    }
    if (withMxcsr) setMxcsr(cpu, words[MXCSR_AT]!);
    else if (compacted >= 0 && (initial & XCR0_SSE) !== 0) setMxcsr(cpu, MXCSR_RESET);
    if ((initial & XCR0_SSE) !== 0) words.fill(0, FX_XMM0, FX_XMM0 + 4 * count);
    if ((requested & XCR0_SSE) !== 0) loadXmm(cpu, words, count);
    layOut(loaded, compacted, count, loadComponent);
    layOut(initial, compacted, count, initComponent);
    return 0;
  };
};

export const XSAVE_HELPERS: Readonly<Record<string, Factory>> = { xsave, xrstor };
