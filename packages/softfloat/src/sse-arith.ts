/**
 * ADD SUB MUL DIV SQRT MIN MAX on f32 and f64 lanes. SDM Vol. 1 §11.5.2, §4.8.3.5, Vol. 2 under each instruction.
 *
 * Fast path: round to nearest, normal operands, result well inside the normal range. Then wasm's own operation is the
 * answer and only PE is left to find, by an exact test. Everything else takes the integer path shared with the x87.
 */
import { i32, i64, select, type Expr, type Fn, type FnRef, type Lib, type Ty, type Var } from './emit.ts';
import { addCore, divCore, mulCore, newUnpacked, newWide, sqrtCore, type Wide } from './arith.ts';
import { IE, MXCSR_RC_SHIFT, RC_DOWN, ZE } from './flags.ts';
import { F32, F64, type Format } from './formats.ts';
import type { RoundFns } from './round.ts';
import {
  applyDaz,
  defaultNan,
  denormalFlag,
  expField,
  exportBinary,
  exportUnary,
  infinityBits,
  isInfinity,
  isNan,
  isNegative,
  isZero,
  nanResult,
  quietBit,
  isSignalling,
  signBit,
  unpackIeee,
  width,
} from './sse-lane.ts';
import type { WideFns } from './wide.ts';

const BINARY: readonly Ty[] = ['i64', 'i64', 'i32'];
const UNARY: readonly Ty[] = ['i64', 'i32'];
const RESULT: readonly Ty[] = ['i64', 'i32'];
type Op = 'add' | 'sub' | 'mul' | 'div';

export function defineSseArith(lib: Lib, round: RoundFns, wide: WideFns): void {
  for (const t of [F32, F64]) {
    for (const op of ['add', 'sub', 'mul', 'div'] as const)
      exportBinary(lib, `sse_${op}_${t.name}`, t, defineBinary(lib, round, wide, t, op));
    for (const op of ['min', 'max'] as const) exportBinary(lib, `sse_${op}_${t.name}`, t, defineMinMax(lib, t, op));
    exportUnary(lib, `sse_sqrt_${t.name}`, { from: width(t), to: width(t) }, defineSqrt(lib, round, wide, t));
  }
}

const nearest = (mxcsr: Expr): Expr => mxcsr.and(3 << MXCSR_RC_SHIFT).eqz();
const isNormal = (t: Format, exp: Expr): Expr => exp.sub(1).ltU(t.maxExp - 1);
/** Not so low that tininess could be in question, and not an overflow. */
const isSafe = (t: Format, exp: Expr): Expr => exp.sub(2).ltU(t.maxExp - 2);

/** An f32 lane as a double, exactly; an f64 lane as itself. */
const asDouble = (t: Format, v: Expr): Expr =>
  t.name === 'f32'
    ? v.wrap().un('f32_reinterpret_i32', 'f32').un('f64_promote_f32', 'f64')
    : v.un('f64_reinterpret_i64', 'f64');
const bitsOfF32 = (v: Expr): Expr => v.un('i32_reinterpret_f32', 'i32').extU();

/** Is the rounded f64 sum s of a and b off? The error of a sum is a double; Knuth, TAOCP vol. 2 §4.2.2 theorem B. */
function sumInexact(f: Fn, a: Var, b: Var, s: Var): Expr {
  const bb = f.f64(s.sub(a));
  return a.sub(s.sub(bb)).add(b.sub(bb)).un('f64_abs').gt(0);
}

/** Returns from the lane function when the fast path applies. Destroys nothing. */
function fastBinary(f: Fn, t: Format, op: Op, a: Var, b: Var, mxcsr: Var): void {
  const ea = f.i32(expField(t, a));
  const eb = f.i32(expField(t, b));
  f.if(nearest(mxcsr).and(isNormal(t, ea)).and(isNormal(t, eb)), () => {
    const x = f.f64(asDouble(t, a));
    const y = f.f64(op === 'sub' ? asDouble(t, b).un('f64_neg') : asDouble(t, b));
    const r = f.f64(op === 'mul' ? x.mul(y) : op === 'div' ? x.div(y) : x.add(y));
    const bits = f.i64();
    const inexact = f.i32();
    if (t.name === 'f32') {
      // 53 bits >= 2 * 24 + 2: rounding twice is harmless (Figueroa 1995), products are exact in f64.
      const narrow = f.f32(r.un('f32_demote_f64', 'f32'));
      const back = f.f64(narrow.un('f64_promote_f32', 'f64'));
      bits.set(bitsOfF32(narrow));
      if (op === 'mul') inexact.set(back.un('f64_abs').eq(r.un('f64_abs')).eqz());
      else if (op === 'div') inexact.set(back.mul(y).eq(x).eqz());
      else
        inexact.set(
          back
            .eq(r)
            .eqz()
            .or(sumInexact(f, x, y, r)),
        );
    } else {
      bits.set(r.un('i64_reinterpret_f64', 'i64'));
      if (op === 'mul' || op === 'div') {
        const hidden = i64(1).shl(52);
        const er = expField(t, bits);
        if (op === 'mul') {
          // The 105- or 106-bit product fits 53 bits exactly when it has that many zeros at the end.
          const zeros = a.or(hidden).ctz().add(b.or(hidden).ctz()).wrap();
          inexact.set(
            zeros.ltS(
              er
                .sub(ea)
                .sub(eb)
                .add(t.bias + 52),
            ),
          );
        } else {
          // q * b = a << k; both sides differ by far less than 2^63, so the low 64 bits decide.
          const significand = (v: Expr): Expr => v.shl(12).shr(12).or(hidden);
          const k = ea
            .sub(er)
            .sub(eb)
            .add(t.bias + 52)
            .extU();
          inexact.set(significand(bits).mul(significand(b)).ne(significand(a).shl(k)));
        }
      } else inexact.set(sumInexact(f, x, y, r));
    }
    f.if(isSafe(t, expField(t, bits)), () => f.ret(bits, inexact.shl(5)));
  });
}

function defineBinary(lib: Lib, round: RoundFns, wide: WideFns, t: Format, op: Op): FnRef {
  const slow = lib.fn(`${op}_${t.name}_slow`, BINARY, RESULT, (f, a, b, mxcsr) => {
    applyDaz(f, t, a!, mxcsr!);
    applyDaz(f, t, b!, mxcsr!);
    nanResult(f, t, a!, b!);
    if (op === 'sub') b!.set(b!.xor(signBit(t)));
    const infA = f.i32(isInfinity(t, a!));
    const infB = f.i32(isInfinity(t, b!));
    const zeroA = f.i32(isZero(t, a!));
    const zeroB = f.i32(isZero(t, b!));
    const sign = f.i64(a!.xor(b!).and(signBit(t)));
    const invalid =
      op === 'mul'
        ? infA.and(zeroB).or(zeroA.and(infB))
        : op === 'div'
          ? infA.and(infB).or(zeroA.and(zeroB))
          : infA.and(infB).and(sign.nz());
    f.if(invalid, () => f.ret(defaultNan(t), i32(IE)));
    if (op === 'div') f.if(zeroB.and(infA.eqz()), () => f.ret(infinityBits(t).or(sign), i32(ZE)));
    const flags = denormalFlag(f, t, [a!, b!], mxcsr!);
    specials(f, t, op, { a: a!, b: b!, infA, infB, zeroA, zeroB, sign, mxcsr: mxcsr!, flags, round });
    const x = newUnpacked(f);
    const y = newUnpacked(f);
    const r = newWide(f);
    unpackIeee(f, t, a!, x);
    unpackIeee(f, t, b!, y);
    if (op === 'mul') mulCore(f, x, y, t.bias, r);
    else if (op === 'div') divCore(f, wide, x, y, t.bias, r);
    else addCore(f, x, y, r, () => f.ret(zeroSum(t, mxcsr!), flags));
    finish(f, t, round, r, mxcsr!, flags);
  });
  return lib.fn(`${op}_${t.name}`, BINARY, RESULT, (f, a, b, mxcsr) => {
    fastBinary(f, t, op, a!, b!, mxcsr!);
    f.b.get(0).get(1).get(2).call(slow.index).return_();
  });
}

interface Specials {
  readonly a: Var;
  readonly b: Var;
  readonly infA: Var;
  readonly infB: Var;
  readonly zeroA: Var;
  readonly zeroB: Var;
  readonly sign: Var;
  readonly mxcsr: Var;
  readonly flags: Var;
  readonly round: RoundFns;
}

/** Results with an infinity or a zero among the operands. */
function specials(f: Fn, t: Format, op: Op, s: Specials): void {
  if (op === 'mul') {
    f.if(s.infA.or(s.infB), () => f.ret(infinityBits(t).or(s.sign), s.flags));
    f.if(s.zeroA.or(s.zeroB), () => f.ret(s.sign, s.flags));
  } else if (op === 'div') {
    f.if(s.infA, () => f.ret(infinityBits(t).or(s.sign), s.flags));
    f.if(s.infB.or(s.zeroA), () => f.ret(s.sign, s.flags));
  } else {
    f.if(s.infA.or(s.infB), () => f.ret(select(s.infA, s.a, s.b), s.flags));
    f.if(s.zeroA.and(s.zeroB), () => f.ret(select(s.sign.eqz(), s.a, zeroSum(t, s.mxcsr)), s.flags));
    f.if(s.zeroA.or(s.zeroB), () => {
      // A denormal other operand is the result, and FTZ or an unmasked UE still applies to it.
      const v = f.i64(select(s.zeroA, s.b, s.a));
      const u = newUnpacked(f);
      unpackIeee(f, t, v, u);
      finish(f, t, s.round, { sign: u.sign, e: u.e, hi: u.m, lo: f.i64(0) }, s.mxcsr, s.flags);
    });
  }
}

const zeroSum = (t: Format, mxcsr: Expr): Expr =>
  select(mxcsr.shr(MXCSR_RC_SHIFT).and(3).eq(RC_DOWN), signBit(t), i64(0));

function finish(f: Fn, t: Format, round: RoundFns, r: Wide, mxcsr: Expr, flags: Var): void {
  const bits = f.i64();
  const more = f.i32();
  f.callInto(round[t.name], [r.sign, r.e, r.hi, r.lo, mxcsr], [bits, more]);
  f.ret(bits, more.or(flags));
}

/** MIN and MAX return the second operand for NaNs (IE, even quiet) and for two zeros. */
function defineMinMax(lib: Lib, t: Format, op: 'min' | 'max'): FnRef {
  return lib.fn(`${op}_${t.name}`, BINARY, RESULT, (f, a, b, mxcsr) => {
    applyDaz(f, t, a!, mxcsr!);
    applyDaz(f, t, b!, mxcsr!);
    f.if(isNan(t, a!).or(isNan(t, b!)), () => f.ret(b!, i32(IE)));
    const flags = denormalFlag(f, t, [a!, b!], mxcsr!);
    const x = asDouble(t, a!);
    const y = asDouble(t, b!);
    f.ret(select(op === 'min' ? x.lt(y) : x.gt(y), a!, b!), flags);
  });
}

function defineSqrt(lib: Lib, round: RoundFns, wide: WideFns, t: Format): FnRef {
  return lib.fn(`sqrt_${t.name}`, UNARY, RESULT, (f, a, mxcsr) => {
    const ea = f.i32(expField(t, a!));
    f.if(nearest(mxcsr!).and(isNormal(t, ea)).and(isNegative(t, a!).eqz()), () => {
      const bits = f.i64();
      const inexact = f.i32();
      if (t.name === 'f32') {
        const r = f.f32(a!.wrap().un('f32_reinterpret_i32', 'f32').un('f32_sqrt'));
        const back = f.f64(r.un('f64_promote_f32', 'f64'));
        bits.set(bitsOfF32(r));
        inexact.set(back.mul(back).eq(asDouble(t, a!)).eqz());
      } else {
        bits.set(asDouble(t, a!).un('f64_sqrt').un('i64_reinterpret_f64', 'i64'));
        // r * r = a << k, as for division.
        const m = f.i64(bits.shl(12).shr(12).or(i64(1).shl(52)));
        const k = ea
          .sub(expField(t, bits).shl(1))
          .add(t.bias + 52)
          .extU();
        inexact.set(m.mul(m).ne(a!.shl(12).shr(12).or(i64(1).shl(52)).shl(k)));
      }
      f.ret(bits, inexact.shl(5));
    });
    applyDaz(f, t, a!, mxcsr!);
    f.if(isNan(t, a!), () => f.ret(a!.or(quietBit(t)), isSignalling(t, a!)));
    f.if(isZero(t, a!), () => f.ret(a!, i32(0)));
    f.if(isNegative(t, a!), () => f.ret(defaultNan(t), i32(IE)));
    f.if(isInfinity(t, a!), () => f.ret(a!, i32(0)));
    const flags = denormalFlag(f, t, [a!], mxcsr!);
    const u = newUnpacked(f);
    const r = newWide(f);
    unpackIeee(f, t, a!, u);
    sqrtCore(f, wide, u, t.bias, r);
    finish(f, t, round, r, mxcsr!, flags);
  });
}
