/**
 * INT n, page faults, IRETD, SYSENTER and SYSEXIT of 32-bit code with flat segments as hot IR: 32-bit interrupt and trap gates to level 0,
 * returns to level 0 or 3. What system/fast-transfer.ts and system/sysenter.ts do; see quick-descriptors.ts.
 * SDM Vol. 3A §6.12 "Exception and Interrupt Handling", Vol. 2A "INT n", "IRET/IRETD/IRETQ", Vol. 2B "SYSENTER", "SYSEXIT".
 */
import { EXIT_LOOKUP, EXIT_WORK, MEM_SUPERVISOR } from '@emkit/ir';
import type { OptimisationName, Value } from '@emkit/ir';
import {
  CS,
  DS,
  ECX,
  EDX,
  ENV,
  ES,
  ESP,
  EXC,
  FLAGS_ARITH,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FS,
  G,
  GS,
  HF_ADDSEG,
  HF_CS32,
  HF_IOPL_OK,
  HF_LMA,
  HF_SEGCHECK,
  HF_SS32,
  SEG_BASE,
  SEG_FLAGS,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import { DESC_DPL_SHIFT, DESC_KEPT, DESC_TYPE_SHIFT } from '../system/descriptor-bits.ts';
import { PRIVILEGE_BITS } from '../system/hflags.ts';
import {
  FLAT_CODE32,
  FLAT_DATA,
  bail,
  bailIfOverrideEnds,
  faultEvent,
  gdtDescriptor,
  kept,
  losesSegment,
  notFlat,
  privilegeFlags,
  quickMode,
  storeSegment,
  tableAddress,
} from './quick-descriptors.ts';
import type { QuickEvent } from './quick-descriptors.ts';
import type { Translator } from './translator.ts';

/** Gate: P, S and type without the bit that tells trap from interrupt; and what a 32-bit gate has. */
const GATE_MASK = 0x9e00;
const GATE = 0x8e00;
const GATE_DPL3 = 0x6000;
const GATE_TRAP = 0x100;
/** Offset of ESP0 in the TSS; SS0 is behind it. */
const TSS_ESP0 = 4;
const TSS_IS_32 = 8 << DESC_TYPE_SHIFT;

const selectorOf = (seg: number): number => ENV.SEG + seg * SEG_STRIDE + SEG_SELECTOR;

/** Flat 32-bit stack, and data segments that stay as they are. */
const flat = (t: Translator, name: OptimisationName = 'transitions'): boolean =>
  (t.flags & (HF_SEGCHECK | HF_ADDSEG | HF_SS32 | HF_LMA)) === HF_SS32 && quickMode(t, name);
const keptFlags = (t: Translator): number => (t.flags & ~PRIVILEGE_BITS) | HF_CS32 | HF_SS32;

function finish(t: Translator, eip: Value, kind: number): void {
  t.envStore(ENV.EIP, eip);
  t.envStore(ENV.CS_BASE, t.b.i32(0));
  t.flagsKnown = false;
  t.b.exit(kind);
}

/** False: not this form's; nothing was emitted. */
export function quickInt32(t: Translator, vector: number): boolean {
  if (!flat(t)) return false;
  const { b } = t;
  enter32(t, { vector, hasDpl: true, hflags: b.i32(t.flags), flags: 0, returnTo: b.i32(t.next), error: -1 });
  return true;
}

/** As `quickInt32`, for a fault at the EIP in env. */
export function quickFault32(t: Translator, vector: number): boolean {
  if (!flat(t, 'page-faults')) return false;
  enter32(t, faultEvent(t, vector, t.envLoad(ENV.EIP)));
  return true;
}

function enter32(t: Translator, event: QuickEvent): void {
  const { vector, hasDpl, hflags, flags, returnTo, error } = event;
  const { b } = t;
  const inner = t.cpl !== 0;
  bail(t, b.ltU(t.envLoad(ENV.IDT_LIMIT), b.i32(vector * 8 + 7)));
  const gate = b.load('ld64', tableAddress(t, ENV.IDT_BASE, vector * 8), MEM_SUPERVISOR);
  const low = t.low(gate);
  const high = t.high(gate);
  const dpl = inner && hasDpl ? GATE_DPL3 : 0;
  bail(t, b.ne(b.and(high, b.i32(GATE_MASK | dpl)), b.i32(GATE | dpl)));
  const selector = b.shr(low, b.i32(16));
  bail(t, b.eqz(b.and(selector, b.i32(0xfffc))));
  const code = gdtDescriptor(t, selector);
  bail(t, notFlat(t, code, FLAT_CODE32, b.i32(0)));

  let top = b.get(ESP);
  let ss = -1;
  let stack = -1;
  if (inner) {
    bail(t, b.eqz(b.and(t.envLoad(ENV.TR + SEG_FLAGS), b.i32(TSS_IS_32))));
    bail(t, b.ltU(t.envLoad(ENV.TR + SEG_LIMIT), b.i32(TSS_ESP0 + 5)));
    top = b.load('ld32', tableAddress(t, ENV.TR + SEG_BASE, TSS_ESP0), MEM_SUPERVISOR);
    ss = b.load('ld16u', tableAddress(t, ENV.TR + SEG_BASE, TSS_ESP0 + 4), MEM_SUPERVISOR);
    bail(t, b.or(b.eqz(b.and(ss, b.i32(0xfffc))), b.and(ss, b.i32(3))));
    stack = gdtDescriptor(t, ss);
    bail(t, notFlat(t, stack, FLAT_DATA, b.i32(0)));
  }
  const eflags = b.get(G.EFLAGS);
  const image = b.or(b.or(b.and(eflags, b.i32(~FLAGS_ARITH)), t.flagsImage()), b.i32(2 | flags));
  const frame: Value[] = [image, t.envLoad(selectorOf(CS)), returnTo];
  if (error >= 0) frame.push(error);
  if (inner) frame.unshift(t.envLoad(selectorOf(SS)), b.get(ESP));
  frame.forEach((v, n) => b.store('st32', b.add(top, b.i32(-4 * (n + 1))), v, MEM_SUPERVISOR));

  // hits of data breakpoints come again with the faulting instruction
  if (error >= 0) t.envStore(ENV.PENDING_DR6, b.i32(0));
  if (inner) storeSegment(t, SS, ss, kept(t, stack), b.i32(-1));
  storeSegment(t, CS, b.and(selector, b.i32(0xfffc)), kept(t, code), b.i32(-1));
  const always = FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT;
  const cleared = b.select(b.and(high, b.i32(GATE_TRAP)), b.i32(always), b.i32(always | FLAG_IF));
  b.set(G.EFLAGS, b.and(eflags, b.not(cleared)));
  b.set(ESP, b.add(top, b.i32(-4 * frame.length)));
  b.set(G.HFLAGS, b.or(b.and(hflags, b.i32(~PRIVILEGE_BITS)), b.i32(HF_CS32 | HF_SS32 | HF_IOPL_OK)));
  finish(t, b.or(b.and(high, b.i32(-0x10000)), b.and(low, b.i32(0xffff))), EXIT_LOOKUP);
}

/** Flags that IRETD loads at level 0. RF is dropped while no instruction breakpoint is enabled, as in this form. */
const IRET_FLAGS = FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID | FLAG_IF | FLAG_IOPL | FLAG_VIF | FLAG_VIP;

export function quickIret32(t: Translator): boolean {
  if (t.cpl !== 0 || !flat(t)) return false;
  const { b } = t;
  const old = b.get(G.EFLAGS);
  bail(t, b.and(old, b.i32(FLAG_NT)));
  const esp = b.get(ESP);
  // what a return to the same level leaves on the stack is read too, and not looked at
  const [eip, codeWord, value, newEsp, stackWord] = [0, 4, 8, 12, 16].map((n) =>
    b.load('ld32', b.add(esp, b.i32(n))),
  ) as [Value, Value, Value, Value, Value];
  bail(t, b.and(value, b.i32(FLAG_VM)));
  const selector = b.and(codeWord, b.i32(0xffff));
  const rpl = b.and(selector, b.i32(3));
  const outer = b.ne(rpl, b.i32(0));
  // levels 1 and 2
  bail(t, b.and(b.xor(rpl, b.shr(rpl, b.i32(1))), b.i32(1)));
  bail(t, b.eqz(b.and(selector, b.i32(0xfffc))));
  const code = gdtDescriptor(t, selector);
  bail(t, notFlat(t, code, FLAT_CODE32, rpl));
  const ss = b.select(outer, b.and(stackWord, b.i32(0xffff)), b.i32(0));
  const stack = gdtDescriptor(t, ss);
  const wrong = b.or(
    b.or(b.eqz(b.and(ss, b.i32(0xfffc))), b.ne(b.and(ss, b.i32(3)), rpl)),
    notFlat(t, stack, FLAT_DATA, rpl),
  );
  const lost = [ES, DS, FS, GS].map((seg) => losesSegment(t, seg, true)).reduce((x, y) => b.or(x, y));
  bail(t, b.and(outer, b.or(wrong, lost)));

  const eflags = b.or(
    b.or(b.and(old, b.i32(~(IRET_FLAGS | FLAG_RF | FLAGS_ARITH))), b.and(value, b.i32(IRET_FLAGS))),
    b.i32(2),
  );
  bailIfOverrideEnds(t, old, eflags);
  const hflags = b.or(b.i32(keptFlags(t)), privilegeFlags(t, rpl, eflags));
  const at = ENV.SEG + SS * SEG_STRIDE;
  const same = (offset: number): Value => t.envLoad(at + offset);
  const stackSelector = b.select(outer, ss, same(SEG_SELECTOR));
  const stackFlags = b.select(outer, kept(t, stack), same(SEG_FLAGS));
  storeSegment(t, SS, stackSelector, stackFlags, b.i32(-1));
  storeSegment(t, CS, selector, kept(t, code), b.i32(-1));
  t.envStore(ENV.NMI_BLOCKED, b.i32(0));
  t.setEflags(b.and(value, b.i32(FLAGS_ARITH)));
  b.set(G.EFLAGS, eflags);
  b.set(ESP, b.select(outer, newEsp, b.add(esp, b.i32(12))));
  b.set(G.HFLAGS, hflags);
  finish(t, eip, EXIT_WORK);
  return true;
}

/** IA32_SYSENTER_CS without RPL: #GP(0) if it is null. */
function sysenterSelector(t: Translator): Value {
  const { b } = t;
  const selector = b.and(t.envLoad(ENV.MSR_SYSENTER_CS), b.i32(0xfffc));
  t.raiseIf(b.eqz(selector), EXC.GP, 0);
  return selector;
}
/** CS and SS flat at a level; `code` is CS's selector, SS's is 8 more. */
function loadFlat(t: Translator, code: Value, cpl: number): void {
  const { b } = t;
  const level = (high: number): Value => b.i32((high & DESC_KEPT) | (cpl << DESC_DPL_SHIFT));
  const selector = (v: Value): Value => b.or(b.and(v, b.i32(0xffff)), b.i32(cpl));
  storeSegment(t, CS, selector(code), level(FLAT_CODE32), b.i32(-1));
  storeSegment(t, SS, selector(b.add(code, b.i32(8))), level(FLAT_DATA), b.i32(-1));
}

export function quickSysenter(t: Translator): boolean {
  if (!flat(t)) return false;
  const { b } = t;
  const selector = sysenterSelector(t);
  const esp = t.envLoad(ENV.MSR_SYSENTER_ESP);
  const eip = t.envLoad(ENV.MSR_SYSENTER_EIP);
  loadFlat(t, selector, 0);
  b.set(G.EFLAGS, b.and(b.get(G.EFLAGS), b.i32(~(FLAG_VM | FLAG_IF | FLAG_RF))));
  b.set(ESP, esp);
  b.set(G.HFLAGS, b.i32(keptFlags(t) | HF_IOPL_OK));
  finish(t, eip, EXIT_LOOKUP);
  return true;
}

export function quickSysexit(t: Translator): boolean {
  if (t.cpl !== 0 || !flat(t)) return false;
  const { b } = t;
  const selector = sysenterSelector(t);
  const esp = b.get(ECX);
  const eip = b.get(EDX);
  const hflags = b.or(b.i32(keptFlags(t)), privilegeFlags(t, b.i32(3), b.get(G.EFLAGS)));
  loadFlat(t, b.add(selector, b.i32(16)), 3);
  b.set(ESP, esp);
  b.set(G.HFLAGS, hflags);
  finish(t, eip, EXIT_LOOKUP);
  return true;
}
