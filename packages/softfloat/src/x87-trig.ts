/**
 * FSIN, FCOS, FSINCOS, FPTAN: argument reduction by the x87's 66-bit pi, then Taylor series in 128-bit arithmetic.
 * SDM Vol. 1 §8.3.8 (the 66-bit pi and its consequences), §8.3.10; Vol. 2A tables of results.
 */
import { MSB, call, i32, i64, k64, load, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import { newUnpacked, unpackF80 } from './arith.ts';
import { C2, DE, FCW_PC_64 } from './flags.ts';
import { F80_BIAS } from './formats.ts';
import { COS, SIN } from './gen/constants.ts';
import { storeF80 } from './round.ts';
import {
  addPair,
  copyWf,
  divWf,
  horner,
  negatePair,
  newPair,
  newWf,
  normalize,
  scaleBy,
  setPair,
  subPair,
  toFraction,
  type WideFloatFns,
} from './wide-float.ts';
import type { X87Core } from './x87-arith.ts';
import { isDenormal, isInfinity, isZero, raiseDenormal } from './x87-nan.ts';

/** floor(pi * 2^64), the 66 bits C90FDAA2 2168C234 C (hex digits 4-4-...-2 bits) of SDM Vol. 1 §8.3.8; also pi/2 * 2^65. */
const PI66_HI = 3;
const PI66_LO = k64(0x243f6a88, 0x85a308d3);
/** pi/4 as an 80-bit number rounded down: arguments up to here need no reduction. */
const QUARTER_PI_EXP = F80_BIAS - 1;
const QUARTER_PI_MANTISSA = k64(0xc90fdaa2, 0x2168c234);

interface TrigFns {
  /** (m, e) of |x| < 2^63 -> (quadrant, negative, e, hi, lo): x = quadrant * pi/2 +/- r, 0 < r <= pi/4. */
  readonly reduce: FnRef;
  /** (e, hi, lo) of r -> (e, hi, lo) of sin r. */
  readonly sin: FnRef;
  readonly cos: FnRef;
}

export function defineX87Trig(lib: Lib, c: X87Core, w: WideFloatFns): void {
  const fns: TrigFns = { reduce: defineReduce(lib), sin: defineSin(lib, w), cos: defineCos(lib, w) };
  for (const name of ['sin', 'cos'] as const) {
    lib.export(`f80_${name}`, 3, (f, dst, a, fcw) => {
      const x = head(f, c, fns, dst!, undefined, a!, fcw!, (m, se) => {
        storeF80(f, dst!, name === 'sin' ? se : i32(F80_BIAS), name === 'sin' ? m : MSB);
      });
      f.ret(roundResult(f, c, dst!, fns, x, name === 'sin' ? 0 : 1, fcw!).or(x.flags));
    });
  }
  lib.export('f80_sincos', 4, (f, dstSin, dstCos, a, fcw) => {
    const x = head(f, c, fns, dstSin!, dstCos!, a!, fcw!, (m, se) => {
      storeF80(f, dstSin!, se, m);
      storeF80(f, dstCos!, i32(F80_BIAS), MSB);
    });
    const flags = f.i32(roundResult(f, c, dstSin!, fns, x, 0, fcw!));
    f.ret(flags.or(roundResult(f, c, dstCos!, fns, x, 1, fcw!)).or(x.flags));
  });
  lib.export('f80_tan', 4, (f, dstTan, dstOne, a, fcw) => {
    const x = head(f, c, fns, dstTan!, dstOne!, a!, fcw!, (m, se) => {
      storeF80(f, dstTan!, se, m);
      storeF80(f, dstOne!, i32(F80_BIAS), MSB);
    });
    const s = newWf(f);
    const k = newWf(f);
    const q = newWf(f);
    f.callInto(fns.sin, [x.e, x.hi, x.lo], [s.e, s.hi, s.lo]);
    f.callInto(fns.cos, [x.e, x.hi, x.lo], [k.e, k.hi, k.lo]);
    // Odd quadrants: tan(pi/2 + r) = -cos r / sin r.
    f.if(x.quadrant.and(1), () => {
      copyWf(q, s);
      copyWf(s, k);
      copyWf(k, q);
    });
    divWf(f, w, s, k, q);
    // Both were cut off downwards; for a tiny x the quotient must not fall below x (tan x > x).
    addPair(f, q, i64(0), i64(8));
    f.if(q.hi.eqz(), () => {
      q.hi.set(MSB);
      q.e.set(q.e.add(1));
    });
    const sign = x.sign.xor(x.quadrant.and(1)).shl(15);
    storeF80(f, dstOne!, i32(F80_BIAS), MSB);
    f.ret(call(c.round.f80, dstTan!, sign, q.e.add(F80_BIAS), q.hi, q.lo.or(1), fcw!.or(FCW_PC_64)).or(x.flags));
  });
}

interface Reduced {
  readonly flags: Var;
  /** Sign of x, and sign of r with respect to x's quadrant, combined: the sign of r. */
  readonly sign: Var;
  /** Sign of x alone. */
  readonly xSign: Var;
  readonly quadrant: Var;
  readonly e: Var;
  readonly hi: Var;
  readonly lo: Var;
}

/** Special operands (returns from the function), then the reduction. `onZero` stores the results for +-0. */
function head(
  f: Fn,
  c: X87Core,
  fns: TrigFns,
  dst: Var,
  dst2: Var | undefined,
  a: Var,
  fcw: Var,
  onZero: (m: Var, se: Var) => void,
): Reduced {
  const m = f.i64(load('i64_load', a));
  const se = f.i32(load('i32_load16_u', a, 8));
  const special = f.i32(call(c.nan.nan1, dst, m, se, fcw));
  const both = (flags: Var): void => {
    if (dst2 !== undefined)
      f.if(flags.and(fcw.not()).and(1).eqz(), () =>
        storeF80(f, dst2, load('i32_load16_u', dst, 8), load('i64_load', dst)),
      );
    f.ret(flags);
  };
  f.if(special.ge0(), () => both(special));
  f.if(isInfinity(m, se), () => {
    special.set(call(c.nan.invalid, dst, fcw));
    both(special);
  });
  f.if(isZero(m, se), () => {
    onZero(m, se);
    f.ret(i32(0));
  });
  f.if(se.and(0x7fff).geU(F80_BIAS + 63), () => f.ret(i32(C2)));
  const flags = f.i32(select(isDenormal(m, se), i32(DE), i32(0)));
  raiseDenormal(f, flags, fcw);
  const u = newUnpacked(f);
  unpackF80(f, m, se, u);
  const x: Reduced = {
    flags,
    sign: f.i32(),
    xSign: f.i32(u.sign.shr(15)),
    quadrant: f.i32(),
    e: f.i32(),
    hi: f.i64(),
    lo: f.i64(),
  };
  f.callInto(fns.reduce, [u.m, u.e], [x.quadrant, x.sign, x.e, x.hi, x.lo]);
  x.sign.set(x.sign.xor(x.xSign));
  return x;
}

/** Rounds and stores sin (shift 0) or cos (shift 1) of the reduced argument: both are one of them, one quadrant apart. */
function roundResult(f: Fn, c: X87Core, dst: Var, fns: TrigFns, x: Reduced, shift: 0 | 1, fcw: Expr): Expr {
  const r = newWf(f);
  const quadrant = f.i32(x.quadrant.add(shift));
  // sin(-x) = -sin x, cos(-x) = cos x: work on |x|, whose r has the sign `sign ^ xSign`.
  const rSign = x.sign.xor(x.xSign);
  const sign = f.i32();
  f.if(
    quadrant.and(1),
    () => {
      f.callInto(fns.cos, [x.e, x.hi, x.lo], [r.e, r.hi, r.lo]);
      sign.set(0);
    },
    () => {
      f.callInto(fns.sin, [x.e, x.hi, x.lo], [r.e, r.hi, r.lo]);
      sign.set(rSign);
    },
  );
  sign.set(sign.xor(quadrant.shr(1).and(1)));
  if (shift === 0) sign.set(sign.xor(x.xSign));
  return call(c.round.f80, dst, sign.shl(15), r.e.add(F80_BIAS), r.hi, r.lo, fcw.or(FCW_PC_64));
}

function defineReduce(lib: Lib): FnRef {
  return lib.fn('reduce_pi', ['i64', 'i32'], ['i32', 'i32', 'i32', 'i64', 'i64'], (f, m, e) => {
    f.if(e!.ltS(QUARTER_PI_EXP).or(e!.eq(QUARTER_PI_EXP).and(m!.leU(QUARTER_PI_MANTISSA))), () => {
      f.ret(i32(0), i32(0), e!.sub(F80_BIAS), m!, i64(0));
    });
    // In units of 2^-65: x = m << (e - bias + 2), pi/2 = P. Long division, one quotient bit a step; P > 2^65 > m.
    const steps = f.i32(e!.sub(F80_BIAS - 2));
    const q = f.i32(0);
    const rem = newPair(f);
    setPair(rem, i64(0), m!);
    f.while(steps.nz(), () => {
      steps.set(steps.sub(1));
      rem.hi.set(rem.hi.shl(1).or(rem.lo.shr(63)));
      rem.lo.set(rem.lo.shl(1));
      q.set(q.shl(1));
      f.if(rem.hi.gtU(PI66_HI).or(rem.hi.eq(PI66_HI).and(rem.lo.geU(PI66_LO))), () => {
        subPair(f, rem, i64(PI66_HI), PI66_LO);
        q.set(q.or(1));
      });
    });
    // Nearest multiple: use P - rem when it is smaller.
    const other = newPair(f);
    const negative = f.i32(0);
    setPair(other, i64(PI66_HI), PI66_LO);
    subPair(f, other, rem.hi, rem.lo);
    f.if(other.hi.ltU(rem.hi).or(other.hi.eq(rem.hi).and(other.lo.ltU(rem.lo))), () => {
      setPair(rem, other.hi, other.lo);
      negative.set(1);
      q.set(q.add(1));
    });
    // rem * 2^-65 as a Wf: its 128-bit integer has e = 127 - 65. Never zero: P is odd and larger than any significand.
    const r = { e: f.i32(62), hi: rem.hi, lo: rem.lo };
    normalize(f, r);
    f.ret(q, negative, r.e, r.hi, r.lo);
  });
}

/** The square of r <= pi/4 as a fraction. */
function square(f: Fn, w: WideFloatFns, r: { e: Var; hi: Var; lo: Var }): ReturnType<typeof newPair> {
  const z = newPair(f);
  toFraction(f, r, z);
  f.callInto(w.mul, [z.hi, z.lo, z.hi, z.lo], [z.hi, z.lo]);
  return z;
}

function defineSin(lib: Lib, w: WideFloatFns): FnRef {
  return lib.fn('sin_kernel', ['i32', 'i64', 'i64'], ['i32', 'i64', 'i64'], (f, e, hi, lo) => {
    const r = { e: e!, hi: hi!, lo: lo! };
    const q = newPair(f);
    horner(f, w, square(f, w, r), SIN, true, q);
    scaleBy(f, w, r, q, true);
    f.ret(r.e, r.hi, r.lo);
  });
}

function defineCos(lib: Lib, w: WideFloatFns): FnRef {
  return lib.fn('cos_kernel', ['i32', 'i64', 'i64'], ['i32', 'i64', 'i64'], (f, e, hi, lo) => {
    const q = newPair(f);
    horner(f, w, square(f, w, { e: e!, hi: hi!, lo: lo! }), COS, true, q);
    // 1 - q, a little less for what was cut off; q <= 0.3, so the top bit is set.
    q.lo.set(q.lo.or(1));
    negatePair(q);
    f.ret(i32(-1), q.hi, q.lo);
  });
}
