/**
 * Handlers of SIMD instructions whose work is done by script helpers (simd-helpers.ts): string comparison, AES,
 * carry-less multiplication. Operands go through env scratch, results come back there. SDM Vol. 2B, Vol. 1 §12.10, §12.13.
 */
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { EAX, ECX, EDX, FLAGS_ARITH } from '../state.ts';
import { isWide } from './address.ts';
import { scratchVector, spill } from './simd-float.ts';
import { sseReady, xmmSource, xmmSourceUnaligned } from './simd-operands.ts';
import { SIMD_RESULT } from './simd-helpers.ts';

/** Register as a length, of which the helper takes the magnitude, at most 16; with REX.W it has 64 bits. */
function explicitLength(t: Translator, register: number): Value {
  const { b } = t;
  if (!isWide(t)) return t.reg(register, 2);
  const v = t.reg(register, 3);
  return b.select(b.gtU(b.add(v, b.i64(32)), b.i64(64)), b.i32(32), b.wrap(v));
}

/** PCMPESTRM 0, PCMPESTRI 1, PCMPISTRM 2, PCMPISTRI 3 by row.arg. */
const pcmpstr: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { b } = t;
  const { arg } = i.row;
  spill(t, t.xmm(i.reg), xmmSourceUnaligned(t));
  const result = t.call('pcmpstr', b.i32(i.imm | (arg << 8)), explicitLength(t, EAX), explicitLength(t, EDX));
  if ((arg & 1) !== 0) t.setReg(ECX, 2, b.shr(result, b.i32(16)));
  else t.setXmm(0, scratchVector(t, SIMD_RESULT));
  t.setEflags(b.and(result, b.i32(FLAGS_ARITH)));
};

/** By row.arg: AESIMC 0, AESENC 1, AESENCLAST 2, AESDEC 3, AESDECLAST 4, AESKEYGENASSIST 5. */
const aes: Handler = (t, i) => {
  if (!sseReady(t)) return;
  spill(t, t.xmm(i.reg), xmmSource(t, 16));
  t.call('aes', t.b.i32(i.row.arg), t.b.i32(i.imm));
  t.setXmm(i.reg, scratchVector(t, SIMD_RESULT));
};

const pclmulqdq: Handler = (t, i) => {
  if (!sseReady(t)) return;
  spill(t, t.xmm(i.reg), xmmSource(t, 16));
  t.call('pclmulqdq', t.b.i32(i.imm));
  t.setXmm(i.reg, scratchVector(t, SIMD_RESULT));
};

export const SIMD_HELPED_HANDLERS: HandlerTable = { pcmpstr, aes, pclmulqdq };
