/**
 * Operand access of MMX, SSE and AVX instructions: entry checks, register and memory operands as v128 values.
 *
 * A VEX-coded instruction has a source in VEX.vvvv where the others have their destination, wants no alignment, and writes
 * the whole YMM register: its upper half, which lives in env, becomes the upper result or zero. SDM Vol. 1 §14.1, §14.9.
 *
 * An MMX register is the significand of a physical x87 register; as a value it is a v128 whose low 8 bytes count and
 * whose upper 8 are garbage. Writing one sets its exponent field to all ones; any MMX instruction but EMMS makes all
 * tags valid and TOP zero. SDM Vol. 1 §9.2.1, §9.5.1; exceptions: SDM Vol. 3A §12.1, Vol. 2A Table 2-18 ff.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Translator } from '../translate/translator.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../translate/translator.ts';
import { ENV, EXC, HF_AVX, HF_EM, HF_FPU_ES, HF_OSFXSR, HF_TOP, HF_TS, XMM_STRIDE } from '../state.ts';
import { demandAlignment } from './address.ts';

const ENVLD_V128 = opId('envld_v128');
const ENVLD_I64 = opId('envld_i64');
const ENVST_16 = opId('envst_16');
const SPLAT32 = opId('i32x4_splat');
const SPLAT64 = opId('i64x2_splat');
const REPLACE32 = opId('i32x4_replace_lane');
const REPLACE64 = opId('i64x2_replace_lane');
const LANE32 = opId('i32x4_extract_lane');
const LANE64 = opId('i64x2_extract_lane');
const REPLACE_F64 = opId('f64x2_replace_lane');
const REPLACE_F32 = opId('f32x4_replace_lane');
const BITS_F64 = opId('i64_reinterpret_f64');
const BITS_F32 = opId('i32_reinterpret_f32');
const ZERO = new Uint8Array(16);

/** Bytes of one x87 register slot in env. */
export const FPREG_STRIDE = 16;

export const zero = (t: Translator): Value => t.b.v128(ZERO);
/** The low lane; the value itself that an earlier operation of the block put there. */
export const low64 = (t: Translator, v: Value): Value =>
  lowLane(t, v, REPLACE64, SPLAT64, REPLACE_F64, BITS_F64, LANE64);
export const low32 = (t: Translator, v: Value): Value =>
  lowLane(t, v, REPLACE32, SPLAT32, REPLACE_F32, BITS_F32, LANE32);
function lowLane(
  t: Translator,
  v: Value,
  replace: number,
  splat: number,
  replaceFloat: number,
  bits: number,
  extract: number,
): Value {
  const { b } = t;
  const { op, imm } = b.block;
  if (op[v] === replace && imm[v] === 0) return b.block.b[v]!;
  if (op[v] === splat) return b.block.a[v]!;
  if (op[v] === replaceFloat && imm[v] === 0) return b.emit(bits, b.block.b[v]!);
  return b.emit(extract, v);
}
/** i64 or i32 in the low lane, zeros above. */
export const zeroExtend64 = (t: Translator, v: Value): Value => t.b.emit(REPLACE64, zero(t), v);
export const zeroExtend32 = (t: Translator, v: Value): Value => t.b.emit(REPLACE32, zero(t), v);

/** Entry checks of SSE and AVX instructions: false when the block has ended in an exception. SDM Vol. 2A Tables 2-18 to 2-21. */
export function sseReady(t: Translator): boolean {
  if (isVex(t) ? (t.flags & HF_AVX) === 0 : (t.flags & HF_EM) !== 0 || (t.flags & HF_OSFXSR) === 0) t.undefined();
  else if ((t.flags & HF_TS) !== 0) t.raise(EXC.NM);
  else return true;
  return false;
}

/** Entry checks of MMX instructions. A pending x87 error is reported by them. */
export function mmxReady(t: Translator): boolean {
  if ((t.flags & HF_EM) !== 0) t.undefined();
  else if ((t.flags & HF_TS) !== 0) t.raise(EXC.NM);
  else if ((t.flags & HF_FPU_ES) !== 0) pendingError(t);
  else return true;
  return false;
}
/** #MF, or with CR0.NE = 0 the FERR# pin and this instruction again until the interrupt has come. Ends the block. */
export function pendingError(t: Translator): void {
  t.call('fpu_ferr');
  t.endShadow();
  t.flagsKnown = false;
  t.b.exit(1);
}
/** SSE instructions with an MMX operand: all of both. */
export function sseMmxReady(t: Translator): boolean {
  if ((t.flags & HF_OSFXSR) === 0) {
    t.undefined();
    return false;
  }
  return mmxReady(t);
}

/** The x87 state becomes that of an MMX instruction. After everything that may leave. */
export function enterMmx(t: Translator): void {
  t.setFlags(t.flags & ~HF_TOP);
  t.envStore(ENV.FPTAGS, t.b.i64(0));
}

/** Env offset of an MMX register. There are eight in 64-bit code too: REX.R and REX.B say nothing about them. */
const mmSlot = (n: number): number => ENV.FPREGS + FPREG_STRIDE * (n & 7);
export const mm = (t: Translator, n: number): Value => t.b.emit(ENVLD_V128, -1, -1, -1, mmSlot(n));
export const mm64 = (t: Translator, n: number): Value => t.b.emit(ENVLD_I64, -1, -1, -1, mmSlot(n));
export const setMm = (t: Translator, n: number, v: Value): void => setMm64(t, n, low64(t, v));
export function setMm64(t: Translator, n: number, v: Value): void {
  t.envStore(mmSlot(n), v);
  t.b.emit(ENVST_16, t.b.i32(0xffff), -1, -1, mmSlot(n) + 8);
}

/** Address of the 16-byte memory operand, #GP(0) unless aligned. SDM Vol. 1 §4.1.1. */
export function alignedAddress(t: Translator, access: number): Value {
  const address = t.memory(16, access);
  demandAlignment(t, address, 16);
  return address;
}

/** Second operand of an SSE instruction: XMM register, or aligned 16 bytes of memory, or 8/4/2 bytes in the low lane (repeated above). */
export function xmmSource(t: Translator, bytes: number): Value {
  if (!t.isMem) return t.xmm(t.insn.rm);
  if (bytes === 16) return t.load(4, isVex(t) ? t.memory(16, ACCESS_READ) : alignedAddress(t, ACCESS_READ));
  return narrowLoad(t, bytes);
}
function narrowLoad(t: Translator, bytes: number): Value {
  const address = t.memory(bytes, ACCESS_READ);
  if (bytes === 8) return t.b.emit(SPLAT64, t.load(3, address));
  return t.b.emit(SPLAT32, t.load(bytes === 4 ? 2 : 1, address));
}
/** The same without the alignment rule. */
export function xmmSourceUnaligned(t: Translator): Value {
  return t.isMem ? t.load(4, t.memory(16, ACCESS_READ)) : t.xmm(t.insn.rm);
}
/** Second operand of an MMX instruction: register, or 8 or 4 bytes of memory. */
export function mmSource(t: Translator, bytes: number): Value {
  return t.isMem ? narrowLoad(t, bytes) : mm(t, t.insn.rm);
}

// --- VEX ----------------------------------------------------------------------------------------------------------------
export const isVex = (t: Translator): boolean => t.insn.vexL >= 0;
/** A 256-bit operation. */
export const isYmm = (t: Translator): boolean => t.insn.vexL === 1;
/** A vector of 128 bits, or of 256 as two; `hi` is -1 when there is none. */
export interface Halves {
  readonly lo: Value;
  readonly hi: Value;
}
const upperSlot = (n: number): number => ENV.XMM + XMM_STRIDE * n + 16;
export const upper = (t: Translator, n: number): Value => t.b.emit(ENVLD_V128, -1, -1, -1, upperSlot(n));
export const ymm = (t: Translator, n: number): Halves => ({ lo: t.xmm(n), hi: isYmm(t) ? upper(t, n) : -1 });
/** First source: the register in VEX.vvvv, or the destination. */
export const first = (t: Translator): Halves => ymm(t, isVex(t) ? t.insn.vexV : t.insn.reg);
export const firstXmm = (t: Translator): Value => t.xmm(isVex(t) ? t.insn.vexV : t.insn.reg);
/** Second source of the operation's width; `bytes` of 128 bits as in `xmmSource`. */
export function source(t: Translator, bytes = 16): Halves {
  if (!isYmm(t)) return { lo: xmmSource(t, bytes), hi: -1 };
  if (!t.isMem) return ymm(t, t.insn.rm);
  const address = t.memory(32, ACCESS_READ);
  return { lo: t.load(4, address), hi: t.load(4, t.memoryAt(16)) };
}
/** The result: with VEX the upper half is written too. */
export function setResult(t: Translator, lo: Value, hi: Value = -1, n = t.insn.reg): void {
  t.setXmm(n, lo);
  if (isVex(t)) t.envStore(upperSlot(n), hi < 0 ? zero(t) : hi);
}
/** dst = f(first, second) in each half. */
export function eachHalf(t: Translator, f: (d: Value, s: Value) => Value, bytes = 16): void {
  const s = source(t, bytes);
  const d = first(t);
  const lo = f(d.lo, s.lo);
  setResult(t, lo, isYmm(t) ? f(d.hi, s.hi) : -1);
}

export const storeAddress = (t: Translator, bytes: number): Value => t.memory(bytes, ACCESS_WRITE);
