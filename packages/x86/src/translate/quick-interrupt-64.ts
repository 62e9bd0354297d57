/**
 * INT n, page faults and IRETQ between 64-bit code as hot IR: interrupt and trap gates without IST to flat code of level 0, and returns to
 * level 0 or 3. What system/long-interrupt.ts and system/long-return.ts do; see quick-descriptors.ts.
 * SDM Vol. 3A §6.14 "Exception and Interrupt Handling in 64-bit Mode", Vol. 2A "INT n", "IRET/IRETD/IRETQ".
 */
import { EXIT_LOOKUP, EXIT_WORK, MEM_SUPERVISOR } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import {
  CS,
  DS,
  ENV,
  ES,
  ESP,
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
  HF_CS64,
  HF_IOPL_OK,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  SS,
} from '../state.ts';
import { DESC_DPL_SHIFT } from '../system/descriptor-bits.ts';
import { PRIVILEGE_BITS, SEGMENT_BITS } from '../system/hflags.ts';
import {
  FLAT_DATA,
  bail,
  bailIfOverrideEnds,
  faultEvent,
  gdtDescriptor,
  kept,
  losesSegment,
  notCanonical,
  notCode64,
  notFlat,
  privilegeFlags,
  quickMode,
  storeSegment,
  tableAddress,
} from './quick-descriptors.ts';
import type { QuickEvent } from './quick-descriptors.ts';
import type { Translator } from './translator.ts';

/** Gate: P, S and type without the bit that tells trap from interrupt, IST; and what an interrupt gate has. */
const GATE_MASK = 0x9e07;
const GATE = 0x8e00;
const GATE_DPL3 = 0x6000;
const GATE_TRAP = 0x100;
/** Offset of RSP0 in the TSS. */
const TSS_RSP0 = 4;

const selectorOf = (seg: number): number => ENV.SEG + seg * SEG_STRIDE + SEG_SELECTOR;

/** False: not this form's; nothing was emitted. */
export function quickInt64(t: Translator, vector: number): boolean {
  if (!t.is64 || !quickMode(t, 'transitions')) return false;
  const { b } = t;
  enter64(t, { vector, hasDpl: true, hflags: b.i32(t.flags), flags: 0, returnTo: t.returnAddress(), error: -1 });
  return true;
}

/** As `quickInt64`, for a fault at the RIP in env. */
export function quickFault64(t: Translator, vector: number): boolean {
  if (!t.is64 || !quickMode(t, 'page-faults')) return false;
  enter64(t, faultEvent(t, vector, t.pair(t.envLoad(ENV.EIP), t.envLoad(ENV.CS_BASE))));
  return true;
}

function enter64(t: Translator, event: QuickEvent): void {
  const { vector, hasDpl, hflags, flags, returnTo, error } = event;
  const { b } = t;
  const inner = t.cpl !== 0;
  bail(t, b.ltU(t.envLoad(ENV.IDT_LIMIT), b.i32(vector * 16 + 15)));
  const at = tableAddress(t, ENV.IDT_BASE, vector * 16);
  const gate = b.load('ld64', at, MEM_SUPERVISOR);
  const upper = b.load('ld32', b.add(at, b.i64(8)), MEM_SUPERVISOR);
  const low = t.low(gate);
  const high = t.high(gate);
  const dpl = inner && hasDpl ? GATE_DPL3 : 0;
  bail(t, b.ne(b.and(high, b.i32(GATE_MASK | dpl)), b.i32(GATE | dpl)));
  const selector = b.shr(low, b.i32(16));
  bail(t, b.eqz(b.and(selector, b.i32(0xfffc))));
  const code = gdtDescriptor(t, selector);
  bail(t, notCode64(t, code, b.i32(0)));
  const rip = t.pair(b.or(b.and(high, b.i32(-0x10000)), b.and(low, b.i32(0xffff))), upper);
  bail(t, notCanonical(t, rip));

  let top = b.get(ESP);
  if (inner) {
    bail(t, b.ltU(t.envLoad(ENV.TR + SEG_LIMIT), b.i32(TSS_RSP0 + 7)));
    top = b.load('ld64', tableAddress(t, ENV.TR + SEG_BASE, TSS_RSP0), MEM_SUPERVISOR);
    bail(t, notCanonical(t, top));
  }
  const aligned = b.and(top, b.i64(-16));
  const eflags = b.get(G.EFLAGS);
  const image = b.or(b.or(b.and(eflags, b.i32(~FLAGS_ARITH)), t.flagsImage()), b.i32(2 | flags));
  const frame: Value[] = [
    b.extU(t.envLoad(selectorOf(SS))),
    b.get(ESP),
    b.extU(image),
    b.extU(t.envLoad(selectorOf(CS))),
    returnTo,
  ];
  if (error >= 0) frame.push(b.extU(error));
  frame.forEach((v, n) => b.store('st64', b.add(aligned, b.i64(-8 * (n + 1))), v, MEM_SUPERVISOR));

  // hits of data breakpoints come again with the faulting instruction
  if (error >= 0) t.envStore(ENV.PENDING_DR6, b.i32(0));
  if (inner) storeSegment(t, SS, b.i32(0), b.i32(0), b.i32(0));
  storeSegment(t, CS, b.and(selector, b.i32(0xfffc)), kept(t, code), b.i32(-1));
  const always = FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT;
  const cleared = b.select(b.and(high, b.i32(GATE_TRAP)), b.i32(always), b.i32(always | FLAG_IF));
  b.set(G.EFLAGS, b.and(eflags, b.not(cleared)));
  b.set(ESP, b.add(aligned, b.i64(-8 * frame.length)));
  b.set(G.HFLAGS, b.or(b.and(hflags, b.i32(~(SEGMENT_BITS | PRIVILEGE_BITS))), b.i32(HF_CS64 | HF_IOPL_OK)));
  finish(t, rip, EXIT_LOOKUP);
}

function finish(t: Translator, rip: Value, kind: number): void {
  t.envStore(ENV.EIP, t.low(rip));
  t.envStore(ENV.CS_BASE, t.high(rip));
  t.flagsKnown = false;
  t.b.exit(kind);
}

/** Flags that IRETQ loads at level 0. RF is dropped while no instruction breakpoint is enabled, as in this form. */
const IRET_FLAGS = FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID | FLAG_IF | FLAG_IOPL | FLAG_VIF | FLAG_VIP;

export function quickIret64(t: Translator): boolean {
  if (!t.is64 || t.cpl !== 0 || !quickMode(t, 'transitions')) return false;
  const { b } = t;
  const old = b.get(G.EFLAGS);
  bail(t, b.and(old, b.i32(FLAG_NT)));
  const rsp = b.get(ESP);
  const [rip, codeWord, flagsWord, newRsp, stackWord] = [0, 8, 16, 24, 32].map((n) =>
    b.load('ld64', b.add(rsp, b.i64(n))),
  ) as [Value, Value, Value, Value, Value];
  const selector = b.and(t.low(codeWord), b.i32(0xffff));
  const rpl = b.and(selector, b.i32(3));
  // levels 1 and 2
  bail(t, b.and(b.xor(rpl, b.shr(rpl, b.i32(1))), b.i32(1)));
  bail(t, b.eqz(b.and(selector, b.i32(0xfffc))));
  const code = gdtDescriptor(t, selector);
  bail(t, notCode64(t, code, rpl));
  bail(t, notCanonical(t, rip));

  const ss = b.and(t.low(stackWord), b.i32(0xffff));
  const isNull = b.eqz(b.and(ss, b.i32(0xfffc)));
  bail(t, b.ne(b.and(ss, b.i32(3)), rpl));
  bail(t, b.and(isNull, rpl));
  const stack = gdtDescriptor(t, ss);
  bail(t, b.and(b.eqz(isNull), notFlat(t, stack, FLAT_DATA, rpl)));
  const lost = [ES, DS, FS, GS].map((seg) => losesSegment(t, seg, false)).reduce((x, y) => b.or(x, y));
  bail(t, b.and(b.ne(rpl, b.i32(0)), lost));

  const value = t.low(flagsWord);
  const eflags = b.or(
    b.or(b.and(old, b.i32(~(IRET_FLAGS | FLAG_RF | FLAGS_ARITH))), b.and(value, b.i32(IRET_FLAGS))),
    b.i32(2),
  );
  bailIfOverrideEnds(t, old, eflags);
  const level = b.shl(rpl, b.i32(DESC_DPL_SHIFT));
  const hflags = b.or(b.i32((t.flags & ~(SEGMENT_BITS | PRIVILEGE_BITS)) | HF_CS64), privilegeFlags(t, rpl, eflags));
  storeSegment(t, SS, ss, b.select(isNull, level, kept(t, stack)), b.select(isNull, b.i32(0), b.i32(-1)));
  storeSegment(t, CS, selector, kept(t, code), b.i32(-1));
  t.envStore(ENV.NMI_BLOCKED, b.i32(0));
  t.setEflags(b.and(value, b.i32(FLAGS_ARITH)));
  b.set(G.EFLAGS, eflags);
  b.set(ESP, newRsp);
  b.set(G.HFLAGS, hflags);
  finish(t, rip, EXIT_WORK);
  return true;
}
