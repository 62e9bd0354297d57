/**
 * The x87 register stack in IR: TOP is a constant of the block (HF_TOP), so ST(i) is a constant env slot.
 *
 * Three forms of every instruction:
 *  - all exceptions masked, cold: straight-line; a stack fault is worked in by selects (masked response);
 *  - some exception unmasked (HF_FPU_UNMASKED), cold: the result goes to scratch and the script helper `x87_commit`
 *    decides what is written, whether the stack moves, and ES; the block ends;
 *  - hot: a stack fault leaves through `bail_if`, and so does any unmasked exception, before anything is written.
 * SDM Vol. 1 §8.1.2 (stack), §8.5.1.1 (stack faults), §8.6 (order of exceptions). FIP is always kept; FDP, FOP, FCS, FDS
 * only when an unmasked exception is raised, as processors with FDP_EXCPTN_ONLY and deprecated FCS/FDS do (SDM Vol. 1 §8.1.8).
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import { FEATURE } from '../decode/features.ts';
import type { Translator } from '../translate/translator.ts';
import { CC_EFLAGS } from '../flags.ts';
import { ENV, EXC, HF_EM, HF_FPU_ES, HF_FPU_UNMASKED, HF_LMA, HF_TOP, HF_TOP_SHIFT, HF_TS } from '../state.ts';
import { addressArguments } from './address.ts';
import { FPREG_STRIDE, pendingError } from './simd-operands.ts';
import {
  COMMIT_COMI,
  COMMIT_PUSH,
  COMMIT_REG,
  COMMIT_TRIG,
  DST_SHIFT,
  FOP_SHIFT,
  FSW_C1,
  FSW_C2,
  NO_SEGMENT,
  POPS_SHIFT,
  SEGMENT_SHIFT,
  SIZE_SHIFT,
  STACK_OVERFLOW,
  STACK_UNDERFLOW,
  X87_FLAGS,
} from './x87-bits.ts';

const FPU = FEATURE['fpu']!;
const ENVLD_8U = opId('envld_8u');
const ENVST_8 = opId('envst_8');
const ENVLD_16U = opId('envld_16u');
const ENVST_16 = opId('envst_16');
const ENVLD_I64 = opId('envld_i64');

/** Memory operands for wasm helpers; results that x87_commit is to place (two slots). */
export const X87_OPERAND = ENV.SCRATCH;
export const X87_RESULT = ENV.SCRATCH + 32;
export const X87_RESULT2 = ENV.SCRATCH + 48;

export const INDEFINITE_HIGH = 0xc0000000;
export const INDEFINITE_EXPONENT = 0xffff;

export const topOf = (t: Translator): number => (t.flags & HF_TOP) >>> HF_TOP_SHIFT;
const physical = (t: Translator, i: number): number => (topOf(t) + i) & 7;
/** Env offset of ST(i). */
export const st = (t: Translator, i: number): number => ENV.FPREGS + FPREG_STRIDE * physical(t, i);
export const fcw = (t: Translator): Value => t.envLoad(ENV.FPUC);
export const allMasked = (t: Translator): boolean => (t.flags & HF_FPU_UNMASKED) === 0;

/** The cold form must leave the decision to `x87_commit`. */
export const needsHelper = (t: Translator): boolean => !t.hot && !allMasked(t);

export const load16 = (t: Translator, offset: number): Value => t.b.emit(ENVLD_16U, -1, -1, -1, offset);
export const load64 = (t: Translator, offset: number): Value => t.b.emit(ENVLD_I64, -1, -1, -1, offset);
export const store16 = (t: Translator, offset: number, v: Value): void => void t.b.emit(ENVST_16, v, -1, -1, offset);

/** 1 when ST(i) is empty. */
export const empty = (t: Translator, i: number): Value => t.b.emit(ENVLD_8U, -1, -1, -1, ENV.FPTAGS + physical(t, i));
/** 1 when a push would overflow. */
export const full = (t: Translator): Value => t.b.xor(empty(t, -1), t.b.i32(1));
export const setTag = (t: Translator, i: number, isEmpty: 0 | 1): void =>
  void t.b.emit(ENVST_8, t.b.i32(isEmpty), -1, -1, ENV.FPTAGS + physical(t, i));
export const moveTop = (t: Translator, by: number): void =>
  t.setFlags((t.flags & ~HF_TOP) | (((topOf(t) + by) & 7) << HF_TOP_SHIFT));

export function pop(t: Translator, count: number): void {
  for (let n = 0; n < count; n++) {
    setTag(t, 0, 1);
    moveTop(t, 1);
  }
}

/** Device not available; then, unless the instruction does not wait, the pending error. Without an FPU nothing happens. */
export function x87Ready(t: Translator, waits = true): boolean {
  if ((t.flags & (HF_EM | HF_TS)) !== 0) t.raise(EXC.NM);
  else if (!t.has(FPU)) return false;
  else if (waits && (t.flags & HF_FPU_ES) !== 0) pendingError(t);
  else return true;
  return false;
}

/** FSW = FSW without `clear` (only on a stack fault if `onlyOnFault` is its condition), or flags; and the instruction pointer. */
export function updateStatus(t: Translator, flags: Value, clear: number = FSW_C1, onlyOnFault: Value = -1): void {
  const { b } = t;
  const kept = onlyOnFault < 0 ? b.i32(~clear) : b.select(onlyOnFault, b.i32(~clear), b.i32(-1));
  t.envStore(ENV.FPUS, b.or(b.and(t.envLoad(ENV.FPUS), kept), flags));
  keepInstructionPointer(t);
}
/** FIP: this instruction. In long mode all 64 bits, since 64-bit code can look at them (FXSAVE64). */
export function keepInstructionPointer(t: Translator): void {
  const { b } = t;
  if ((t.flags & HF_LMA) === 0) t.envStore(ENV.FIP, b.i32(t.eip));
  else t.envStore(ENV.FIP, t.is64 ? t.rip(t.eip >>> 0) : b.i64Parts(t.eip, 0));
}

/** Let `x87_commit` finish the instruction; `address` is that of its memory operand. */
export function commitByHelper(
  t: Translator,
  kind: number,
  flags: Value,
  dst: number,
  pops: number,
  address: Value = -1,
  size = 0,
): void {
  const { b, insn } = t;
  const fop = ((insn.opcode & 7) << 8) | (insn.modrm & 0xff);
  const segment = address < 0 && !t.isMem ? NO_SEGMENT : insn.segment;
  const descriptor =
    kind |
    (physical(t, dst) << DST_SHIFT) |
    (pops << POPS_SHIFT) |
    (size << SIZE_SHIFT) |
    (fop << FOP_SHIFT) |
    (segment << SEGMENT_SHIFT);
  const operand = address >= 0 || !t.isMem ? address : t.memoryAt(0);
  t.call('x87_commit', flags, b.i32(descriptor), ...addressArguments(t, operand < 0 ? b.i32(0) : operand));
  if (kind === COMMIT_COMI) t.beginFlags(CC_EFLAGS);
  t.exitNext();
}

/** Overwrites a slot with the default NaN if `fault`. */
export function indefiniteIf(t: Translator, fault: Value, slot: number): void {
  const { b } = t;
  t.envStore(slot, b.select(fault, b.i64Parts(0, INDEFINITE_HIGH), load64(t, slot)));
  store16(t, slot + 8, b.select(fault, b.i32(INDEFINITE_EXPONENT), load16(t, slot + 8)));
}

/** Computes into the env slot given and returns the flags. Anything that may leave must have been emitted before. */
export type Compute = (slot: number) => Value;

/** Hot: leave if an unmasked exception was raised. */
export function bailUnmasked(t: Translator, flags: Value): void {
  const { b } = t;
  if (!allMasked(t)) b.bailIf(b.and(b.and(flags, b.not(fcw(t))), b.i32(X87_FLAGS)));
}
/** Hot: the result reaches its register only if no unmasked exception was raised. */
function computeGuarded(t: Translator, slot: number, compute: Compute, kind: number): Value {
  if (allMasked(t)) return compute(slot);
  const flags = compute(X87_RESULT);
  bailUnmasked(t, flags);
  if (kind === COMMIT_TRIG) t.b.bailIf(t.b.and(flags, t.b.i32(FSW_C2)));
  copy(t, X87_RESULT, slot);
  return flags;
}

/** What is special about an instruction's status: `COMMIT_*` kind, condition bits cleared, flags of a stack fault. */
export interface StatusRule {
  readonly kind: number;
  readonly clear: number;
  /** `clear` is for stack faults only; otherwise the condition bits stay. */
  readonly onlyOnFault?: true;
  readonly faultFlags?: Value;
  /** The destination is no operand and may be empty. */
  readonly newRegister?: true;
}
const PLAIN: StatusRule = { kind: COMMIT_REG, clear: FSW_C1 };

/** ST(dst) = result, then pops. `fault`: an operand is empty. */
export function toRegister(
  t: Translator,
  dst: number,
  pops: number,
  fault: Value,
  compute: Compute,
  rule: StatusRule = PLAIN,
): void {
  const { b } = t;
  const faultFlags = rule.faultFlags ?? b.i32(STACK_UNDERFLOW);
  if (needsHelper(t)) {
    commitByHelper(t, rule.kind, b.select(fault, faultFlags, compute(X87_RESULT)), dst, pops);
    return;
  }
  const slot = st(t, dst);
  if (t.hot) {
    b.bailIf(fault);
    updateStatus(t, computeGuarded(t, slot, compute, rule.kind), rule.onlyOnFault === true ? 0 : rule.clear);
  } else {
    const flags = compute(slot);
    indefiniteIf(t, fault, slot);
    updateStatus(t, b.select(fault, faultFlags, flags), rule.clear, rule.onlyOnFault === true ? fault : -1);
  }
  if (!t.hot || rule.newRegister === true) setTag(t, dst, 0);
  pop(t, pops);
}

/** Push a result. `faultFlags`: what a stack fault raises (overflow unless an operand can be empty too). */
export function push(t: Translator, fault: Value, compute: Compute, faultFlags: Value = t.b.i32(STACK_OVERFLOW)): void {
  const { b } = t;
  if (needsHelper(t)) {
    commitByHelper(t, COMMIT_PUSH, b.select(fault, faultFlags, compute(X87_RESULT)), -1, 0);
    return;
  }
  const slot = st(t, -1);
  if (t.hot) {
    b.bailIf(fault);
    updateStatus(t, computeGuarded(t, slot, compute, COMMIT_PUSH));
  } else {
    const flags = compute(slot);
    indefiniteIf(t, fault, slot);
    updateStatus(t, b.select(fault, faultFlags, flags));
  }
  setTag(t, -1, 0);
  moveTop(t, -1);
}

/** Copy of a register into a slot; no exception. */
export function copy(t: Translator, from: number, to: number): Value {
  if (from !== to) {
    t.envStore(to, load64(t, from));
    store16(t, to + 8, load16(t, from + 8));
  }
  return t.b.i32(0);
}
