/**
 * NaNs, unsupported encodings and the invalid response of the x87.
 * SDM Vol. 1 §4.8.3.5 table 4-7 (choice of the NaN), §8.2.2 table 8-3 (unsupported encodings), §8.5.1 (invalid operation).
 */
import { MSB, i32, k64, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import { DE, IE } from './flags.ts';
import { storeF80 } from './round.ts';

const QUIET_BIT = k64(0x40000000, 0);
const INDEFINITE_MANTISSA = k64(0xc0000000, 0);
const INDEFINITE_SIGN_EXP = 0xffff;

/** Exponent all ones and integer bit clear, or exponent not zero and integer bit clear: pseudo-NaN, -infinity, unnormal. */
export const isUnsupported = (mant: Expr, signExp: Expr): Expr => signExp.and(0x7fff).nz().and(mant.ge0());
/** Infinity or NaN (or unsupported with that exponent). */
export const isSpecial = (signExp: Expr): Expr => signExp.and(0x7fff).eq(0x7fff);
export const isNan = (mant: Expr, signExp: Expr): Expr => isSpecial(signExp).and(mant.shl(1).nz());
export const isSignalling = (mant: Expr): Expr => mant.and(QUIET_BIT).eqz();
export const isZero = (mant: Expr, signExp: Expr): Expr => signExp.and(0x7fff).eqz().and(mant.eqz());
export const isInfinity = (mant: Expr, signExp: Expr): Expr => isSpecial(signExp).and(mant.eq(MSB));
/** Denormal or pseudo-denormal. */
export const isDenormal = (mant: Expr, signExp: Expr): Expr => signExp.and(0x7fff).eqz().and(mant.nz());
/** A normal number: the operands of every fast path. */
export const isNormal = (signExp: Expr): Expr => signExp.and(0x7fff).sub(1).ltU(0x7ffe);

export interface NanFns {
  /** (dst, fcw) -> IE; stores the default NaN if IE is masked. */
  readonly invalid: FnRef;
  /** (dst, ma, sea, fcw) -> flags if `a` is a NaN or unsupported (result stored as masks allow), else -1. */
  readonly nan1: FnRef;
  /** (dst, ma, sea, mb, seb, fcw) -> the same for two operands. */
  readonly nan2: FnRef;
}

export function defineNan(lib: Lib): NanFns {
  const invalid = lib.fn('invalid', ['i32', 'i32'], ['i32'], (f, dst, fcw) => {
    f.if(fcw!.and(IE), () => storeF80(f, dst!, i32(INDEFINITE_SIGN_EXP), INDEFINITE_MANTISSA));
    f.ret(i32(IE));
  });
  const invalidReturn = (f: Fn, dst: Expr, fcw: Expr): void => {
    f.b
      .get((dst as Var).index)
      .get((fcw as Var).index)
      .call(invalid.index)
      .return_();
  };
  const nan1 = lib.fn('nan1', ['i32', 'i64', 'i32', 'i32'], ['i32'], (f, dst, ma, sea, fcw) => {
    f.if(isUnsupported(ma!, sea!), () => invalidReturn(f, dst!, fcw!));
    f.if(isNan(ma!, sea!), () => {
      const flags = f.i32(select(isSignalling(ma!), i32(IE), i32(0)));
      f.if(flags.and(fcw!.not()).eqz(), () => storeF80(f, dst!, sea!, ma!.or(QUIET_BIT)));
      f.ret(flags);
    });
    f.ret(i32(-1));
  });
  const nan2 = lib.fn('nan2', ['i32', 'i64', 'i32', 'i64', 'i32', 'i32'], ['i32'], (f, dst, ma, sea, mb, seb, fcw) => {
    f.if(isUnsupported(ma!, sea!).or(isUnsupported(mb!, seb!)), () => invalidReturn(f, dst!, fcw!));
    const nanA = f.i32(isNan(ma!, sea!));
    const nanB = f.i32(isNan(mb!, seb!));
    f.if(nanA.or(nanB).eqz(), () => f.ret(i32(-1)));
    const snanA = f.i32(nanA.and(isSignalling(ma!)));
    const snanB = f.i32(nanB.and(isSignalling(mb!)));
    const flags = f.i32(snanA.or(snanB));
    f.if(flags.and(fcw!.not()), () => f.ret(flags));
    // A quiet NaN is preferred over a signalling one; otherwise the larger significand, then the positive one.
    const takeB = f.i32(
      select(
        nanA.eqz(),
        i32(1),
        select(nanB.eqz(), i32(0), select(snanA.ne(snanB), snanA, select(ma!.eq(mb!), sea!.gtU(seb!), ma!.ltU(mb!)))),
      ),
    );
    storeF80(f, dst!, select(takeB, seb!, sea!), select(takeB, mb!, ma!).or(QUIET_BIT));
    f.ret(flags);
  });
  return { invalid, nan1, nan2 };
}

/** Returns DE at once (nothing stored) when a denormal operand was seen and DE is unmasked. */
export function raiseDenormal(f: Fn, flags: Var, fcw: Expr): void {
  f.if(flags.and(DE).and(fcw.not()), () => f.ret(flags));
}
