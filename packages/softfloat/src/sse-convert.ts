/** The CVT and CVTT family and ROUNDPS/PD/SS/SD on lanes. SDM Vol. 1 §11.4.1.6, §4.8.4.2; Vol. 2 under each. */
import { i32, i64, select, type Expr, type Fn, type FnRef, type Lib } from './emit.ts';
import { newUnpacked } from './arith.ts';
import { IE, MXCSR_FTZ, MXCSR_RC_SHIFT, PE, RC_ZERO } from './flags.ts';
import { F16, F32, F64, topBit, type Format } from './formats.ts';
import { roundsUp, type RoundFns } from './round.ts';
import {
  applyDaz,
  denormalFlag,
  expField,
  exportUnary,
  fractionBits,
  infinityBits,
  isInfinity,
  isNan,
  isNegative,
  isSignalling,
  isZero,
  lanesBody,
  loadLane,
  magnitude,
  quietBit,
  signBit,
  unpackIeee,
  width,
} from './sse-lane.ts';

export function defineSseConvert(lib: Lib, round: RoundFns): void {
  defineWidth(lib, round, F32, F64);
  defineWidth(lib, round, F64, F32);
  defineWidth(lib, round, F16, F32);
  defineToHalf(lib, round);
  for (const t of [F32, F64]) {
    for (const bits of [32, 64] as const) {
      exportUnary(lib, `sse_cvt_i${bits}_${t.name}`, { from: bits, to: width(t) }, defineFromInt(lib, round, t, bits));
      exportUnary(lib, `sse_cvt_${t.name}_i${bits}`, { from: width(t), to: bits }, defineToInt(lib, t, bits, false));
      exportUnary(lib, `sse_cvtt_${t.name}_i${bits}`, { from: width(t), to: bits }, defineToInt(lib, t, bits, true));
    }
    defineRoundLanes(lib, t);
  }
}

/** (a, mxcsr) -> (bits, flags). Half-precision operands know neither DAZ nor DE (SDM Vol. 2C "VCVTPH2PS"). */
function defineWidthLane(lib: Lib, round: RoundFns, from: Format, to: Format): FnRef {
  return lib.fn(`cvt_${from.name}_${to.name}`, ['i64', 'i32'], ['i64', 'i32'], (f, a, mxcsr) => {
    if (from !== F16) applyDaz(f, from, a!, mxcsr!);
    const sign = f.i64(isNegative(from, a!).extU().shl(topBit(to)));
    const gap = fractionBits(to) - fractionBits(from);
    const moved =
      gap > 0
        ? a!.shl(64 - fractionBits(from)).shr(64 - fractionBits(to))
        : a!.shl(64 - fractionBits(from)).shr(64 - fractionBits(from) - gap);
    f.if(isNan(from, a!), () => f.ret(sign.or(infinityBits(to)).or(quietBit(to)).or(moved), isSignalling(from, a!)));
    f.if(isInfinity(from, a!), () => f.ret(sign.or(infinityBits(to)), i32(0)));
    f.if(isZero(from, a!), () => f.ret(sign, i32(0)));
    const flags = from === F16 ? i32(0) : denormalFlag(f, from, [a!], mxcsr!);
    const u = newUnpacked(f);
    unpackIeee(f, from, a!, u);
    const bits = f.i64();
    const more = f.i32();
    f.callInto(round[to.name], [u.sign, u.e.add(to.bias - from.bias), u.m, 0, mxcsr!], [bits, more]);
    f.ret(bits, flags.or(more));
  });
}
function defineWidth(lib: Lib, round: RoundFns, from: Format, to: Format): void {
  const lane = defineWidthLane(lib, round, from, to);
  exportUnary(lib, `sse_cvt_${from.name}_${to.name}`, { from: width(from), to: width(to) }, lane);
}
/** VCVTPS2PH: imm8 chooses the rounding, bit 2 that of MXCSR; FTZ does nothing. SDM Vol. 2C "VCVTPS2PH". */
function defineToHalf(lib: Lib, round: RoundFns): void {
  const lane = defineWidthLane(lib, round, F32, F16);
  lib.export('sse_cvt_f32_f16', 4, (f, dst, src, lanesImm, mxcsr) => {
    const imm = lanesImm!.shr(8);
    const rc = select(imm.and(4), mxcsr!.shr(MXCSR_RC_SHIFT), imm).and(3);
    const control = f.i32(mxcsr!.and(~(MXCSR_FTZ | (3 << MXCSR_RC_SHIFT))).or(rc.shl(MXCSR_RC_SHIFT)));
    lanesBody(f, { from: 32, to: 16 }, dst!, lanesImm!.and(0xff), mxcsr!, (at, bits, flags) => {
      f.callInto(lane, [loadLane(32, src!.add(at)), control], [bits, flags]);
    });
  });
}

function defineFromInt(lib: Lib, round: RoundFns, t: Format, bits: 32 | 64): FnRef {
  return lib.fn(`cvt_i${bits}_${t.name}`, ['i64', 'i32'], ['i64', 'i32'], (f, a, mxcsr) => {
    const v = f.i64(bits === 32 ? a!.wrap().extS() : a!);
    f.if(v.eqz(), () => f.ret(i64(0), i32(0)));
    const negative = f.i32(v.ltS(0));
    const mag = f.i64(select(negative, v.neg(), v));
    const n = f.i64(mag.clz());
    const out = f.i64();
    const flags = f.i32();
    f.callInto(round[t.name], [negative, i32(t.bias + 63).sub(n.wrap()), mag.shl(n), 0, mxcsr!], [out, flags]);
    f.ret(out, flags);
  });
}

/** Rounds finite, non-NaN bits to an integer magnitude; `big` is set instead when it is 2^64 or more. */
function integerOf(f: Fn, t: Format, a: Expr, rc: Expr): { mag: Expr; inexact: Expr; big: Expr } {
  const exp = f.i32(expField(t, a));
  const mag = f.i64(0);
  const fraction = f.i64(0);
  const big = f.i32(exp.geU(t.bias + 64));
  f.if(big.eqz(), () => {
    const m = f.i64(
      a
        .shl(64 - fractionBits(t))
        .shr(1)
        .or(exp.nz().extU().shl(63)),
    );
    const shift = f.i32(i32(t.bias + 63).sub(exp));
    const w = f.i64(shift.extU());
    f.if(
      shift.ltU(64),
      () => {
        mag.set(m.shr(w));
        fraction.set(select(shift.nz(), m.shl(w.neg()), i64(0)));
      },
      () => fraction.set(select(shift.eq(64), m, m.nz().extU())),
    );
    mag.set(mag.add(roundsUp(rc, isNegative(t, a), mag.wrap().and(1), fraction).extU()));
  });
  return { mag, inexact: fraction.nz(), big };
}

function defineToInt(lib: Lib, t: Format, bits: 32 | 64, truncate: boolean): FnRef {
  return lib.fn(`cvt${truncate ? 't' : ''}_${t.name}_i${bits}`, ['i64', 'i32'], ['i64', 'i32'], (f, a, mxcsr) => {
    applyDaz(f, t, a!, mxcsr!);
    const rc = truncate ? i32(RC_ZERO) : f.i32(mxcsr!.shr(MXCSR_RC_SHIFT).and(3));
    const { mag, inexact, big } = integerOf(f, t, a!, rc);
    const negative = f.i32(isNegative(t, a!));
    const limit = i64(1)
      .shl(bits - 1)
      .sub(1)
      .add(negative.extU());
    // The integer indefinite also stands for infinities and NaNs: their exponent is out of range.
    f.if(big.or(mag.gtU(limit)), () => f.ret(i64(1).shl(bits - 1), i32(IE)));
    const value = select(negative, mag.neg(), mag);
    f.ret(bits === 32 ? value.wrap().extU() : value, select(inexact, i32(PE), i32(0)));
  });
}

/** imm8: rounding in bits 0-1, bit 2 = use MXCSR.RC, bit 3 = no PE. */
function defineRoundLanes(lib: Lib, t: Format): void {
  const lane = lib.fn(`round_lane_${t.name}`, ['i64', 'i32', 'i32'], ['i64', 'i32'], (f, a, mxcsr, imm) => {
    applyDaz(f, t, a!, mxcsr!);
    f.if(isNan(t, a!), () => f.ret(a!.or(quietBit(t)), isSignalling(t, a!)));
    f.if(
      expField(t, a!)
        .geU(t.bias + fractionBits(t))
        .or(magnitude(t, a!).eqz()),
      () => f.ret(a!, i32(0)),
    );
    const rc = f.i32(select(imm!.and(4), mxcsr!.shr(MXCSR_RC_SHIFT), imm!).and(3));
    const { mag, inexact } = integerOf(f, t, a!, rc);
    const flags = f.i32(select(inexact.and(imm!.and(8).eqz()), i32(PE), i32(0)));
    const sign = f.i64(a!.and(signBit(t)));
    f.if(mag.eqz(), () => f.ret(sign, flags));
    // The integer has at most `precision` bits: put its top bit at the hidden position.
    const n = f.i64(mag.clz());
    const fraction = mag
      .shl(n)
      .shl(1)
      .shr(65 - t.precision);
    f.ret(
      fraction
        .or(
          i64(t.bias + 63)
            .sub(n)
            .shl(fractionBits(t)),
        )
        .or(sign),
      flags,
    );
  });
  lib.export(`sse_round_${t.name}`, 4, (f, dst, a, lanesImm, mxcsr) => {
    lanesBody(f, { from: width(t), to: width(t) }, dst!, lanesImm!.and(0xff), mxcsr!, (at, bits, flags) => {
      f.callInto(lane, [loadLane(width(t), a!.add(at)), mxcsr!, lanesImm!.shr(8)], [bits, flags]);
    });
  });
}
