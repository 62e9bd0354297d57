/**
 * SYSCALL and SYSRET between 64-bit code as straight-line IR: what system/syscall.ts does, without leaving for script. Left to
 * the helper: other code, the one-instruction modes (so TF is clear here), and on processors with SMAP, where EFLAGS.AC is more
 * than a bit, cold code and what ends AC. SDM Vol. 2B "SYSCALL", "SYSRET".
 */
import { EXIT_LOOKUP, EXIT_WORK } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import {
  CS,
  ECX,
  ENV,
  EXC,
  FLAGS_ARITH,
  FLAG_IOPL,
  FLAG_RF,
  FLAG_VM,
  G,
  HF_ALIGN,
  HF_CPL,
  HF_IOPL_OK,
  HF_TF,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import { CR0_AM, EFER_SCE } from '../system/cr-bits.ts';
import { DESC_DPL_SHIFT } from '../system/descriptor-bits.ts';
import { SYSCALL_CODE64, SYSCALL_STACK, SYSRET_FLAGS } from '../system/syscall.ts';
import { bailIfOverrideEnds } from './quick-descriptors.ts';
import type { Translator } from './translator.ts';

const R11 = 11;
/** CR0.AM and EFLAGS.AC are one bit; where HF_ALIGN is from there. */
const ALIGN_SHIFT = 3;

/** CS and SS flat, of the given level; `code` is CS's selector, SS's is 8 more or less. */
function loadFlat(t: Translator, code: Value, stack: Value, cpl: number): void {
  const { b } = t;
  const load = (seg: number, selector: Value, flags: number): void => {
    const at = ENV.SEG + seg * SEG_STRIDE;
    t.envStore(at + SEG_SELECTOR, selector);
    t.envStore(at + SEG_FLAGS, b.i32(flags | (cpl << DESC_DPL_SHIFT)));
    t.envStore(at + SEG_BASE, b.i64(0));
    t.envStore(at + SEG_LIMIT, b.i32(-1));
  };
  load(CS, code, SYSCALL_CODE64);
  load(SS, stack, SYSCALL_STACK);
}

/** EFLAGS from their image, and RIP. SYSRET may have set IF: there may be work. */
function finish(t: Translator, eflags: Value, rip: Value, hflags: Value, lookForWork: number): void {
  const { b } = t;
  t.setEflags(b.and(eflags, b.i32(FLAGS_ARITH)));
  b.set(G.EFLAGS, b.or(b.and(eflags, b.i32(~FLAGS_ARITH)), b.i32(2)));
  b.set(G.HFLAGS, hflags);
  t.envStore(ENV.EIP, t.low(rip));
  t.envStore(ENV.CS_BASE, t.high(rip));
  t.flagsKnown = false;
  b.exit(lookForWork);
}
/** #UD unless EFER.SCE. */
function checkEnabled(t: Translator): void {
  const { b } = t;
  t.raiseIf(b.eqz(b.and(t.envLoad(ENV.MSR_EFER), b.i32(EFER_SCE))), EXC.UD);
}

export function inlineSyscall(t: Translator): void {
  const { b } = t;
  checkEnabled(t);
  const star = b.and(t.envLoad(ENV.MSR_STAR + 4), b.i32(0xfffc));
  const mask = t.envLoad(ENV.MSR_FMASK);
  const rip = t.envLoad64(ENV.MSR_LSTAR);
  bailIfOverrideEnds(t, b.get(G.EFLAGS), b.not(mask));
  const image = b.or(b.or(t.flagsImage(), b.and(b.get(G.EFLAGS), b.i32(~(FLAG_RF | FLAG_VM)))), b.i32(2));
  t.setReg(ECX, 3, t.returnAddress());
  t.setReg(R11, 3, t.extend(image));
  loadFlat(t, star, b.and(b.add(star, b.i32(8)), b.i32(0xffff)), 0);
  finish(t, b.and(image, b.not(mask)), rip, b.i32((t.flags & ~(HF_CPL | HF_ALIGN)) | HF_IOPL_OK), EXIT_LOOKUP);
}

/** To 64-bit code at CPL 3. */
export function inlineSysret(t: Translator): void {
  const { b } = t;
  checkEnabled(t);
  const rip = t.reg(ECX, 3);
  t.checkTarget(rip);
  const star = b.shr(t.envLoad(ENV.MSR_STAR + 4), b.i32(16));
  const selector = (plus: number): Value => b.or(b.and(b.add(star, b.i32(plus)), b.i32(0xffff)), b.i32(3));
  const eflags = b.and(t.reg(R11, 2), b.i32(SYSRET_FLAGS));
  bailIfOverrideEnds(t, b.get(G.EFLAGS), eflags);
  const cr0 = t.envLoad(ENV.CR);
  loadFlat(t, selector(16), selector(8), 3);
  const aligned = b.shl(b.and(b.and(eflags, cr0), b.i32(CR0_AM)), b.i32(ALIGN_SHIFT));
  const ports = b.select(b.eq(b.and(eflags, b.i32(FLAG_IOPL)), b.i32(FLAG_IOPL)), b.i32(HF_IOPL_OK), b.i32(0));
  // EFLAGS.TF and HF_TF are one bit
  const derived = b.or(b.or(aligned, ports), b.and(eflags, b.i32(HF_TF)));
  const kept = (t.flags & ~(HF_CPL | HF_IOPL_OK | HF_ALIGN)) | 3;
  finish(t, eflags, rip, b.or(derived, b.i32(kept)), EXIT_WORK);
}
