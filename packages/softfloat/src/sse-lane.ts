/**
 * What every SSE function shares: operand classes of f32/f64 bits, DAZ, unpacking, and the loop over lanes.
 *
 * A lane function is (a, b, mxcsr) -> (bits, flags); bits of narrow lanes sit in the low half of an i64.
 * SDM Vol. 1 §11.5.2 (exceptions, pre- and post-computation), §11.5.3 (packed combination), §10.2.3.3-4 (FTZ, DAZ).
 */
import { i32, i64, load, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import type { Unpacked } from './arith.ts';
import { DE, IE, MXCSR_DAZ, MXCSR_MASK_SHIFT, ZE } from './flags.ts';
import { topBit, type Format } from './formats.ts';

const PRE_COMPUTATION = IE | DE | ZE;
const ALL_EXCEPTIONS = 0x3f;

export const fractionBits = (t: Format): number => t.precision - 1;
export const signBit = (t: Format): Expr => i64(1).shl(topBit(t));
export const infinityBits = (t: Format): Expr => i64(t.maxExp).shl(fractionBits(t));
export const quietBit = (t: Format): Expr => i64(1).shl(fractionBits(t) - 1);
/** The default NaN: quiet, sign set. */
export const defaultNan = (t: Format): Expr => (t.name === 'f32' ? i64(0xffc00000) : i64(-1).shl(51));
export const magnitude = (t: Format, v: Expr): Expr =>
  t.name === 'f64' ? v.shl(1).shr(1) : v.and(i64(2 ** topBit(t) - 1));
export const expField = (t: Format, v: Expr): Expr => v.shr(fractionBits(t)).wrap().and(t.maxExp);
export const isNegative = (t: Format, v: Expr): Expr => v.shr(topBit(t)).wrap();
export const isNan = (t: Format, v: Expr): Expr => magnitude(t, v).gtU(infinityBits(t));
export const isInfinity = (t: Format, v: Expr): Expr => magnitude(t, v).eq(infinityBits(t));
export const isZero = (t: Format, v: Expr): Expr => magnitude(t, v).eqz();
export const isSignalling = (t: Format, v: Expr): Expr => isNan(t, v).and(v.and(quietBit(t)).eqz());
export const isDenormal = (t: Format, v: Expr): Expr => expField(t, v).eqz().and(isZero(t, v).eqz());

/** DAZ: a denormal operand becomes a zero of its sign, silently. */
export function applyDaz(f: Fn, t: Format, v: Var, mxcsr: Expr): void {
  f.if(mxcsr.and(MXCSR_DAZ).nz().and(expField(t, v).eqz()), () => v.set(v.and(signBit(t))));
}

/** DE for any denormal among `vs`; leaves with (0, DE) at once when DE is unmasked. */
export function denormalFlag(f: Fn, t: Format, vs: readonly Var[], mxcsr: Expr): Var {
  const any = vs.map((v) => isDenormal(t, v)).reduce((x, y) => x.or(y));
  const flags = f.i32(any.shl(1));
  f.if(flags.and(mxcsr.shr(MXCSR_MASK_SHIFT).not()), () => f.ret(i64(0), flags));
  return flags;
}

/** Two-operand NaN rule: the first operand if it is a NaN, else the second, made quiet. SDM Vol. 1 table 4-7. */
export function nanResult(f: Fn, t: Format, a: Var, b: Var): void {
  f.if(isNan(t, a).or(isNan(t, b)), () => {
    f.ret(select(isNan(t, a), a, b).or(quietBit(t)), isSignalling(t, a).or(isSignalling(t, b)));
  });
}

/** Splits finite non-zero bits; denormals are normalised. The sign becomes 0 or 1. */
export function unpackIeee(f: Fn, t: Format, v: Var, u: Unpacked): void {
  u.sign.set(isNegative(t, v));
  u.e.set(expField(t, v));
  u.m.set(v.shl(64 - fractionBits(t)).shr(1));
  f.if(
    u.e.nz(),
    () => u.m.set(u.m.or(i64(1).shl(63))),
    () => {
      const n = f.i64(u.m.clz());
      u.m.set(u.m.shl(n));
      u.e.set(i32(1).sub(n.wrap()));
    },
  );
}

export interface LaneShape {
  readonly from: 16 | 32 | 64;
  readonly to: 16 | 32 | 64;
}

/**
 * The body of an exported lane function: `lane(i)` gives the (bits, flags) call of one lane at byte offset `at`.
 * Results are collected first, so `dst` may be a source, and nothing is stored when an unmasked exception occurred.
 * An unmasked pre-computation exception in any lane hides the post-computation flags of all.
 */
export function lanesBody(
  f: Fn,
  shape: LaneShape,
  dst: Var,
  lanes: Expr,
  mxcsr: Expr | undefined,
  lane: (at: Expr, bits: Var, flags: Var) => void,
): void {
  const max = 128 / Math.max(shape.from, shape.to);
  const count = f.i32(select(lanes.ltU(max), lanes, i32(max)));
  const i = f.i32(0);
  const flags = f.i32(0);
  const low = f.i64(0);
  const high = f.i64(0);
  const bits = f.i64();
  const more = f.i32();
  f.while(i.ltU(count), () => {
    lane(i.shl(Math.log2(shape.from) - 3), bits, more);
    flags.set(flags.or(more));
    if (shape.to === 64)
      f.if(
        i,
        () => high.set(bits),
        () => low.set(bits),
      );
    else if (shape.to === 16) low.set(low.or(bits.shl(i.shl(4).extU())));
    else {
      bits.set(bits.shl(i.and(1).shl(5).extU()));
      f.if(
        i.ltU(2),
        () => low.set(low.or(bits)),
        () => high.set(high.or(bits)),
      );
    }
    i.set(i.add(1));
  });
  flags.set(flags.and(ALL_EXCEPTIONS));
  if (mxcsr !== undefined) {
    const unmasked = f.i32(flags.and(mxcsr.shr(MXCSR_MASK_SHIFT).not()));
    f.if(unmasked, () => f.ret(select(unmasked.and(PRE_COMPUTATION), flags.and(PRE_COMPUTATION), flags)));
  }
  if (shape.to === 64) {
    f.if(count, () => f.store('i64_store', dst, low));
    f.if(count.gtU(1), () => f.store('i64_store', dst, high, 8));
  } else if (shape.to === 16) {
    for (let n = 0; n < max; n++) f.if(count.gtU(n), () => f.store('i64_store16', dst, low.shr(16 * n), 2 * n));
  } else {
    f.if(
      count.eq(1),
      () => f.store('i64_store32', dst, low),
      () => f.if(count, () => f.store('i64_store', dst, low)),
    );
    f.if(
      count.eq(3),
      () => f.store('i64_store32', dst, high, 8),
      () => f.if(count.eq(4), () => f.store('i64_store', dst, high, 8)),
    );
  }
  f.ret(flags);
}

/** One lane from memory, zero-extended. */
export const loadLane = (width: 16 | 32 | 64, addr: Expr): Expr =>
  load(width === 64 ? 'i64_load' : `i64_load${width}_u`, addr);

export const width = (t: Format): 16 | 32 | 64 => (8 * t.bytes) as 16 | 32 | 64;

/** Exports (dst, a, b, lanes, mxcsr) over a two-operand lane function. */
export function exportBinary(lib: Lib, name: string, t: Format, lane: FnRef): void {
  lib.export(name, 5, (f, dst, a, b, lanes, mxcsr) => {
    lanesBody(f, { from: width(t), to: width(t) }, dst!, lanes!, mxcsr!, (at, bits, flags) => {
      f.callInto(lane, [loadLane(width(t), a!.add(at)), loadLane(width(t), b!.add(at)), mxcsr!], [bits, flags]);
    });
  });
}

/** Exports (dst, a, lanes, mxcsr) over a one-operand lane function (a, mxcsr). */
export function exportUnary(lib: Lib, name: string, shape: LaneShape, lane: FnRef): void {
  lib.export(name, 4, (f, dst, a, lanes, mxcsr) => {
    lanesBody(f, shape, dst!, lanes!, mxcsr!, (at, bits, flags) => {
      f.callInto(lane, [loadLane(shape.from, a!.add(at)), mxcsr!], [bits, flags]);
    });
  });
}
