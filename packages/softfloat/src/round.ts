/**
 * Rounding of an exact intermediate result to its destination: 80-bit (x87, with precision control) and f16/f32/f64.
 *
 * Intermediate form everywhere: sign, exponent `e` biased like the destination but unbounded, significand hi:lo with
 * the top bit of hi set; lo holds the exact fraction below hi, or at least its order against 0 and one half.
 * Tininess is detected after rounding. SDM Vol. 1 §4.8.4 "Rounding", §4.9.1.4-4.9.1.6, §8.5.4-8.5.6.
 */
import { MSB, i32, i64, k64, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import {
  C1,
  FCW_PC,
  FCW_PC_64,
  FCW_RC,
  MXCSR_FTZ,
  MXCSR_MASK_SHIFT,
  MXCSR_RC_SHIFT,
  OE,
  PE,
  RC_NEAREST,
  RC_DOWN,
  RC_UP,
  UE,
} from './flags.ts';
import { F16, F32, F64, F80_EXP_ADJUST, F80_MAX_EXP, topBit, type Format } from './formats.ts';
import { shiftRightJam } from './wide.ts';

/** Should the magnitude be incremented? `odd` is the last kept bit, `lo` the fraction dropped. */
export function roundsUp(rc: Expr, negative: Expr, odd: Expr, lo: Expr): Expr {
  const nearest = lo.gtU(MSB).or(lo.eq(MSB).and(odd));
  const directed = lo.nz().and(select(negative, rc.eq(RC_DOWN), rc.eq(RC_UP)));
  return select(rc.eq(RC_NEAREST), nearest, directed);
}

export function storeF80(f: Fn, dst: Expr, signExp: Expr, mant: Expr): void {
  f.store('i64_store', dst, mant);
  f.store('i32_store16', dst, signExp, 8);
}

export interface RoundFns {
  /** (dst, sign 0/0x8000, e, hi, lo, fcw) -> flags. Stores the result. */
  readonly f80: FnRef;
  /** (sign 0/1, e, hi, lo, mxcsr) -> (bits, flags with C1). */
  readonly f16: FnRef;
  readonly f32: FnRef;
  readonly f64: FnRef;
}

export function defineRound(lib: Lib): RoundFns {
  return {
    f80: defineRoundF80(lib),
    f16: defineRoundIeee(lib, F16),
    f32: defineRoundIeee(lib, F32),
    f64: defineRoundIeee(lib, F64),
  };
}

function defineRoundF80(lib: Lib): FnRef {
  return lib.fn('round_f80', ['i32', 'i32', 'i32', 'i64', 'i64', 'i32'], ['i32'], (f, dst, sign, e, hi, lo, fcw) => {
    const rc = f.i32(fcw!.shr(10).and(3));
    const negative = sign!.nz();
    const pc = f.i32(fcw!.and(FCW_PC));
    /** Value of the last kept bit of hi. */
    const ulp = f.i64(1);
    const flags = f.i32(0);
    const rounded = f.i32();
    const precisionCut = (): void => {
      f.if(
        pc.eq(0x200),
        () => {
          lo!.set(hi!.shl(53).or(lo!.nz().extU()));
          ulp.set(0x800);
        },
        () => {
          f.if(pc.eqz(), () => {
            lo!.set(hi!.shl(24).or(lo!.nz().extU()));
            ulp.set(k64(0x100, 0));
          });
        },
      );
      hi!.set(hi!.and(ulp.neg()));
    };
    const roundHere = (): void => {
      rounded.set(roundsUp(rc, negative, hi!.and(ulp).nz(), lo!));
      hi!.set(hi!.add(select(rounded, ulp, i64(0))));
    };
    const carryOut = (): void => {
      f.if(hi!.eqz(), () => {
        hi!.set(MSB);
        e!.set(e!.add(1));
      });
    };
    const inexact = (): Expr => select(lo!.nz(), select(rounded, i32(PE | C1), i32(PE)), i32(0));

    f.if(e!.leS(0), () => {
      // Tiny unless rounding at full range carries up to the smallest normal number.
      const savedHi = f.i64(hi!);
      const savedLo = f.i64(lo!);
      precisionCut();
      roundHere();
      f.if(e!.nz().or(hi!.nz()), () => {
        f.if(fcw!.and(UE).eqz(), () => {
          carryOut();
          flags.set(inexact().or(UE));
          e!.set(e!.add(F80_EXP_ADJUST));
          f.if(e!.gtS(0), () => {
            storeF80(f, dst!, e!.or(sign!), hi!);
            f.ret(flags);
          });
          // FSCALE can be out of reach even of the adjusted range: then zero (SDM Vol. 1 §8.5.5), whatever RC says.
          storeF80(f, dst!, sign!, i64(0));
          f.ret(i32(UE | PE));
        });
        flags.set(UE);
      });
      hi!.set(savedHi);
      lo!.set(savedLo);
      const n = f.i32(i32(1).sub(e!));
      shiftRightJam(f, hi!, lo!, n);
      precisionCut();
      roundHere();
      storeF80(f, dst!, select(hi!.ltS(0), i32(1), i32(0)).or(sign!), hi!);
      f.ret(select(lo!.nz(), inexact().or(flags), i32(0)));
    });

    precisionCut();
    roundHere();
    carryOut();
    flags.set(inexact());
    f.if(e!.ltS(F80_MAX_EXP), () => {
      storeF80(f, dst!, e!.or(sign!), hi!);
      f.ret(flags);
    });
    f.if(fcw!.and(OE).eqz(), () => {
      e!.set(e!.sub(F80_EXP_ADJUST));
      f.if(e!.ltS(F80_MAX_EXP), () => {
        storeF80(f, dst!, e!.or(sign!), hi!);
        f.ret(flags.or(OE));
      });
      // FSCALE again: infinity (SDM Vol. 1 §8.5.4).
      storeF80(f, dst!, sign!.or(F80_MAX_EXP), MSB);
      f.ret(i32(OE | PE | C1));
    });
    const toInfinity = f.i32(rc.eq(RC_NEAREST).or(rc.eq(select(negative, i32(RC_DOWN), i32(RC_UP)))));
    f.if(toInfinity, () => {
      storeF80(f, dst!, sign!.or(F80_MAX_EXP), MSB);
      f.ret(i32(OE | PE | C1));
    });
    storeF80(f, dst!, sign!.or(F80_MAX_EXP - 1), ulp.neg());
    f.ret(i32(OE | PE));
  });
}

function defineRoundIeee(lib: Lib, fmt: Format): FnRef {
  const drop = 64 - fmt.precision;
  const fractionBits = fmt.precision - 1;
  return lib.fn(
    `round_${fmt.name}`,
    ['i32', 'i32', 'i64', 'i64', 'i32'],
    ['i64', 'i32'],
    (f, sign, e, hi, lo, mxcsr) => {
      const rc = f.i32(mxcsr!.shr(MXCSR_RC_SHIFT).and(3));
      const negative = sign!;
      const signBit = f.i64(sign!.extU().shl(topBit(fmt)));
      /** Kept bits, right-aligned. */
      const kept = f.i64();
      const rounded = f.i32();
      const flags = f.i32(0);
      const roundHere = (): void => {
        lo!.set(hi!.shl(fmt.precision).or(lo!.nz().extU()));
        kept.set(hi!.shr(drop));
        rounded.set(roundsUp(rc, negative, kept.wrap().and(1), lo!));
        kept.set(kept.add(rounded.extU()));
      };
      const inexact = (): Expr => select(lo!.nz(), select(rounded, i32(PE | C1), i32(PE)), i32(0));

      f.if(e!.leS(0), () => {
        const savedHi = f.i64(hi!);
        const savedLo = f.i64(lo!);
        roundHere();
        f.if(e!.nz().or(kept.shr(fmt.precision).eqz()), () => {
          f.if(mxcsr!.and(UE << MXCSR_MASK_SHIFT).eqz(), () => f.ret(i64(0), inexact().or(UE)));
          f.if(mxcsr!.and(MXCSR_FTZ), () => f.ret(signBit, i32(UE | PE)));
          flags.set(UE);
        });
        hi!.set(savedHi);
        lo!.set(savedLo);
        const n = f.i32(i32(1).sub(e!));
        shiftRightJam(f, hi!, lo!, n);
        roundHere();
        // A carry into the hidden bit makes the exponent field 1 by itself.
        f.ret(kept.or(signBit), select(lo!.nz(), inexact().or(flags), i32(0)));
      });

      roundHere();
      f.if(kept.shr(fmt.precision).nz(), () => {
        kept.set(kept.shr(1));
        e!.set(e!.add(1));
      });
      f.if(e!.ltS(fmt.maxExp), () => {
        // The hidden bit in `kept` adds one to the exponent field.
        f.ret(kept.add(e!.sub(1).extU().shl(fractionBits)).or(signBit), inexact());
      });
      // Unmasked overflow: nothing is stored, but whether the result was inexact still shows.
      f.if(mxcsr!.and(OE << MXCSR_MASK_SHIFT).eqz(), () => f.ret(i64(0), inexact().or(OE)));
      const infinity = f.i64(i64(fmt.maxExp).shl(fractionBits));
      const toInfinity = rc.eq(RC_NEAREST).or(rc.eq(select(negative, i32(RC_DOWN), i32(RC_UP))));
      f.if(toInfinity, () => f.ret(infinity.or(signBit), i32(OE | PE | C1)));
      f.ret(infinity.sub(1).or(signBit), i32(OE | PE));
    },
  );
}

/** The x87 control word's masks and rounding control in their MXCSR positions, for stores to f32 and f64. */
export function mxcsrFromFcw(fcw: Expr): Expr {
  return fcw.and(0x3f).shl(MXCSR_MASK_SHIFT).or(fcw.and(FCW_RC).shl(3));
}

/**
 * Stores a result in the common case (64-bit precision, round to nearest, exponent well inside the range) and returns;
 * falls through to `round_f80` otherwise. Hot path.
 */
export function finishF80(f: Fn, r: RoundFns, dst: Var, sign: Expr, e: Var, hi: Var, lo: Var, fcw: Var): void {
  f.if(
    fcw
      .and(FCW_PC | FCW_RC)
      .eq(FCW_PC_64)
      .and(e.sub(1).ltU(F80_MAX_EXP - 2)),
    () => {
      f.if(lo.eqz(), () => {
        storeF80(f, dst, e.or(sign), hi);
        f.ret(i32(0));
      });
      const up = f.i64(
        lo
          .gtU(MSB)
          .or(lo.eq(MSB).and(hi.wrap().and(1)))
          .extU(),
      );
      hi.set(hi.add(up));
      f.if(hi.eqz(), () => {
        hi.set(MSB);
        e.set(e.add(1));
      });
      storeF80(f, dst, e.or(sign), hi);
      f.ret(up.wrap().shl(9).or(PE));
    },
  );
  f.b.get(dst.index);
  sign.gen(f.b);
  f.b.get(e.index).get(hi.index).get(lo.index).get(fcw.index).call(r.f80.index).return_();
}
