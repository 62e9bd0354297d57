/**
 * Handlers of SIMD instructions whose work is done by functions of the WebAssembly helper module: string comparison, AES, SHA,
 * carry-less multiplication. Operands go through env scratch, results come back there. SDM Vol. 2B, Vol. 1 §12.10, §12.13.
 */
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { EAX, ECX, EDX, ENV, FLAGS_ARITH } from '../state.ts';
import { isWide } from './address.ts';
import { SSE_DST, SSE_SRC } from './mxcsr.ts';
import { scratchVector, spill } from './float-values.ts';
import { firstXmm, setResult, sseReady, xmmSource, xmmSourceUnaligned } from './simd-operands.ts';

/** A third operand; results. */
const THIRD = ENV.SCRATCH + 48;
const RESULT = ENV.SCRATCH + 32;

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
  const explicit = arg < 2;
  const lengths = explicit ? [explicitLength(t, EAX), explicitLength(t, EDX)] : [b.i32(0), b.i32(0)];
  spill(t, t.xmm(i.reg), xmmSourceUnaligned(t));
  const result = t.callw(
    'pcmpstr',
    b.envAddr(RESULT),
    b.envAddr(SSE_DST),
    b.envAddr(SSE_SRC),
    b.i32((i.imm & 0xff) | (explicit ? 0x100 : 0)),
    ...lengths,
  );
  if ((arg & 1) !== 0) t.setReg(ECX, 2, b.shr(result, b.i32(16)));
  else setResult(t, scratchVector(t, RESULT), -1, 0);
  t.setEflags(b.and(result, b.i32(FLAGS_ARITH)));
};

/** dst = f(dst, src), or with `unary` f(src), and the immediate if `withImm`. */
export function helped(t: Translator, name: string, d: Value, s: Value, unary: boolean, withImm: boolean): Value {
  const { b } = t;
  spill(t, d, s);
  const operands = unary ? [b.envAddr(SSE_SRC)] : [b.envAddr(SSE_DST), b.envAddr(SSE_SRC)];
  t.callw(name, b.envAddr(RESULT), ...operands, ...(withImm ? [b.i32(t.insn.imm & 0xff)] : []));
  return scratchVector(t, RESULT);
}
const byHelper =
  (name: string, unary = false, withImm = false): Handler =>
  (t) => {
    if (!sseReady(t)) return;
    const s = xmmSource(t, 16);
    setResult(t, helped(t, name, firstXmm(t), s, unary, withImm));
  };

/** XMM0 is the third operand. */
const sha256rnds2: Handler = (t, i) => {
  if (!sseReady(t)) return;
  const { b } = t;
  spill(t, t.xmm(i.reg), xmmSource(t, 16));
  t.envStore(THIRD, t.xmm(0));
  t.callw('sha256_rnds2', b.envAddr(RESULT), b.envAddr(SSE_DST), b.envAddr(SSE_SRC), b.envAddr(THIRD));
  t.setXmm(i.reg, scratchVector(t, RESULT));
};

export const SIMD_HELPED_HANDLERS: HandlerTable = {
  pcmpstr,
  aesimc: byHelper('aes_imc', true),
  aesenc: byHelper('aes_enc'),
  aesenclast: byHelper('aes_enclast'),
  aesdec: byHelper('aes_dec'),
  aesdeclast: byHelper('aes_declast'),
  aeskeygenassist: byHelper('aes_keygen', true, true),
  pclmulqdq: byHelper('clmul', false, true),
  sha1rnds4: byHelper('sha1_rnds4', false, true),
  sha1nexte: byHelper('sha1_nexte'),
  sha1msg1: byHelper('sha1_msg1'),
  sha1msg2: byHelper('sha1_msg2'),
  sha256rnds2,
  sha256msg1: byHelper('sha256_msg1'),
  sha256msg2: byHelper('sha256_msg2'),
};
