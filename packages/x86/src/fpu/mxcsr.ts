/**
 * Bits of MXCSR, and when HF_SSE_FAST holds. SDM Vol. 1 §10.2.3 "MXCSR Control and Status Register".
 *
 * HF_SSE_FAST: round to nearest, everything masked, PE sticky. Then a plain f32/f64 operation whose operands are not
 * denormal and whose result is normal (or an exact zero) does exactly what the instruction does, flags included, with
 * FTZ and DAZ set or not. The bit is only a permission: code translated without it is right for every MXCSR.
 */
import { ENV, HF_SSE_FAST } from '../state.ts';

export const MXCSR_FLAGS = 0x3f;
export const MXCSR_MASK_SHIFT = 7;
export const MXCSR_RESET = 0x1f80;
/** Bits that exist (MXCSR_MASK of FXSAVE): DAZ included. */
export const MXCSR_VALID = 0xffff;

/** PE, all masks and RC. */
export const SSE_FAST_MASK = 0x7fa0;
export const SSE_FAST_VALUE = 0x1fa0;

/** HFLAGS with HF_SSE_FAST as MXCSR says. */
export function withSseFast(hflags: number, mxcsr: number): number {
  return (mxcsr & SSE_FAST_MASK) === SSE_FAST_VALUE ? hflags | HF_SSE_FAST : hflags & ~HF_SSE_FAST;
}

/** Env slots used to pass vector operands to wasm helpers: destination (also first operand), then source. */
export const SSE_DST = ENV.SCRATCH;
export const SSE_SRC = ENV.SCRATCH + 16;
