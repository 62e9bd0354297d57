/**
 * Rounding to integers: FIST/FISTP/FISTTP, FRNDINT, FBSTP; and the loads FILD, FBLD.
 * SDM Vol. 1 §8.3.4, §4.7 (packed BCD, table 4-4 for the indefinite), Vol. 2A "FIST" table of invalid cases.
 */
import { call, i32, i64, k64, load, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import { C1, DE, IE, PE, RC_ZERO } from './flags.ts';
import { F80_BIAS } from './formats.ts';
import { roundsUp, storeF80 } from './round.ts';
import { isDenormal, isUnsupported, isZero, raiseDenormal, type NanFns } from './x87-nan.ts';

/** Exponent of a significand read as an integer. */
const INTEGER_EXP = F80_BIAS + 63;
/** 10^18 - 1, the largest packed BCD value. */
const BCD_LIMIT = k64(0x0de0b6b3, 0xa763ffff);

export function defineX87Integer(lib: Lib, nan: NanFns): void {
  // (m, se, rc) -> (magnitude, PE | C1). IE instead when |value| >= 2^64, or not finite or unsupported.
  const roundInt = lib.fn('round_int', ['i64', 'i32', 'i32'], ['i64', 'i32'], (f, m, se, rc) => {
    const shift = f.i32(i32(INTEGER_EXP).sub(se!.and(0x7fff)));
    f.if(isUnsupported(m!, se!).or(shift.ltS(0)), () => f.ret(i64(0), i32(IE)));
    f.if(shift.eqz(), () => f.ret(m!, i32(0)));
    const w = f.i64(shift.extU());
    const mag = f.i64(0);
    const fraction = f.i64();
    f.if(
      shift.ltU(64),
      () => {
        mag.set(m!.shr(w));
        fraction.set(m!.shl(w.neg()));
      },
      () => {
        fraction.set(select(shift.eq(64), m!, m!.nz().extU()));
      },
    );
    const up = f.i32(roundsUp(rc!, se!.shr(15), mag.wrap().and(1), fraction));
    f.ret(mag.add(up.extU()), select(fraction.eqz(), i32(0), select(up, i32(PE | C1), i32(PE))));
  });

  const operand = (f: Fn, src: Var): { m: Var; se: Var } => ({
    m: f.i64(load('i64_load', src)),
    se: f.i32(load('i32_load16_u', src, 8)),
  });
  const rounding = (fcw: Expr): Expr => fcw.shr(10).and(3);

  for (const bits of [16, 32, 64] as const) {
    const store = bits === 64 ? 'i64_store' : bits === 32 ? 'i64_store32' : 'i64_store16';
    lib.export(`f80_to_i${bits}`, 4, (f, dst, src, fcw, trunc) => {
      const { m, se } = operand(f, src!);
      const mag = f.i64();
      const flags = f.i32();
      f.callInto(roundInt, [m, se, select(trunc!, i32(RC_ZERO), rounding(fcw!))], [mag, flags]);
      const limit = i64(1)
        .shl(bits - 1)
        .sub(1)
        .add(se.shr(15).extU());
      f.if(flags.and(IE).or(mag.gtU(limit)), () => {
        f.if(fcw!.and(IE), () => f.store(store, dst!, i64(1).shl(bits - 1)));
        f.ret(i32(IE));
      });
      // PE alone, even unmasked, does not keep the result back.
      f.store(store, dst!, select(se.and(0x8000), mag.neg(), mag));
      f.ret(flags);
    });
    lib.export(`f80_from_i${bits}`, 2, (f, dst, src) => {
      const v = f.i64(
        bits === 64 ? load('i64_load', src!) : load(bits === 32 ? 'i32_load' : 'i32_load16_s', src!).extS(),
      );
      const negative = f.i32(v.ltS(0));
      storeInteger(f, dst!, negative.shl(15), f.i64(select(negative, v.neg(), v)));
    });
  }

  lib.export('f80_rndint', 3, (f, dst, src, fcw) => {
    const { m, se } = operand(f, src!);
    const special = f.i32(call(nan.nan1, dst!, m, se, fcw!));
    f.if(special.ge0(), () => f.ret(special));
    const flags = f.i32(select(isDenormal(m, se), i32(DE), i32(0)));
    raiseDenormal(f, flags, fcw!);
    f.if(se.and(0x7fff).geU(INTEGER_EXP).or(isZero(m, se)), () => {
      storeF80(f, dst!, se, m);
      f.ret(flags);
    });
    const mag = f.i64();
    const more = f.i32();
    f.callInto(roundInt, [m, se, rounding(fcw!)], [mag, more]);
    storeIntegerInline(f, dst!, se.and(0x8000), mag);
    f.ret(flags.or(more));
  });

  defineBcd(lib, roundInt);
}

/** Stores sign and magnitude as f80. */
function storeIntegerInline(f: Fn, dst: Var, sign: Expr, mag: Var): void {
  const n = f.i64(mag.clz());
  f.if(
    mag.eqz(),
    () => storeF80(f, dst, sign, i64(0)),
    () => {
      storeF80(f, dst, i32(INTEGER_EXP).sub(n.wrap()).or(sign), mag.shl(n));
    },
  );
}

function storeInteger(f: Fn, dst: Var, sign: Expr, mag: Var): void {
  storeIntegerInline(f, dst, sign, mag);
  f.ret(i32(0));
}

function defineBcd(lib: Lib, roundInt: FnRef): void {
  lib.export('f80_from_bcd', 2, (f, dst, src) => {
    const mag = f.i64(0);
    const i = f.i32(9);
    const sign = f.i32(load('i32_load8_u', src!, 9).and(0x80).shl(8));
    f.while(i.nz(), () => {
      i.set(i.sub(1));
      const byte = f.i64(load('i64_load8_u', src!.add(i)));
      mag.set(mag.mul(100).add(byte.shr(4).mul(10)).add(byte.and(15)));
    });
    storeInteger(f, dst!, sign, mag);
  });
  lib.export('f80_to_bcd', 3, (f, dst, src, fcw) => {
    const m = f.i64(load('i64_load', src!));
    const se = f.i32(load('i32_load16_u', src!, 8));
    const mag = f.i64();
    const flags = f.i32();
    f.callInto(roundInt, [m, se, fcw!.shr(10).and(3)], [mag, flags]);
    f.if(flags.and(IE).or(mag.gtU(BCD_LIMIT)), () => {
      f.if(fcw!.and(IE), () => {
        f.store('i64_store', dst!, k64(0xc0000000, 0));
        f.store('i32_store16', dst!, 0xffff, 8);
      });
      f.ret(i32(IE));
    });
    const i = f.i32(0);
    f.while(i.ltU(9), () => {
      const pair = f.i32(mag.remU(100).wrap());
      mag.set(mag.divU(100));
      f.store('i32_store8', dst!.add(i), pair.divU(10).shl(4).or(pair.remU(10)));
      i.set(i.add(1));
    });
    f.store('i32_store8', dst!, se.shr(8).and(0x80), 9);
    f.ret(flags);
  });
}
