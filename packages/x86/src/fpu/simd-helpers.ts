/**
 * Script helpers of SIMD instructions: masked stores, MXCSR flags and #XM.
 */
import type { X86Cpu } from '../cpu.ts';
import { ENV, EXC, HF_OSXMMEXCPT } from '../state.ts';
import { linearAt, linearOf, probe } from './address.ts';
import { MXCSR_FLAGS, MXCSR_MASK_SHIFT, withSseFast } from './mxcsr.ts';

/** IE, DE, ZE. */
const PRE_COMPUTATION = 7;

type Factory = (cpu: X86Cpu) => (a: number, b: number, c: number, d: number) => number;

/** Every page that will be written is checked before the first byte is. */
const maskmov: Factory = (cpu) => (low, high, bytes) => {
  const { e8 } = cpu;
  const address = linearOf(cpu, low, high);
  const first = Math.min(bytes, 0x1000 - (address & 0xfff));
  if (anyMasked(e8, 0, first - 1)) probe(cpu, address, first, 1);
  if (anyMasked(e8, first, bytes - 1)) probe(cpu, linearAt(cpu, address, first), bytes - first, 1);
  for (let n = 0; n < bytes; n++)
    if (e8[ENV.SCRATCH + 16 + n]! >= 0x80) cpu.write8(linearAt(cpu, address, n), e8[ENV.SCRATCH + n]!);
  return 0;
};
function anyMasked(e8: Uint8Array, from: number, to: number): boolean {
  for (let n = from; n <= to; n++) if (e8[ENV.SCRATCH + 16 + n]! >= 0x80) return true;
  return false;
}

/** Newly raised flags into MXCSR; an unmasked one is #XM, or #UD unless the system handles #XM. SDM Vol. 3A §2.5 "CR4.OSXMMEXCPT". */
const sseFlags: Factory = (cpu) => (raised) => {
  // of two halves, one may be stopped before its operation and the other not: SDM Vol. 1 §11.5.3
  const stopped = raised & ~(cpu.ei32[ENV.MXCSR >> 2]! >> MXCSR_MASK_SHIFT) & PRE_COMPUTATION;
  const flags = stopped !== 0 ? raised & PRE_COMPUTATION : raised;
  const mxcsr = cpu.ei32[ENV.MXCSR >> 2]! | (flags & MXCSR_FLAGS);
  cpu.ei32[ENV.MXCSR >> 2] = mxcsr;
  if ((flags & ~(mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS) !== 0)
    cpu.raise((cpu.hflags & HF_OSXMMEXCPT) !== 0 ? EXC.XM : EXC.UD);
  cpu.hflags = withSseFast(cpu.hflags, mxcsr);
  return 0;
};

export const SIMD_HELPERS: Readonly<Record<string, Factory>> = {
  maskmov,
  sse_flags: sseFlags,
};
