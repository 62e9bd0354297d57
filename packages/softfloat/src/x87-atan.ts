/**
 * FPATAN: the ratio is reduced by a table of atan(j/32), then a Taylor series in 128-bit arithmetic.
 * SDM Vol. 1 §8.3.8; Vol. 2A "FPATAN" table 3-30 for zeros and infinities.
 */
import { call, f64, i32, i64, load, select, type Expr, type Fn, type Lib, type Var } from './emit.ts';
import { newUnpacked, unpackF80, type Unpacked } from './arith.ts';
import { DE, FCW_PC_64 } from './flags.ts';
import { F80_BIAS } from './formats.ts';
import { ATAN, ATAN_SERIES, PI } from './gen/constants.ts';
import { storeF80 } from './round.ts';
import {
  addPair,
  defineTable,
  divWf,
  hiWord,
  horner,
  loWord,
  newPair,
  newWf,
  normalize,
  scaleBy,
  setPair,
  subPair,
  toFraction,
  type Pair,
  type Wf,
  type WideFloatFns,
} from './wide-float.ts';
import { mulWide, shiftRightJam } from './wide.ts';
import type { X87Core } from './x87-arith.ts';
import { isDenormal, isInfinity, isZero, raiseDenormal } from './x87-nan.ts';

/** Beyond this exponent distance the ratio cannot reach 1/32. */
const TABLE_REACH = 6;

export function defineX87Atan(lib: Lib, c: X87Core, w: WideFloatFns): void {
  const table = defineTable(lib, 'atan_table', ATAN);
  lib.export('f80_atan', 4, (f, dst, ySrc, xSrc, fcw) => {
    const my = f.i64(load('i64_load', ySrc!));
    const sey = f.i32(load('i32_load16_u', ySrc!, 8));
    const mx = f.i64(load('i64_load', xSrc!));
    const sex = f.i32(load('i32_load16_u', xSrc!, 8));
    // ST(0) = x is the first operand of the instruction.
    const special = f.i32(call(c.nan.nan2, dst!, mx, sex, my, sey, fcw!));
    f.if(special.ge0(), () => f.ret(special));
    const flags = f.i32(select(isDenormal(mx, sex).or(isDenormal(my, sey)), i32(DE), i32(0)));
    raiseDenormal(f, flags, fcw!);
    const sign = f.i32(sey.and(0x8000));
    const xNegative = f.i32(sex.shr(15));
    const r = newWf(f);
    const finish = (): void => {
      const more = call(c.round.f80, dst!, sign, r.e.add(F80_BIAS), r.hi, r.lo, fcw!.or(FCW_PC_64));
      f.ret(more.or(flags));
    };
    const zero = (): void => {
      storeF80(f, dst!, sign, i64(0));
      f.ret(flags);
    };
    /** r = quarters * pi/4. */
    const piQuarters = (quarters: Expr): void => {
      setPair(r, hiWord(PI), loWord(PI));
      const n = f.i32(quarters);
      f.if(
        n.eq(3),
        () => {
          // 3 pi/4 = pi - pi/4.
          r.e.set(1);
          subPair(f, r, hiWord(PI).shr(2), loWord(PI).shr(2).or(hiWord(PI).shl(62)));
        },
        () => r.e.set(select(n.eq(4), i32(1), select(n.eq(2), i32(0), i32(-1)))),
      );
      finish();
    };
    const infX = f.i32(isInfinity(mx, sex));
    f.if(isInfinity(my, sey), () => piQuarters(select(infX, select(xNegative, i32(3), i32(1)), i32(2))));
    f.if(isZero(my, sey).or(infX), () => f.if(xNegative, () => piQuarters(i32(4)), zero));
    f.if(isZero(mx, sex), () => piQuarters(i32(2)));

    const y = newUnpacked(f);
    const x = newUnpacked(f);
    unpackF80(f, my, sey, y);
    unpackF80(f, mx, sex, x);
    const swapped = f.i32(y.e.gtS(x.e).or(y.e.eq(x.e).and(y.m.gtU(x.m))));
    f.if(swapped, () => swapUnpacked(f, x, y));
    atanRatio(f, w, table, y, x, r);
    // Angle in the first octant; now the quadrant. A tiny angle only leaves a sticky bit in pi or pi/2.
    f.if(swapped.or(xNegative), () => {
      const angle = newPair(f);
      setPair(angle, r.hi, r.lo);
      const down = f.i32(i32(1).sub(r.e));
      shiftRightJam(f, angle.hi, angle.lo, down);
      // All with 126 fraction bits: pi/2 -/+ angle when swapped, pi - angle otherwise.
      setPair(r, hiWord(PI), loWord(PI));
      r.e.set(1);
      f.if(swapped, () => {
        r.lo.set(r.lo.shr(1).or(r.hi.shl(63)));
        r.hi.set(r.hi.shr(1));
      });
      f.if(
        swapped.and(xNegative),
        () => addPair(f, r, angle.hi, angle.lo),
        () => subPair(f, r, angle.hi, angle.lo),
      );
      normalize(f, r);
    });
    r.lo.set(r.lo.or(1));
    finish();
  });
}

function swapUnpacked(f: Fn, a: Unpacked, b: Unpacked): void {
  const e = f.i32(a.e);
  const m = f.i64(a.m);
  a.e.set(b.e);
  a.m.set(b.m);
  b.e.set(e);
  b.m.set(m);
}

/** r = atan(a / b), 0 < a <= b. */
function atanRatio(
  f: Fn,
  w: WideFloatFns,
  table: Parameters<Fn['callInto']>[0],
  a: Unpacked,
  b: Unpacked,
  r: Wf,
): void {
  const num = newWf(f);
  const den = newWf(f);
  const j = f.i32(0);
  const distance = f.i32(b.e.sub(a.e));
  setPair(num, a.m, i64(0));
  num.e.set(a.e);
  setPair(den, b.m, i64(0));
  den.e.set(b.e);
  f.if(distance.leS(TABLE_REACH), () => {
    // j / 32 just below the ratio: the estimate is held down so that the remaining angle is never negative.
    const ratio = f.f64(a.m.un('f64_convert_i64_u', 'f64').div(b.m.un('f64_convert_i64_u', 'f64')));
    const scaled = ratio.mul(
      i64(1023 + 5)
        .sub(distance.extU())
        .shl(52)
        .un('f64_reinterpret_i64', 'f64'),
    );
    j.set(scaled.sub(f64(2 ** -20)).un('i32_trunc_f64_s', 'i32'));
    f.if(
      j.gtS(0),
      () => {
        // num = 32 a - j b, den = 32 b + j a, in units where b has 58 bits below it.
        const wide = f.i64(j.extU());
        const bigA = newPair(f);
        const bigB = newPair(f);
        setPair(bigA, a.m.shr(6), a.m.shl(58));
        shiftRightJam(f, bigA.hi, bigA.lo, distance);
        setPair(bigB, b.m.shr(6), b.m.shl(58));
        times32(bigA, num);
        times32(bigB, den);
        const jb = timesSmall(f, bigB, wide);
        subPair(f, num, jb.hi, jb.lo);
        const ja = timesSmall(f, bigA, wide);
        addPair(f, den, ja.hi, ja.lo);
        num.e.set(0);
        den.e.set(0);
        normalize(f, num);
        normalize(f, den);
      },
      () => j.set(0),
    );
  });
  divWf(f, w, num, den, r);
  const z = newPair(f);
  const q = newPair(f);
  toFraction(f, r, z);
  f.callInto(w.mul, [z.hi, z.lo, z.hi, z.lo], [z.hi, z.lo]);
  horner(f, w, z, ATAN_SERIES, true, q);
  scaleBy(f, w, r, q, true);
  f.if(j.nz(), () => {
    toFraction(f, r, z);
    f.callInto(table, [j], [r.hi, r.lo]);
    addPair(f, r, z.hi, z.lo);
    r.e.set(-1);
    normalize(f, r);
  });
}

function times32(p: Pair, out: Pair): void {
  setPair(out, p.hi.shl(5).or(p.lo.shr(59)), p.lo.shl(5));
}

/** p * n for n < 64 where the product fits 128 bits. */
function timesSmall(f: Fn, p: Pair, n: Var): Pair {
  const out = newPair(f);
  mulWide(f, p.lo, n, out.hi, out.lo);
  out.hi.set(out.hi.add(p.hi.mul(n)));
  return out;
}
