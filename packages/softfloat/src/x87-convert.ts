/** FLD and FST of f32 and f64, and the constants FLD1..FLDZ. SDM Vol. 1 §8.3.1-8.3.2; Vol. 2A "FLD", "FST", "FLD1...". */
import { MSB, i32, i64, k64, load, select, type Expr, type Fn, type Lib, type Var } from './emit.ts';
import { FCW_RC, IE, OE, PE, RC_NEAREST, RC_UP, UE } from './flags.ts';
import { F32, F64, F80_BIAS, type Format } from './formats.ts';
import { mxcsrFromFcw, storeF80, type RoundFns } from './round.ts';
import { expandF32, expandF64 } from './x87-expand.ts';
import { isNan, isSignalling, isSpecial, isUnsupported } from './x87-nan.ts';

export function defineX87Convert(lib: Lib, round: RoundFns): void {
  const quiet = k64(0x40000000, 0);
  for (const width of [32, 64] as const) {
    lib.export(`f80_from_f${width}`, 3, (f, dst, src, fcw) => {
      const m = f.i64();
      const se = f.i32();
      const flags = f.i32(0);
      if (width === 32) expandF32(f, load('i32_load', src!), m, se, flags);
      else expandF64(f, load('i64_load', src!), m, se, flags);
      f.if(isNan(m, se).and(isSignalling(m)), () => {
        f.if(fcw!.and(IE), () => storeF80(f, dst!, se, m.or(quiet)));
        f.ret(i32(IE));
      });
      storeF80(f, dst!, se, m);
      f.ret(flags);
    });
    defineStore(lib, round, width === 32 ? F32 : F64, dstStore(width));
  }
  defineConstants(lib);
}

const dstStore =
  (width: 32 | 64) =>
  (f: Fn, dst: Var, bits: Expr): void =>
    f.store(width === 32 ? 'i64_store32' : 'i64_store', dst, bits);

function defineStore(lib: Lib, round: RoundFns, fmt: Format, store: (f: Fn, dst: Var, bits: Expr) => void): void {
  const fractionBits = fmt.precision - 1;
  const drop = 64 - fmt.precision;
  const signBit = (se: Expr): Expr =>
    se
      .shr(15)
      .extU()
      .shl(fmt.name === 'f32' ? 31 : 63);
  const infinity = i64(fmt.maxExp).shl(fractionBits);
  lib.export(`f80_to_${fmt.name}`, 3, (f, dst, src, fcw) => {
    const m = f.i64(load('i64_load', src!));
    const se = f.i32(load('i32_load16_u', src!, 8));
    const e = f.i32(se.and(0x7fff).sub(F80_BIAS - fmt.bias));
    const flags = f.i32(0);
    const bits = f.i64();
    // Normal in, normal out, to nearest; `maxExp - 2` leaves room for the carry.
    f.if(
      m
        .ltS(0)
        .and(e.sub(1).ltU(fmt.maxExp - 2))
        .and(fcw!.and(FCW_RC).eqz()),
      () => {
        const rest = f.i64(m.shl(fmt.precision));
        const kept = f.i64(m.shr(drop));
        const up = f.i32(rest.gtU(MSB).or(rest.eq(MSB).and(kept.wrap().and(1))));
        store(f, dst!, kept.add(up.extU()).add(e.sub(1).extU().shl(fractionBits)).or(signBit(se)));
        f.ret(select(rest.eqz(), i32(0), up.shl(9).or(PE)));
      },
    );
    f.if(isUnsupported(m, se), () => {
      f.if(fcw!.and(IE), () => store(f, dst!, i64(-1).shl(fractionBits - 1)));
      f.ret(i32(IE));
    });
    f.if(isSpecial(se), () => {
      bits.set(infinity.or(signBit(se)));
      f.if(isNan(m, se), () => {
        flags.set(select(isSignalling(m), i32(IE), i32(0)));
        bits.set(bits.or(i64(1).shl(fractionBits - 1)).or(m.shl(1).shr(drop + 1)));
      });
      f.if(flags.and(fcw!.not()).eqz(), () => store(f, dst!, bits));
      f.ret(flags);
    });
    f.if(m.eqz(), () => {
      store(f, dst!, signBit(se));
      f.ret(i32(0));
    });
    // An 80-bit denormal is far below the range of the destination: its exact exponent no longer matters.
    f.if(m.ge0(), () => m.set(m.shl(m.clz())));
    f.callInto(round[fmt.name], [se.shr(15), e, m, i64(0), mxcsrFromFcw(fcw!)], [bits, flags]);
    // Unmasked OE or UE: memory is left alone (SDM Vol. 1 §8.5.4, §8.5.5) and, on recorded hardware, PE stays clear.
    const blocked = f.i32(flags.and(fcw!.not()).and(OE | UE));
    f.if(blocked, () => f.ret(blocked));
    store(f, dst!, bits);
    f.ret(flags);
  });
}

/** Significand rounded down, exponent, and whether rounding to nearest goes up. */
const CONSTANTS: readonly (readonly [hi: number, lo: number, exp: number, nearestUp: boolean, exact: boolean])[] = [
  [0x80000000, 0x00000000, 0x3fff, false, true], // 1
  [0xd49a784b, 0xcd1b8afe, 0x4000, false, false], // log2 10
  [0xb8aa3b29, 0x5c17f0bb, 0x3fff, true, false], // log2 e
  [0xc90fdaa2, 0x2168c234, 0x4000, true, false], // pi
  [0x9a209a84, 0xfbcff798, 0x3ffd, true, false], // log10 2
  [0xb17217f7, 0xd1cf79ab, 0x3ffe, true, false], // ln 2
  [0, 0, 0, false, true], // 0
];

function defineConstants(lib: Lib): void {
  lib.export('f80_const', 3, (f, dst, index, fcw) => {
    const rc = f.i32(fcw!.shr(10).and(3));
    CONSTANTS.forEach(([hi, lo, exp, nearestUp, exact], i) => {
      f.if(index!.eq(i), () => {
        const up = exact ? i32(0) : nearestUp ? rc.eq(RC_NEAREST).or(rc.eq(RC_UP)) : rc.eq(RC_UP);
        storeF80(f, dst!, i32(exp), k64(hi, lo).add(up.extU()));
      });
    });
    f.ret(i32(0));
  });
}
