/**
 * F2XM1, FYL2X, FYL2XP1: table reduction, then series in 128-bit arithmetic.
 * SDM Vol. 1 §8.3.10; Vol. 2A "F2XM1", "FYL2X", "FYL2XP1" and their tables of results.
 *
 * log2 m = log2 c + (2 / ln 2) atanh((m - c) / (m + c)) with c the nearest j/64; 2^x = 2^(k/32) e^t.
 * Outside the range an instruction is defined for (|x| > 1; |x| > 1 - sqrt(1/2)) the result is still sensible.
 */
import { MSB, call, i32, i64, k64, load, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import { newUnpacked, unpackF80 } from './arith.ts';
import { DE, FCW_PC_64, PE, ZE } from './flags.ts';
import { F80_BIAS } from './formats.ts';
import { ATAN_SERIES, EXP2, EXPM1, LN2, LOG2, TWO_OVER_LN2 } from './gen/constants.ts';
import { storeF80 } from './round.ts';
import {
  addPair,
  defineTable,
  divWf,
  hiWord,
  horner,
  loWord,
  mulWf,
  negatePair,
  newPair,
  newWf,
  normalize,
  scaleBy,
  setPair,
  subPair,
  toFraction,
  type Wf,
  type WideFloatFns,
} from './wide-float.ts';
import { mulWide, shiftRightJam } from './wide.ts';
import type { X87Core } from './x87-arith.ts';
import { isDenormal, isInfinity, isZero, raiseDenormal } from './x87-nan.ts';

const LOG_TABLE_FIRST = 45;
/** sqrt(2) * 2^63: significands above it are halved so that log2 m stays within 1/2. */
const SQRT2 = k64(0xb504f333, 0xf9de6484);
/** Fraction bits of a sum n + log2 c + ...: n has up to 15 bits and a sign. */
const SUM_FRACTION = 111;

export function defineX87ExpLog(lib: Lib, c: X87Core, w: WideFloatFns): void {
  define2xm1(lib, c, w);
  const tail = defineLogTail(lib, w);
  defineYl2x(lib, c, tail);
  defineYl2xp1(lib, c, tail);
}

function define2xm1(lib: Lib, c: X87Core, w: WideFloatFns): void {
  const table = defineTable(lib, 'exp2_table', EXP2);
  lib.export('f80_2xm1', 3, (f, dst, a, fcw) => {
    const m = f.i64(load('i64_load', a!));
    const se = f.i32(load('i32_load16_u', a!, 8));
    const special = f.i32(call(c.nan.nan1, dst!, m, se, fcw!));
    f.if(special.ge0(), () => f.ret(special));
    const store = (signExp: Expr, mant: Expr, flags: Expr): void => {
      storeF80(f, dst!, signExp, mant);
      f.ret(flags);
    };
    f.if(isZero(m, se), () => store(se, m, i32(0)));
    const negative = f.i32(se.shr(15));
    f.if(isInfinity(m, se), () => store(select(negative, i32(0x8000 | F80_BIAS), i32(0x7fff)), MSB, i32(0)));
    const flags = f.i32(select(isDenormal(m, se), i32(DE), i32(0)));
    raiseDenormal(f, flags, fcw!);
    // 2^1 - 1 = 1, 2^-1 - 1 = -1/2; beyond, undefined: the operand is left as it is. PE as recorded hardware has it.
    f.if(se.and(0x7fff).geU(F80_BIAS), () => {
      const one = m.eq(MSB).and(se.and(0x7fff).eq(F80_BIAS));
      store(select(one.and(negative), i32(0x8000 | (F80_BIAS - 1)), se), m, flags.or(PE));
    });
    const u = newUnpacked(f);
    unpackF80(f, m, se, u);
    const t = newWf(f);
    const q = newPair(f);
    const k = f.i32(0);
    setPair(t, u.m, i64(0));
    t.e.set(u.e.sub(F80_BIAS));
    const whole = f.i32(0);
    // |x| >= 1/32: the leading five bits select the table entry.
    f.if(t.e.geS(-5), () => {
      toFraction(f, t, q);
      k.set(q.hi.shr(59).wrap());
      setPair(t, q.hi.shl(5).shr(5), q.lo);
      t.e.set(-1);
      whole.set(t.hi.or(t.lo).eqz());
      f.if(whole.eqz(), () => normalize(f, t));
    });
    const result = newWf(f);
    const p = newPair(f);
    f.if(whole.eqz(), () => {
      const ln2 = newWf(f);
      setPair(ln2, hiWord(LN2), loWord(LN2));
      ln2.e.set(-1);
      mulWf(f, w, t, ln2, t);
      toFraction(f, t, p);
      horner(f, w, p, EXPM1, negative, q);
      scaleBy(f, w, t, q, negative);
    });
    f.if(
      k.eqz(),
      () => {
        result.e.set(t.e);
        setPair(result, t.hi, t.lo);
      },
      () => {
        // With T = 2^(k/32) (or 2^(-k/32), halved from the table): (T - 1) + T u, or its negative (1 - T) + T u.
        f.callInto(table, [select(negative, i32(32).sub(k), k)], [result.hi, result.lo]);
        f.if(negative, () => {
          result.lo.set(result.lo.shr(1).or(result.hi.shl(63)));
          result.hi.set(result.hi.shr(1));
        });
        setPair(p, i64(0), i64(0));
        f.if(whole.eqz(), () => {
          toFraction(f, t, q);
          f.callInto(w.mul, [result.hi, result.lo, q.hi, q.lo], [p.hi, p.lo]);
        });
        subPair(f, result, MSB, i64(0));
        f.if(negative, () => negatePair(result));
        addPair(f, result, p.hi, p.lo);
        result.e.set(0);
        normalize(f, result);
      },
    );
    const more = call(
      c.round.f80,
      dst!,
      negative.shl(15),
      result.e.add(F80_BIAS),
      result.hi,
      result.lo.or(1),
      fcw!.or(FCW_PC_64),
    );
    f.ret(more.or(flags));
  });
}

/**
 * (sign, ne, nHi, nLo, de, dHi, dLo, j, n) -> (sign, e, hi, lo, inexact): n + log2(j/64) + (2/ln2) atanh(sign * num/den),
 * num may be zero. A zero sum comes back with hi = 0.
 */
function defineLogTail(lib: Lib, w: WideFloatFns): FnRef {
  const table = defineTable(lib, 'log2_table', LOG2);
  return lib.fn(
    'log2_tail',
    ['i32', 'i32', 'i64', 'i64', 'i32', 'i64', 'i64', 'i32', 'i32'],
    ['i32', 'i32', 'i64', 'i64', 'i32'],
    (f, sign, ne, nHi, nLo, de, dHi, dLo, j, n) => {
      const s = newWf(f);
      const z = newPair(f);
      const q = newPair(f);
      const exact = f.i32(nHi!.or(nLo!).eqz());
      f.if(exact.eqz(), () => {
        divWf(f, w, { e: ne!, hi: nHi!, lo: nLo! }, { e: de!, hi: dHi!, lo: dLo! }, s);
        toFraction(f, s, z);
        f.callInto(w.mul, [z.hi, z.lo, z.hi, z.lo], [z.hi, z.lo]);
        horner(f, w, z, ATAN_SERIES, false, q);
        scaleBy(f, w, s, q, false);
        const factor = newWf(f);
        setPair(factor, hiWord(TWO_OVER_LN2), loWord(TWO_OVER_LN2));
        factor.e.set(1);
        mulWf(f, w, s, factor, s);
        s.lo.set(s.lo.or(1));
        f.if(n!.eqz().and(j!.eq(64)), () => f.ret(sign!, s.e, s.hi, s.lo, i32(1)));
      });
      // Signed sum with SUM_FRACTION fraction bits.
      const sum: Wf = newWf(f);
      setPair(sum, n!.extS().shl(SUM_FRACTION - 64), i64(0));
      f.if(j!.ne(64), () => {
        f.callInto(table, [j!.sub(LOG_TABLE_FIRST)], [z.hi, z.lo]);
        const down = f.i32(128 - SUM_FRACTION);
        shiftRightJam(f, z.hi, z.lo, down);
        f.if(j!.ltU(64), () => negatePair(z));
        addPair(f, sum, z.hi, z.lo);
      });
      f.if(exact.eqz(), () => {
        setPair(z, s.hi, s.lo);
        const down = f.i32(i32(127 - SUM_FRACTION).sub(s.e));
        shiftRightJam(f, z.hi, z.lo, down);
        f.if(sign!, () => negatePair(z));
        addPair(f, sum, z.hi, z.lo);
      });
      const negative = f.i32(sum.hi.ltS(0));
      f.if(negative, () => negatePair(sum));
      sum.e.set(127 - SUM_FRACTION);
      f.if(sum.hi.or(sum.lo).nz(), () => normalize(f, sum));
      f.ret(negative, sum.e, sum.hi, sum.lo, exact.eqz().or(j!.ne(64)));
    },
  );
}

/** y * L rounded and stored; `sign` is that of L. */
function finishProduct(
  f: Fn,
  c: X87Core,
  dst: Var,
  sey: Var,
  my: Var,
  l: Wf,
  sign: Expr,
  inexact: Expr,
  flags: Expr,
  fcw: Expr,
): void {
  const y = newUnpacked(f);
  unpackF80(f, my, sey, y);
  const hi = f.i64();
  const lo = f.i64();
  const p = newPair(f);
  const resultSign = f.i32(sign.shl(15).xor(sey.and(0x8000)));
  f.if(l.hi.eqz(), () => {
    storeF80(f, dst, resultSign, i64(0));
    f.ret(flags);
  });
  mulWide(f, y.m, l.hi, hi, lo);
  mulWide(f, y.m, l.lo, p.hi, p.lo);
  const r: Wf = { e: f.i32(y.e.add(l.e).add(1)), hi, lo };
  addPair(f, r, i64(0), p.hi);
  lo.set(lo.or(inexact.extU()));
  normalize(f, r);
  // PE even where y is multiplied by an exact power of two's logarithm, as recorded hardware has it.
  f.ret(call(c.round.f80, dst, resultSign, r.e, hi, lo, fcw.or(FCW_PC_64)).or(flags).or(PE));
}

/** |num| = |m - c| and den = m + c with c = j/64, from a 128-bit m of 126 fraction bits; j from its leading bits. */
function centre(f: Fn, mHi: Expr, mLo: Expr): { sign: Var; num: Wf; den: Wf; j: Var } {
  const num = newWf(f);
  const den = newWf(f);
  const j = f.i32(mHi.shr(55).add(1).shr(1).wrap());
  const cHi = f.i64(j.extU().shl(56));
  setPair(num, mHi.sub(cHi), mLo);
  const sign = f.i32(num.hi.ltS(0));
  f.if(sign, () => negatePair(num));
  setPair(den, mHi.add(cHi), mLo);
  num.e.set(1);
  den.e.set(1);
  f.if(num.hi.or(num.lo).nz(), () => normalize(f, num));
  normalize(f, den);
  return { sign, num, den, j };
}

function defineYl2x(lib: Lib, c: X87Core, tail: FnRef): void {
  lib.export('f80_yl2x', 4, (f, dst, xSrc, ySrc, fcw) => {
    const mx = f.i64(load('i64_load', xSrc!));
    const sex = f.i32(load('i32_load16_u', xSrc!, 8));
    const my = f.i64(load('i64_load', ySrc!));
    const sey = f.i32(load('i32_load16_u', ySrc!, 8));
    const special = f.i32(call(c.nan.nan2, dst!, mx, sex, my, sey, fcw!));
    f.if(special.ge0(), () => f.ret(special));
    const invalid = (): void => f.ret(call(c.nan.invalid, dst!, fcw!));
    const zeroY = f.i32(isZero(my, sey));
    const infY = f.i32(isInfinity(my, sey));
    const ySign = f.i32(sey.and(0x8000));
    const infinity = (sign: Expr): void => storeF80(f, dst!, sign.or(0x7fff), MSB);
    f.if(isZero(mx, sex), () => {
      f.if(zeroY, invalid);
      f.if(infY, () => {
        infinity(ySign.xor(0x8000));
        f.ret(i32(0));
      });
      f.if(fcw!.and(ZE), () => infinity(ySign.xor(0x8000)));
      f.ret(i32(ZE));
    });
    f.if(sex.and(0x8000), invalid);
    const isOne = sex.eq(F80_BIAS).and(mx.eq(MSB));
    f.if(infY.and(isOne), invalid);
    const infX = f.i32(isInfinity(mx, sex));
    f.if(infX.and(zeroY), invalid);
    const flags = f.i32(select(isDenormal(mx, sex).or(isDenormal(my, sey)), i32(DE), i32(0)));
    raiseDenormal(f, flags, fcw!);
    const below = f.i32(sex.ltU(F80_BIAS).shl(15));
    f.if(infX.or(infY), () => {
      infinity(ySign.xor(below));
      f.ret(flags);
    });
    f.if(zeroY, () => {
      storeF80(f, dst!, ySign.xor(below), i64(0));
      f.ret(flags);
    });
    const x = newUnpacked(f);
    unpackF80(f, mx, sex, x);
    const n = f.i32(x.e.sub(F80_BIAS));
    // m in (0.707, 1.414], 126 fraction bits: the significand alone has 63.
    const mHi = f.i64(x.m.shr(1));
    const mLo = f.i64(x.m.shl(63));
    f.if(x.m.gtU(SQRT2), () => {
      n.set(n.add(1));
      mHi.set(x.m.shr(2));
      mLo.set(x.m.shl(62));
    });
    const m = centre(f, mHi, mLo);
    const l = newWf(f);
    const sign = f.i32();
    const inexact = f.i32();
    f.callInto(
      tail,
      [m.sign, m.num.e, m.num.hi, m.num.lo, m.den.e, m.den.hi, m.den.lo, m.j, n],
      [sign, l.e, l.hi, l.lo, inexact],
    );
    finishProduct(f, c, dst!, sey, my, l, sign, inexact, flags, fcw!);
  });
}

function defineYl2xp1(lib: Lib, c: X87Core, tail: FnRef): void {
  lib.export('f80_yl2xp1', 4, (f, dst, xSrc, ySrc, fcw) => {
    const mx = f.i64(load('i64_load', xSrc!));
    const sex = f.i32(load('i32_load16_u', xSrc!, 8));
    const my = f.i64(load('i64_load', ySrc!));
    const sey = f.i32(load('i32_load16_u', ySrc!, 8));
    const special = f.i32(call(c.nan.nan2, dst!, mx, sex, my, sey, fcw!));
    f.if(special.ge0(), () => f.ret(special));
    const invalid = (): void => f.ret(call(c.nan.invalid, dst!, fcw!));
    const zeroY = f.i32(isZero(my, sey));
    const infY = f.i32(isInfinity(my, sey));
    const zeroX = f.i32(isZero(mx, sex));
    const infX = f.i32(isInfinity(mx, sex));
    const negative = f.i32(sex.shr(15));
    const sign = f.i32(sex.xor(sey).and(0x8000));
    const exp = f.i32(sex.and(0x7fff));
    f.if(infY.and(zeroX).or(infX.and(zeroY)), invalid);
    f.if(infX.and(negative), invalid);
    const flags = f.i32(select(isDenormal(mx, sex).or(isDenormal(my, sey)), i32(DE), i32(0)));
    raiseDenormal(f, flags, fcw!);
    f.if(infX.or(infY), () => {
      storeF80(f, dst!, sign.or(0x7fff), MSB);
      f.ret(flags);
    });
    f.if(zeroX.or(zeroY), () => {
      storeF80(f, dst!, sign, i64(0));
      f.ret(flags);
    });
    // x <= -1 has no logarithm and no defined result; recorded hardware gives x.
    f.if(negative.and(exp.geU(F80_BIAS)), () => {
      storeF80(f, dst!, sex, mx);
      f.ret(flags.or(PE));
    });
    const x = newUnpacked(f);
    unpackF80(f, mx, sex, x);
    const l = newWf(f);
    const lSign = f.i32();
    const inexact = f.i32();
    const e = f.i32(x.e.sub(F80_BIAS));
    const result = (m: { sign: Expr; num: Wf; den: Wf; j: Expr }, n: Expr): void => {
      f.callInto(
        tail,
        [m.sign, m.num.e, m.num.hi, m.num.lo, m.den.e, m.den.hi, m.den.lo, m.j, n],
        [lSign, l.e, l.hi, l.lo, inexact],
      );
      finishProduct(f, c, dst!, sey, my, l, lSign, inexact, flags, fcw!);
    };
    const add = newPair(f);
    const m = newPair(f);
    const n = f.i32(0);
    /** m += or -= x by its sign. */
    const addX = (): void =>
      f.if(
        negative,
        () => subPair(f, m, add.hi, add.lo),
        () => addPair(f, m, add.hi, add.lo),
      );
    setPair(add, x.m, i64(0));
    const down = f.i32(i32(1).sub(e));
    // Near zero: c = 1, and x itself is the numerator, to full relative precision; den = 2 + x with 126 fraction bits.
    f.if(e.ltS(-7), () => {
      const num: Wf = { e, hi: x.m, lo: f.i64(0) };
      shiftRightJam(f, add.hi, add.lo, down);
      setPair(m, MSB, i64(0));
      addX();
      const den: Wf = { e: f.i32(1), hi: m.hi, lo: m.lo };
      normalize(f, den);
      result({ sign: negative, num, den, j: i32(64) }, i32(0));
    });
    setPair(m, i64(1).shl(62), i64(0));
    f.if(
      e.ltS(0),
      () => shiftRightJam(f, add.hi, add.lo, down),
      () => {
        // Beyond the defined range: (1 + x) / 2^e.
        setPair(add, x.m.shr(1), x.m.shl(63));
        n.set(e);
        shiftRightJam(f, m.hi, m.lo, e);
      },
    );
    addX();
    f.while(m.hi.gtU(SQRT2.shr(1)), () => {
      setPair(m, m.hi.shr(1), m.lo.shr(1).or(m.hi.shl(63)));
      n.set(n.add(1));
    });
    f.while(m.hi.leU(SQRT2.shr(2)), () => {
      m.hi.set(m.hi.shl(1).or(m.lo.shr(63)));
      m.lo.set(m.lo.shl(1));
      n.set(n.sub(1));
    });
    result(centre(f, m.hi, m.lo), n);
  });
}
