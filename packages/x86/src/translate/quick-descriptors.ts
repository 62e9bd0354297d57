/**
 * What the quick forms of privilege transitions share: descriptors read through the TLB as supervisor and compared with the
 * flat ones that operating systems have, and writes of the segment caches they come to.
 *
 * A quick form is hot IR beside the exact form in system/, which every `bailIf` leaves to with nothing changed. It handles what is
 * common, and nothing it handles may end otherwise: quick-transfer.test.ts compares the two from random states.
 */
import { MEM_SUPERVISOR } from '@emkit/ir';
import type { OptimisationName, Value } from '@emkit/ir';
import { FEATURE } from '../decode/features.ts';
import {
  ENV,
  FLAG_AC,
  FLAG_IOPL,
  FLAG_RF,
  G,
  HF_CPL,
  HF_IOPL_OK,
  HF_TF,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
} from '../state.ts';
import { CR0_AM } from '../system/cr-bits.ts';
import { DESC_AVL, DESC_DPL, DESC_DPL_SHIFT, DESC_KEPT, DESC_L } from '../system/descriptor-bits.ts';
import type { Translator } from './translator.ts';

/** Flat segments of 4 GiB, present and accessed: low dword, and the high one without DPL. */
export const FLAT_LOW = 0x0000ffff;
export const FLAT_CODE32 = 0x00cf9b00;
export const FLAT_CODE64 = 0x00af9900;
export const FLAT_DATA = 0x00cf9300;
/** Of the high dword: what a flat data or 32-bit code segment may have or not. */
export const IGNORED = DESC_AVL | DESC_L;
/** Of 64-bit code: base and readability do not count. */
const CODE64_HIGH = 0x00effd00;

/** EFLAGS.AC and CR0.AM are one bit; where HF_ALIGN is from there. */
const ALIGN_SHIFT = 3;

export const bail = (t: Translator, cond: Value): void => t.b.bailIf(cond);

/**
 * A hot translation, in protected mode at a level that quick forms know, outside the one-instruction modes. Asked last: a cold
 * translation takes note that there is a quick form. `goesOn`: that ends no block.
 */
export function quickMode(t: Translator, name: OptimisationName, goesOn = false): boolean {
  if (t.special || !t.protectedMode || (t.cpl !== 0 && t.cpl !== 3)) return false;
  return t.quickForm(name, goesOn);
}

/** What a quick entry into a handler is told. */
export interface QuickEvent {
  readonly vector: number;
  /** The gate's DPL is checked. */
  readonly hasDpl: boolean;
  /** Block flags before. */
  readonly hflags: Value;
  /** What the pushed flags have beside EFLAGS. */
  readonly flags: number;
  readonly returnTo: Value;
  /** -1: none is pushed. */
  readonly error: Value;
}

/** A fault at `returnTo`, its error code in env. The pushed image has RF: SDM Vol. 3B §18.3.1.1, Vol. 3A §6.8.3. */
export function faultEvent(t: Translator, vector: number, returnTo: Value): QuickEvent {
  const error = t.envLoad(ENV.EXCEPTION_ERROR);
  return { vector, hasDpl: false, hflags: t.b.get(G.HFLAGS), flags: FLAG_RF, returnTo, error };
}

/** Linear address of an offset from a base in env, in the mode's type. */
export function tableAddress(t: Translator, base: number, offset: number): Value {
  const { b } = t;
  return t.wide ? b.add(t.envLoad64(base), b.i64(offset)) : b.add(t.envLoad(base), b.i32(offset));
}

/** The 8 bytes of a GDT descriptor. Bails out for the LDT and beyond the limit; `index`: 0 for a null selector. */
export function gdtDescriptor(t: Translator, selector: Value): Value {
  const { b } = t;
  bail(t, b.and(selector, b.i32(4)));
  const index = b.and(selector, b.i32(0xfff8));
  bail(t, b.ltU(t.envLoad(ENV.GDT_LIMIT), b.add(index, b.i32(7))));
  const at = t.wide ? b.add(t.envLoad64(ENV.GDT_BASE), b.extU(index)) : b.add(t.envLoad(ENV.GDT_BASE), index);
  return b.load('ld64', at, MEM_SUPERVISOR);
}

/** Not a flat segment like `like` of privilege level `dpl`. */
export function notFlat(t: Translator, descriptor: Value, like: number, dpl: Value): Value {
  const { b } = t;
  const high = b.or(b.i32(like), b.shl(dpl, b.i32(DESC_DPL_SHIFT)));
  return b.ne(b.and(descriptor, b.i64Parts(-1, ~IGNORED)), t.pair(b.i32(FLAT_LOW), high));
}
/** Not flat 64-bit code of that level, not conforming. */
export function notCode64(t: Translator, descriptor: Value, dpl: Value): Value {
  const { b } = t;
  const high = b.or(b.i32(FLAT_CODE64), b.shl(dpl, b.i32(DESC_DPL_SHIFT)));
  return b.ne(b.and(descriptor, b.i64Parts(0xffff, CODE64_HIGH)), t.pair(b.i32(FLAT_LOW), high));
}
/** Not a canonical address. */
export const notCanonical = (t: Translator, address: Value): Value => t.notCanonical(address);

/** A segment cache with base 0. */
export function storeSegment(t: Translator, seg: number, selector: Value, flags: Value, limit: Value): void {
  const at = ENV.SEG + seg * SEG_STRIDE;
  t.envStore(at + SEG_SELECTOR, selector);
  t.envStore(at + SEG_FLAGS, flags);
  t.envStore(at + SEG_BASE, t.b.i64(0));
  t.envStore(at + SEG_LIMIT, limit);
}
/** What a cache keeps of a descriptor's high dword. */
export const kept = (t: Translator, descriptor: Value): Value => t.b.and(t.high(descriptor), t.b.i32(DESC_KEPT));

/**
 * A data segment register that a return to level 3 changes (`null`ed because it is an inner one's), as a condition; what is null
 * already is left as it is. `exactNull`: null means that nothing of it is set.
 */
export function losesSegment(t: Translator, seg: number, exactNull: boolean): Value {
  const { b } = t;
  const at = ENV.SEG + seg * SEG_STRIDE;
  const flags = t.envLoad(at + SEG_FLAGS);
  const selector = t.envLoad(at + SEG_SELECTOR);
  let notNull = b.and(selector, b.i32(0xfffc));
  if (exactNull) notNull = b.or(b.or(selector, flags), b.or(t.envLoad(at + SEG_BASE), t.envLoad(at + SEG_LIMIT)));
  return b.and(b.ne(notNull, b.i32(0)), b.ne(b.and(flags, b.i32(DESC_DPL)), b.i32(DESC_DPL)));
}

/** Under SMAP the end of EFLAGS.AC is the exact form's. */
export function bailIfOverrideEnds(t: Translator, old: Value, eflags: Value): void {
  const { b } = t;
  if (t.has(FEATURE.smap!)) bail(t, b.and(b.and(old, b.not(eflags)), b.i32(FLAG_AC)));
}

/** Block flags that follow from EFLAGS (TF too; RF clear) at level 0 or 3 given as a value. */
export function privilegeFlags(t: Translator, cpl: Value, eflags: Value): Value {
  const { b } = t;
  const outer = b.ne(cpl, b.i32(0));
  const aligned = b.shl(b.and(b.and(eflags, t.envLoad(ENV.CR)), b.i32(CR0_AM)), b.i32(ALIGN_SHIFT));
  const denied = b.and(outer, b.ne(b.and(eflags, b.i32(FLAG_IOPL)), b.i32(FLAG_IOPL)));
  const ports = b.select(denied, b.i32(0), b.i32(HF_IOPL_OK));
  // EFLAGS.TF and HF_TF are one bit
  const derived = b.or(b.or(ports, b.and(eflags, b.i32(HF_TF))), b.select(outer, aligned, b.i32(0)));
  return b.or(b.and(cpl, b.i32(HF_CPL)), derived);
}
