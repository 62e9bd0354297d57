/**
 * Loads of ES, DS, FS and GS by 32-bit protected-mode code, and what of MSRs and FS and GS bases context switches write, as hot IR.
 * What system/load-seg.ts, msr.ts and syscall.ts do; see quick-descriptors.ts. SDM Vol. 2B "MOV", Vol. 3A §5.6 "Privilege
 * Level Checking When Accessing Data Segments", Vol. 4 Table 2-2 (MSRs C0000100H to C0000102H).
 */
import type { Value } from '@emkit/ir';
import {
  DS,
  EAX,
  ECX,
  EDX,
  ENV,
  ES,
  FS,
  G,
  GS,
  HF_ADDSEG,
  HF_FGCHECK,
  HF_LMA,
  HF_SEGCHECK,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from '../state.ts';
import { CR4_FSGSBASE } from '../system/cr-bits.ts';
import {
  DESC_A,
  DESC_CODE,
  DESC_DPL,
  DESC_DPL_SHIFT,
  DESC_EXPAND_DOWN,
  DESC_G,
  DESC_KEPT,
  DESC_P,
  DESC_RW,
  DESC_S,
} from '../system/descriptor-bits.ts';
import {
  FLAT_DATA,
  FLAT_LOW,
  IGNORED,
  bail,
  gdtDescriptor,
  kept,
  notCanonical,
  quickMode,
} from './quick-descriptors.ts';
import type { Translator } from './translator.ts';

const DATA_RIGHTS = DESC_P | DESC_CODE | DESC_EXPAND_DOWN | DESC_RW;

/**
 * Load a register from a selector of 16 bits; the caller goes on with `t.exitNext` if `changesFlags`, else the block does. False:
 * not this form's; nothing was emitted.
 */
export function quickLoadSegment(t: Translator, seg: number, selector: Value): boolean {
  if ((t.flags & HF_LMA) !== 0) return false;
  if (seg === FS || seg === GS) return quickMode(t, 'segment-loads') && loadFar(t, seg, selector);
  if ((seg !== ES && seg !== DS) || (t.flags & (HF_SEGCHECK | HF_ADDSEG)) !== 0) return false;
  return quickMode(t, 'segment-loads', true) && loadNear(t, seg, selector);
}
/** FS and GS may begin or cease to need checks. */
export const changesFlags = (seg: number): boolean => seg === FS || seg === GS;

/** Selector's RPL, or the current level, above the descriptor's. */
function notAllowed(t: Translator, descriptor: Value, selector: Value): Value {
  const { b } = t;
  if (t.cpl === 3) return b.ne(b.and(t.high(descriptor), b.i32(DESC_DPL)), b.i32(DESC_DPL));
  const dpl = b.and(b.shr(t.high(descriptor), b.i32(DESC_DPL_SHIFT)), b.i32(3));
  return b.ltU(dpl, b.and(selector, b.i32(3)));
}

/** ES and DS: flat data, as what is in them is; so block flags stay. */
function loadNear(t: Translator, seg: number, selector: Value): boolean {
  const { b } = t;
  bail(t, b.eqz(b.and(selector, b.i32(0xfffc))));
  const descriptor = gdtDescriptor(t, selector);
  const fixed = b.and(descriptor, b.i64Parts(-1, ~(IGNORED | DESC_DPL)));
  bail(t, b.ne(fixed, b.i64Parts(FLAT_LOW, FLAT_DATA)));
  bail(t, notAllowed(t, descriptor, selector));
  const at = ENV.SEG + seg * SEG_STRIDE;
  t.envStore(at + SEG_SELECTOR, selector);
  t.envStore(at + SEG_FLAGS, kept(t, descriptor));
  return true;
}

/** FS and GS: any data segment, or null. */
function loadFar(t: Translator, seg: number, selector: Value): boolean {
  const { b } = t;
  const notNull = b.ne(b.and(selector, b.i32(0xfffc)), b.i32(0));
  const descriptor = gdtDescriptor(t, selector);
  const low = t.low(descriptor);
  const high = t.high(descriptor);
  const rights = DESC_P | DESC_A | DESC_S;
  const wrong = b.ne(b.and(high, b.i32(rights | DESC_CODE)), b.i32(rights));
  bail(t, b.and(notNull, b.or(wrong, notAllowed(t, descriptor, selector))));

  const raw = b.or(b.and(low, b.i32(0xffff)), b.and(high, b.i32(0xf0000)));
  const pages = b.or(b.shl(raw, b.i32(12)), b.i32(0xfff));
  const whole = b.select(b.and(high, b.i32(DESC_G)), pages, raw);
  const parts = b.or(b.shr(low, b.i32(16)), b.and(high, b.i32(-0x1000000)));
  const base = b.or(parts, b.shl(b.and(high, b.i32(0xff)), b.i32(16)));
  const orNull = (v: Value): Value => b.select(notNull, v, b.i32(0));
  const flags = orNull(b.and(high, b.i32(DESC_KEPT)));
  const limit = orNull(whole);
  const other = ENV.SEG + (FS + GS - seg) * SEG_STRIDE;
  const checked = b.or(
    needsCheck(t, flags, limit),
    needsCheck(t, t.envLoad(other + SEG_FLAGS), t.envLoad(other + SEG_LIMIT)),
  );
  const hflags = b.or(b.i32(t.flags & ~HF_FGCHECK), b.select(checked, b.i32(HF_FGCHECK), b.i32(0)));
  const at = ENV.SEG + seg * SEG_STRIDE;
  t.envStore(at + SEG_SELECTOR, selector);
  t.envStore(at + SEG_FLAGS, flags);
  t.envStore(at + SEG_BASE, t.extend(orNull(base)));
  t.envStore(at + SEG_LIMIT, limit);
  b.set(G.HFLAGS, hflags);
  return true;
}

/** As HF_FGCHECK has it: not 4 GiB of readable and writable data. */
function needsCheck(t: Translator, flags: Value, limit: Value): Value {
  const { b } = t;
  return b.or(b.ne(limit, b.i32(-1)), b.ne(b.and(flags, b.i32(DATA_RIGHTS)), b.i32(DESC_P | DESC_RW)));
}

const BASES = [
  [0xc000_0100, ENV.SEG + FS * SEG_STRIDE + SEG_BASE],
  [0xc000_0101, ENV.SEG + GS * SEG_STRIDE + SEG_BASE],
  [0xc000_0102, ENV.MSR_KERNEL_GS_BASE],
] as const;

/** The conditions that ECX names one of the bases; bails out if none holds. */
function whichBase(t: Translator): Value[] {
  const { b } = t;
  const number = t.reg(ECX, 2);
  const is = BASES.map(([msr]) => b.eq(number, b.i32(msr | 0)));
  bail(t, b.eqz(is.reduce((x, y) => b.or(x, y))));
  return is;
}

/** RDMSR and WRMSR of the bases of FS, GS and of SWAPGS, in 64-bit code. */
export function quickReadBaseMsr(t: Translator): boolean {
  if (!t.is64 || !quickMode(t, 'segment-loads', true)) return false;
  const { b } = t;
  const [isFs, isGs] = whichBase(t) as [Value, Value];
  const [fs, gs, kernel] = BASES.map(([, at]) => t.envLoad64(at)) as [Value, Value, Value];
  const v = b.select(isFs, fs, b.select(isGs, gs, kernel));
  t.setReg(EAX, 2, t.low(v));
  t.setReg(EDX, 2, t.high(v));
  return true;
}
export function quickWriteBaseMsr(t: Translator): boolean {
  if (!t.is64 || !quickMode(t, 'segment-loads', true)) return false;
  const { b } = t;
  const is = whichBase(t);
  const v = t.pair(t.reg(EAX, 2), t.reg(EDX, 2));
  bail(t, notCanonical(t, v));
  const bases = BASES.map(([, at], n) => b.select(is[n]!, v, t.envLoad64(at)));
  BASES.forEach(([, at], n) => t.envStore(at, bases[n]!));
  t.forgetBases();
  return true;
}

/** RDFSBASE, WRFSBASE and those of GS, where CR4 has them: env offset of the base, -1: not this form's. */
export function quickBase(t: Translator, seg: number): number {
  if (!t.is64 || !quickMode(t, 'segment-loads', true)) return -1;
  const { b } = t;
  bail(t, b.eqz(b.and(t.envLoad(ENV.CR + 32), b.i32(CR4_FSGSBASE))));
  return ENV.SEG + seg * SEG_STRIDE + SEG_BASE;
}
