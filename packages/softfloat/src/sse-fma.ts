/**
 * Fused multiply-add on f32 and f64 lanes: one rounding of the exact a * b + c. SDM Vol. 1 §14.5.1 and Vol. 2 "VFMADD...".
 * The exact product fits 128 bits; aligning the addend keeps a sticky bit far below the rounding position.
 */
import { i32, i64, select, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import { mulCore, newUnpacked, newWide, type Wide } from './arith.ts';
import { IE, MXCSR_RC_SHIFT, RC_DOWN } from './flags.ts';
import { F32, F64, type Format } from './formats.ts';
import type { RoundFns } from './round.ts';
import {
  applyDaz,
  defaultNan,
  denormalFlag,
  infinityBits,
  isInfinity,
  isNan,
  isNegative,
  isSignalling,
  isZero,
  lanesBody,
  loadLane,
  quietBit,
  signBit,
  unpackIeee,
  width,
} from './sse-lane.ts';
import { addPair, copyWf, normalize, pairLess, subPair, newWf } from './wide-float.ts';
import { shiftRightJam } from './wide.ts';

export function defineSseFma(lib: Lib, round: RoundFns): void {
  for (const t of [F32, F64]) {
    const lane = defineLane(lib, round, t);
    lib.export(`sse_fma_${t.name}`, 6, (f, dst, a, b, c, lanesNeg, mxcsr) => {
      lanesBody(f, { from: width(t), to: width(t) }, dst!, lanesNeg!.and(0xff), mxcsr!, (at, bits, flags) => {
        const operands = [a!, b!, c!].map((p) => loadLane(width(t), p.add(at)));
        f.callInto(lane, [...operands, mxcsr!, lanesNeg!.shr(8)], [bits, flags]);
      });
    });
  }
}

function defineLane(lib: Lib, round: RoundFns, t: Format): FnRef {
  return lib.fn(`fma_${t.name}`, ['i64', 'i64', 'i64', 'i32', 'i32'], ['i64', 'i32'], (f, a, b, c, mxcsr, neg) => {
    const operands = [a!, b!, c!];
    for (const v of operands) applyDaz(f, t, v, mxcsr!);
    f.if(isNan(t, a!).or(isNan(t, b!)).or(isNan(t, c!)), () => {
      const signalling = operands.map((v) => isSignalling(t, v)).reduce((x, y) => x.or(y));
      f.ret(select(isNan(t, a!), a!, select(isNan(t, b!), b!, c!)).or(quietBit(t)), signalling);
    });
    // Signs as the instruction has them: bit 0 of neg negates the product, bit 1 the addend.
    f.if(neg!.and(2), () => c!.set(c!.xor(signBit(t))));
    const productSign = f.i32(isNegative(t, a!.xor(b!)).xor(neg!).and(1));
    const infP = f.i32(isInfinity(t, a!).or(isInfinity(t, b!)));
    const zeroP = f.i32(isZero(t, a!).or(isZero(t, b!)));
    const infC = f.i32(isInfinity(t, c!));
    const zeroC = f.i32(isZero(t, c!));
    const differ = f.i32(productSign.xor(isNegative(t, c!)));
    f.if(infP.and(zeroP.or(infC.and(differ))), () => f.ret(defaultNan(t), i32(IE)));
    const flags = denormalFlag(f, t, operands, mxcsr!);
    const signed = f.i64(select(productSign, signBit(t), i64(0)));
    f.if(infP, () => f.ret(infinityBits(t).or(signed), flags));
    f.if(infC, () => f.ret(c!, flags));
    const zeroSum = select(mxcsr!.shr(MXCSR_RC_SHIFT).and(3).eq(RC_DOWN), signBit(t), i64(0));
    f.if(zeroP.and(zeroC), () => f.ret(select(differ, zeroSum, c!), flags));

    const x = newUnpacked(f);
    const y = newUnpacked(f);
    const product = newWide(f);
    const finish = (r: Wide): void => {
      const bits = f.i64();
      const more = f.i32();
      f.callInto(round[t.name], [r.sign, r.e, r.hi, r.lo, mxcsr!], [bits, more]);
      f.ret(bits, more.or(flags));
    };
    const addend = (): Wide => {
      unpackIeee(f, t, c!, x);
      return { sign: x.sign, e: x.e, hi: x.m, lo: f.i64(0) };
    };
    f.if(zeroP, () => finish(addend()));
    unpackIeee(f, t, a!, x);
    unpackIeee(f, t, b!, y);
    mulCore(f, x, y, t.bias, product);
    product.sign.set(productSign);
    f.if(zeroC, () => finish(product));
    addWide(f, product, addend(), () => f.ret(zeroSum, flags));
    finish(product);
  });
}

/** r = r + s, both with 128-bit significands. Destroys s. */
function addWide(f: Fn, r: Wide, s: Wide, onZero: () => void): void {
  f.if(r.e.ltS(s.e).or(r.e.eq(s.e).and(pairLess(r.hi, r.lo, s.hi, s.lo))), () => {
    const t = newWf(f);
    const sign: Var = f.i32(r.sign);
    copyWf(t, r);
    copyWf(r, s);
    copyWf(s, t);
    r.sign.set(s.sign);
    s.sign.set(sign);
  });
  const d = f.i32(r.e.sub(s.e));
  shiftRightJam(f, s.hi, s.lo, d);
  f.if(
    r.sign.eq(s.sign),
    () => {
      addPair(f, r, s.hi, s.lo);
      f.if(pairLess(r.hi, r.lo, s.hi, s.lo), () => {
        r.lo.set(r.lo.shr(1).or(r.lo.and(1)).or(r.hi.shl(63)));
        r.hi.set(r.hi.shr(1).or(i64(1).shl(63)));
        r.e.set(r.e.add(1));
      });
    },
    () => {
      subPair(f, r, s.hi, s.lo);
      f.if(r.hi.or(r.lo).eqz(), onZero);
      normalize(f, r);
    },
  );
}
