/**
 * FPU and SSE state of a CPU under test in the form that the vectors record it (as FXSAVE does): stack order relative
 * to TOP, tags of physical registers.
 */
import { ENV, HF_FPU_ES, HF_SSE_FAST, HF_TOP, HF_TOP_SHIFT, XMM_STRIDE } from '@emkit/x86';
import type { X86Cpu } from '@emkit/x86';
import type { FxState } from './nvec.ts';

const FPREG_STRIDE = 16;

export function loadFx(cpu: X86Cpu, s: FxState): void {
  const top = (s.fsw >> 11) & 7;
  cpu.setEnv32(ENV.FPUC, s.fcw);
  cpu.setEnv32(ENV.FPUS, s.fsw & ~0x3800);
  for (let n = 0; n < 8; n++) cpu.e8[ENV.FPTAGS + n] = (s.ftw & (1 << n)) !== 0 ? 0 : 1;
  for (let n = 0; n < 8; n++) cpu.e8.set(s.st[n], ENV.FPREGS + ((top + n) & 7) * FPREG_STRIDE);
  for (let n = 0; n < 16; n++) cpu.e8.set(s.xmm[n], ENV.XMM + n * XMM_STRIDE);
  s.ymmHigh?.forEach((half, n) => cpu.e8.set(half, ENV.XMM + n * XMM_STRIDE + 16));
  cpu.setEnv32(ENV.MXCSR, s.mxcsr);
  // fast SSE: all masked, round to nearest, no FTZ or DAZ, precision flag already set
  const fast = (s.mxcsr & 0xffe0 & ~0x3f) === 0x1f80 && (s.mxcsr & 0x40) === 0 && (s.mxcsr & 0x20) !== 0;
  const pending = (s.fsw & ~s.fcw & 0x3f) !== 0;
  cpu.hflags =
    (cpu.hflags & ~(HF_TOP | HF_SSE_FAST | HF_FPU_ES)) |
    (top << HF_TOP_SHIFT) |
    (fast ? HF_SSE_FAST : 0) |
    (pending ? HF_FPU_ES : 0);
  cpu.updateHflags(); // HF_FPU_UNMASKED from FCW
}

/** 16 bytes of each vector register, from byte `at`. */
const vectors = (cpu: X86Cpu, at: number): Uint8Array[] =>
  Array.from({ length: 16 }, (_, n) => cpu.e8.slice(ENV.XMM + n * XMM_STRIDE + at, ENV.XMM + n * XMM_STRIDE + at + 16));

export function readFx(cpu: X86Cpu): Required<FxState> {
  const top = (cpu.hflags & HF_TOP) >>> HF_TOP_SHIFT;
  let ftw = 0;
  for (let n = 0; n < 8; n++) if (cpu.e8[ENV.FPTAGS + n] === 0) ftw |= 1 << n;
  return {
    fcw: cpu.env32(ENV.FPUC) & 0xffff,
    fsw: (cpu.env32(ENV.FPUS) & 0xc7ff) | (top << 11),
    ftw,
    mxcsr: cpu.env32(ENV.MXCSR),
    st: Array.from({ length: 8 }, (_, n) =>
      cpu.e8.slice(ENV.FPREGS + ((top + n) & 7) * FPREG_STRIDE, ENV.FPREGS + ((top + n) & 7) * FPREG_STRIDE + 10),
    ),
    xmm: vectors(cpu, 0),
    ymmHigh: vectors(cpu, 16),
  };
}

const hex = (b: Uint8Array): string =>
  [...b]
    .reverse()
    .map((x) => x.toString(16).padStart(2, '0'))
    .join('');

/** Value of an 80-bit number as double plus exact exponent, for tolerances; NaN for invalid and special encodings. */
function f80(b: Uint8Array): {
  readonly kind: 'nan' | 'inf' | 'finite';
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
} {
  const view = new DataView(b.buffer, b.byteOffset, 10);
  const significand = view.getBigUint64(0, true);
  const se = view.getUint16(8, true);
  const exponent = se & 0x7fff;
  const special = exponent === 0x7fff;
  return {
    kind: special ? ((significand << 1n) % (1n << 64n) === 0n ? 'inf' : 'nan') : 'finite',
    negative: se > 0x7fff,
    significand,
    exponent: Math.max(exponent, 1),
  };
}
/** |a - b| <= max(|b| * 2^-relative, 2^-absolute). */
function close(a: Uint8Array, b: Uint8Array, relative: number, absolute: number): boolean {
  const x = f80(a);
  const y = f80(b);
  if (x.kind !== 'finite' || y.kind !== 'finite')
    return x.kind === y.kind && (x.kind === 'nan' || x.negative === y.negative);
  const low = Math.min(x.exponent, y.exponent);
  if (Math.abs(x.exponent - y.exponent) > 200 && x.significand !== 0n && y.significand !== 0n) return false;
  const value = (v: typeof x): bigint =>
    v.significand === 0n ? 0n : (v.negative ? -1n : 1n) * (v.significand << BigInt(v.exponent - low));
  const d = value(x) - value(y);
  const distance = d < 0n ? -d : d;
  const size = value(y) < 0n ? -value(y) : value(y);
  if (distance << BigInt(relative) <= size) return true;
  // unit of `value` is 2^(low - 16383 - 63)
  const shift = 16383 + 63 - low - absolute;
  return shift >= 0 && distance <= 1n << BigInt(shift);
}
const SMALLEST_NORMAL = 2 ** -126;
/**
 * A zero where the other processor's approximation was just not tiny: between two bounds it is open whether a result is flushed.
 * SDM Vol. 2B "RCPPS".
 */
const flushed = (zero: number, other: number): boolean =>
  Object.is(zero, 0 * other) && Math.abs(other) <= SMALLEST_NORMAL * (1 + 1 / 1024);
function closeLanes(a: Uint8Array, b: Uint8Array): boolean {
  const x = new DataView(a.buffer, a.byteOffset, 16);
  const y = new DataView(b.buffer, b.byteOffset, 16);
  for (let k = 0; k < 16; k += 4) {
    const p = x.getFloat32(k, true);
    const q = y.getFloat32(k, true);
    if (Object.is(p, q) || (Number.isNaN(p) && Number.isNaN(q))) continue;
    if (flushed(p, q) || flushed(q, p)) continue;
    if (!(Math.abs(p - q) <= Math.abs(q) / 1024)) return false;
  }
  return true;
}

/** Differences as text, none when the state is as recorded. */
export function compareFx(
  got: Required<FxState>,
  want: FxState,
  undefinedFsw: number,
  tolerance: number,
  note: (text: string) => void,
): void {
  const word = (name: string, a: number, b: number): void => {
    if (a !== b) note(`${name} ${a.toString(16)}, recorded ${b.toString(16)}`);
  };
  word('FCW', got.fcw, want.fcw);
  word('FSW', got.fsw & ~undefinedFsw, want.fsw & ~undefinedFsw);
  word('FTW', got.ftw, want.ftw);
  word('MXCSR', got.mxcsr, want.mxcsr);
  const top = (want.fsw >> 11) & 7;
  for (let n = 0; n < 8; n++) {
    if (hex(got.st[n]) === hex(want.st[n])) continue;
    if (tolerance === 1 && close(got.st[n], want.st[n], 60, 16445)) continue;
    if (tolerance === 2 && ((want.ftw & (1 << ((top + n) & 7))) === 0 || close(got.st[n], want.st[n], 40, 44)))
      continue;
    note(`ST${n} ${hex(got.st[n])}, recorded ${hex(want.st[n])}`);
  }
  const lanes = (name: string, a: Uint8Array, b: Uint8Array): void => {
    if (hex(a) !== hex(b) && !(tolerance === 3 && closeLanes(a, b))) note(`${name} ${hex(a)}, recorded ${hex(b)}`);
  };
  for (let n = 0; n < 16; n++) {
    lanes(`XMM${n}`, got.xmm[n], want.xmm[n]);
    if (want.ymmHigh !== undefined) lanes(`YMM${n}`, got.ymmHigh[n], want.ymmHigh[n]);
  }
}
