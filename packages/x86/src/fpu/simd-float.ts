/**
 * Handlers of SSE floating-point arithmetic, comparison and rounding. The exact form passes operands to soft-float
 * wasm helpers through env scratch; the fast form (hot translation under HF_SSE_FAST) is in float-lanes.ts.
 *
 * When HF_SSE_FAST does not hold, the flags go through the script helper `sse_flags`: it merges them into MXCSR and
 * raises #XM (or #UD without CR4.OSXMMEXCPT) if one is unmasked, before anything else has changed; the block then ends,
 * since the flag may have come to hold. SDM Vol. 1 §11.5 "SSE, SSE2, and SSE3 Exceptions", Vol. 2 under the mnemonics.
 */
import { opId } from '@emkit/ir';
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import { ENV, HF_SSE_FAST } from '../state.ts';
import { LANES, bailSpecialLanes, laneOf, scalarFast, special, vectorFast, withLane } from './float-lanes.ts';
import type { Arithmetic, FloatType } from './float-lanes.ts';
import { MXCSR_FLAGS, MXCSR_MASK_SHIFT, SSE_DST, SSE_SRC } from './mxcsr.ts';
import { sseReady, xmmSource } from './simd-operands.ts';
import { VECTOR_OPS } from './vector-ops.ts';

const ENVLD_V128 = opId('envld_v128');
const SELECT_NOT = opId('v128_not');
const REPLACE = { f32: opId('i32x4_replace_lane'), f64: opId('i64x2_replace_lane') };
const bytesOf = (type: FloatType): number => (type === 'f64' ? 8 : 4);
const allLanes = (type: FloatType): number => (type === 'f64' ? 2 : 4);

export const isFast = (t: Translator): boolean => t.hot && (t.flags & HF_SSE_FAST) !== 0;
export const mxcsr = (t: Translator): Value => t.envLoad(ENV.MXCSR);

/**
 * Flags of an exact operation into MXCSR; whatever the instruction writes must be computed already (values of env
 * scratch included) and is set by `commit`.
 */
export function finishFlags(t: Translator, flags: Value, commit: () => void): void {
  const { b } = t;
  if ((t.flags & HF_SSE_FAST) !== 0) {
    t.envStore(ENV.MXCSR, b.or(mxcsr(t), b.and(flags, b.i32(MXCSR_FLAGS))));
    commit();
  } else if (t.hot) {
    // stay here while every flag raised is masked and known already
    const m = mxcsr(t);
    b.bailIf(b.and(b.and(flags, b.not(b.and(m, b.shr(m, b.i32(MXCSR_MASK_SHIFT))))), b.i32(MXCSR_FLAGS)));
    commit();
  } else {
    t.call('sse_flags', flags);
    commit();
    t.endFast = true;
  }
}

/** Operands into scratch: destination (keeps the lanes that are not computed) and source. */
export function spill(t: Translator, d: Value, s: Value): void {
  t.envStore(SSE_DST, d);
  t.envStore(SSE_SRC, s);
}
export const scratchVector = (t: Translator, offset: number): Value => t.b.emit(ENVLD_V128, -1, -1, -1, offset);
