/**
 * FADD, FSUB, FMUL, FDIV (with the reversed and the memory-operand forms) and FSQRT.
 * SDM Vol. 1 §8.3.3 and the tables of results in Vol. 2A under each instruction.
 *
 * The value functions take (dst, ma, sea, mb, seb, fcw, de): `de` is DE when an f32/f64 memory operand was denormal,
 * which its 80-bit form no longer shows. A denormal raises DE only if no NaN, invalid or zero-divide case came first.
 */
import {
  MSB,
  call,
  i32,
  i64,
  load,
  select,
  type Expr,
  type Fn,
  type FnRef,
  type Lib,
  type Ty,
  type Var,
} from './emit.ts';
import {
  addCore,
  divCore,
  mulCore,
  newUnpacked,
  newWide,
  sqrtCore,
  unpackF80,
  type Unpacked,
  type Wide,
} from './arith.ts';
import { DE, FCW_RC, RC_DOWN, ZE } from './flags.ts';
import { F80_BIAS } from './formats.ts';
import { finishF80, storeF80, type RoundFns } from './round.ts';
import { isDenormal, isInfinity, isNormal, isZero, raiseDenormal, type NanFns } from './x87-nan.ts';
import { expandF32, expandF64 } from './x87-expand.ts';
import type { WideFns } from './wide.ts';

const VALUE_PARAMS: readonly Ty[] = ['i32', 'i64', 'i32', 'i64', 'i32', 'i32', 'i32'];

interface Binary {
  readonly dst: Var;
  readonly ma: Var;
  readonly sea: Var;
  readonly mb: Var;
  readonly seb: Var;
  readonly fcw: Var;
  readonly de: Var;
}

export interface X87Core {
  readonly wide: WideFns;
  readonly round: RoundFns;
  readonly nan: NanFns;
}

/** Value functions other parts reuse. */
export interface X87ArithFns {
  readonly add: FnRef;
  readonly sub: FnRef;
  readonly mul: FnRef;
  readonly div: FnRef;
}

export function defineX87Arith(lib: Lib, c: X87Core): X87ArithFns {
  const fns: X87ArithFns = {
    add: defineAddSub(lib, c, 'add'),
    sub: defineAddSub(lib, c, 'sub'),
    mul: defineMul(lib, c),
    div: defineDiv(lib, c),
  };
  const memoryForms = [
    ['m32', expandF32, (p: Expr): Expr => load('i32_load', p)],
    ['m64', expandF64, (p: Expr): Expr => load('i64_load', p)],
  ] as const;
  for (const name of ['add', 'sub', 'mul', 'div'] as const) {
    lib.export(`f80_${name}`, 4, (f, dst, a, b, fcw) => {
      f.ret(callValue(fns[name], dst!, a!, load('i64_load', b!), load('i32_load16_u', b!, 8), fcw!));
    });
    for (const [suffix, expand, read] of memoryForms) {
      const form = (exportName: string, reversed: boolean): void => {
        lib.export(exportName, 4, (f, dst, a, src, fcw) => {
          const m = f.i64();
          const se = f.i32();
          const de = f.i32(0);
          expand(f, read(src!), m, se, de);
          const reg = [load('i64_load', a!), load('i32_load16_u', a!, 8)];
          const operands = reversed ? [m, se, ...reg] : [...reg, m, se];
          f.ret(call(fns[name], dst!, ...operands, fcw!, de));
        });
      };
      form(`f80_${name}_${suffix}`, false);
      if (name === 'sub' || name === 'div') form(`f80_${name}r_${suffix}`, true);
    }
  }
  defineSqrt(lib, c);
  return fns;
}

/** Common head of a slow path: NaNs, then nothing else yet. Returns when a NaN decided the result. */
function nanHead(f: Fn, c: X87Core, p: Binary): void {
  const r = f.i32();
  f.callInto(c.nan.nan2, [p.dst, p.ma, p.sea, p.mb, p.seb, p.fcw], [r]);
  f.if(r.ge0(), () => f.ret(r));
}

function denormalHead(f: Fn, p: Binary): Var {
  const flags = f.i32(p.de.or(select(isDenormal(p.ma, p.sea).or(isDenormal(p.mb, p.seb)), i32(DE), i32(0))));
  raiseDenormal(f, flags, p.fcw);
  return flags;
}

const bothNormal = (p: Binary): Expr => p.ma.and(p.mb).ltS(0).and(isNormal(p.sea)).and(isNormal(p.seb)).and(p.de.eqz());

function defineAddSub(lib: Lib, c: X87Core, name: 'add' | 'sub'): FnRef {
  /** Sum of two finite non-zero unpacked numbers; never returns to its caller's code. */
  const finish = (f: Fn, p: Binary, a: Unpacked, b: Unpacked, flags: Var | undefined): void => {
    const r = newWide(f);
    addCore(f, a, b, r, () => {
      storeF80(f, p.dst, zeroSign(p.fcw), i64(0));
      f.ret(flags ?? i32(0));
    });
    finishWide(f, c, p, r, flags);
  };
  const slow = lib.fn(`${name}_slow`, VALUE_PARAMS, ['i32'], (f, dst, ma, sea, mb, seb, fcw, de) => {
    const p: Binary = { dst: dst!, ma: ma!, sea: sea!, mb: mb!, seb: seb!, fcw: fcw!, de: de! };
    nanHead(f, c, p);
    if (name === 'sub') p.seb.set(p.seb.xor(0x8000));
    const infA = f.i32(isInfinity(p.ma, p.sea));
    const infB = f.i32(isInfinity(p.mb, p.seb));
    f.if(infA.and(infB).and(p.sea.ne(p.seb)), () => f.ret(callInvalid(c, p)));
    const flags = denormalHead(f, p);
    f.if(infA.or(infB), () => {
      storeF80(f, p.dst, select(infA, p.sea, p.seb), select(infA, p.ma, p.mb));
      f.ret(flags);
    });
    const a = newUnpacked(f);
    const b = newUnpacked(f);
    const zeroA = f.i32(isZero(p.ma, p.sea));
    const zeroB = f.i32(isZero(p.mb, p.seb));
    f.if(zeroA.and(zeroB), () => {
      storeF80(f, p.dst, select(p.sea.eq(p.seb), p.sea, zeroSign(p.fcw)), i64(0));
      f.ret(flags);
    });
    // x + 0 is x, but still rounded to the precision in force.
    f.if(zeroA.or(zeroB), () => {
      f.if(zeroA, () => {
        p.ma.set(p.mb);
        p.sea.set(p.seb);
      });
      unpackF80(f, p.ma, p.sea, a);
      finishWide(f, c, p, { sign: a.sign, e: a.e, hi: a.m, lo: f.i64(0) }, flags);
    });
    unpackF80(f, p.ma, p.sea, a);
    unpackF80(f, p.mb, p.seb, b);
    finish(f, p, a, b, flags);
  });
  return lib.fn(name, VALUE_PARAMS, ['i32'], (f, dst, ma, sea, mb, seb, fcw, de) => {
    const p: Binary = { dst: dst!, ma: ma!, sea: sea!, mb: mb!, seb: seb!, fcw: fcw!, de: de! };
    f.if(bothNormal(p), () => {
      const a = fastUnpacked(f, p.sea, p.ma);
      const b = fastUnpacked(f, p.seb, p.mb);
      if (name === 'sub') b.sign.set(b.sign.xor(0x8000));
      finish(f, p, a, b, undefined);
    });
    f.ret(passOn(slow, p));
  });
}

function defineMul(lib: Lib, c: X87Core): FnRef {
  const slow = lib.fn('mul_slow', VALUE_PARAMS, ['i32'], (f, dst, ma, sea, mb, seb, fcw, de) => {
    const p: Binary = { dst: dst!, ma: ma!, sea: sea!, mb: mb!, seb: seb!, fcw: fcw!, de: de! };
    nanHead(f, c, p);
    const inf = f.i32(isInfinity(p.ma, p.sea).or(isInfinity(p.mb, p.seb)));
    const zero = f.i32(isZero(p.ma, p.sea).or(isZero(p.mb, p.seb)));
    f.if(inf.and(zero), () => f.ret(callInvalid(c, p)));
    const flags = denormalHead(f, p);
    const sign = f.i32(p.sea.xor(p.seb).and(0x8000));
    storeIf(f, p.dst, inf, sign.or(0x7fff), MSB, flags);
    storeIf(f, p.dst, zero, sign, i64(0), flags);
    const a = newUnpacked(f);
    const b = newUnpacked(f);
    unpackF80(f, p.ma, p.sea, a);
    unpackF80(f, p.mb, p.seb, b);
    const r = newWide(f);
    mulCore(f, a, b, F80_BIAS, r);
    finishWide(f, c, p, r, flags);
  });
  return lib.fn('mul', VALUE_PARAMS, ['i32'], (f, dst, ma, sea, mb, seb, fcw, de) => {
    const p: Binary = { dst: dst!, ma: ma!, sea: sea!, mb: mb!, seb: seb!, fcw: fcw!, de: de! };
    f.if(bothNormal(p), () => {
      const r = newWide(f);
      mulCore(f, fastUnpacked(f, p.sea, p.ma), fastUnpacked(f, p.seb, p.mb), F80_BIAS, r);
      finishWide(f, c, p, r, undefined);
    });
    f.ret(passOn(slow, p));
  });
}

function defineDiv(lib: Lib, c: X87Core): FnRef {
  const slow = lib.fn('div_slow', VALUE_PARAMS, ['i32'], (f, dst, ma, sea, mb, seb, fcw, de) => {
    const p: Binary = { dst: dst!, ma: ma!, sea: sea!, mb: mb!, seb: seb!, fcw: fcw!, de: de! };
    nanHead(f, c, p);
    const infA = f.i32(isInfinity(p.ma, p.sea));
    const infB = f.i32(isInfinity(p.mb, p.seb));
    const zeroA = f.i32(isZero(p.ma, p.sea));
    const zeroB = f.i32(isZero(p.mb, p.seb));
    const sign = f.i32(p.sea.xor(p.seb).and(0x8000));
    f.if(infA.and(infB).or(zeroA.and(zeroB)), () => f.ret(callInvalid(c, p)));
    f.if(zeroB.and(infA.eqz()), () => {
      f.if(p.fcw.and(ZE), () => storeF80(f, p.dst, sign.or(0x7fff), MSB));
      f.ret(i32(ZE));
    });
    const flags = denormalHead(f, p);
    storeIf(f, p.dst, infA, sign.or(0x7fff), MSB, flags);
    storeIf(f, p.dst, infB.or(zeroA), sign, i64(0), flags);
    const a = newUnpacked(f);
    const b = newUnpacked(f);
    unpackF80(f, p.ma, p.sea, a);
    unpackF80(f, p.mb, p.seb, b);
    const r = newWide(f);
    divCore(f, c.wide, a, b, F80_BIAS, r);
    finishWide(f, c, p, r, flags);
  });
  return lib.fn('div', VALUE_PARAMS, ['i32'], (f, dst, ma, sea, mb, seb, fcw, de) => {
    const p: Binary = { dst: dst!, ma: ma!, sea: sea!, mb: mb!, seb: seb!, fcw: fcw!, de: de! };
    f.if(bothNormal(p), () => {
      const r = newWide(f);
      divCore(f, c.wide, fastUnpacked(f, p.sea, p.ma), fastUnpacked(f, p.seb, p.mb), F80_BIAS, r);
      finishWide(f, c, p, r, undefined);
    });
    f.ret(passOn(slow, p));
  });
}

function defineSqrt(lib: Lib, c: X87Core): void {
  lib.export('f80_sqrt', 3, (f, dst, src, fcw) => {
    const m = f.i64(load('i64_load', src!));
    const se = f.i32(load('i32_load16_u', src!, 8));
    const flags = f.i32(0);
    const a = newUnpacked(f);
    const r = newWide(f);
    f.if(m.ltS(0).and(se.sub(1).ltU(0x7ffe)).eqz(), () => {
      const nan = f.i32();
      f.callInto(c.nan.nan1, [dst!, m, se, fcw!], [nan]);
      f.if(nan.ge0(), () => f.ret(nan));
      // sqrt(-0) = -0; sqrt(+inf) = +inf.
      f.if(isZero(m, se).or(se.eq(0x7fff)), () => {
        storeF80(f, dst!, se, m);
        f.ret(i32(0));
      });
      f.if(se.and(0x8000), () => {
        f.callInto(c.nan.invalid, [dst!, fcw!], [nan]);
        f.ret(nan);
      });
      flags.set(select(isDenormal(m, se), i32(DE), i32(0)));
      raiseDenormal(f, flags, fcw!);
    });
    unpackF80(f, m, se, a);
    sqrtCore(f, c.wide, a, F80_BIAS, r);
    f.if(flags.eqz(), () => finishF80(f, c.round, dst!, r.sign, r.e, r.hi, r.lo, fcw!));
    finishWide(f, c, { dst: dst!, fcw: fcw! }, r, flags);
  });
}

/** Sign of an exact zero sum: minus only when rounding down. */
const zeroSign = (fcw: Expr): Expr => select(fcw.and(FCW_RC).eq(RC_DOWN << 10), i32(0x8000), i32(0));

function fastUnpacked(f: Fn, se: Var, m: Var): Unpacked {
  return { sign: f.i32(se.and(0x8000)), e: f.i32(se.and(0x7fff)), m };
}

/** Rounds, stores and returns. Without earlier flags the fast tail is inlined. */
function finishWide(f: Fn, c: X87Core, p: Pick<Binary, 'dst' | 'fcw'>, r: Wide, flags: Var | undefined): void {
  if (flags === undefined) {
    finishF80(f, c.round, p.dst, r.sign, r.e, r.hi, r.lo, p.fcw);
    return;
  }
  const more = f.i32();
  f.callInto(c.round.f80, [p.dst, r.sign, r.e, r.hi, r.lo, p.fcw], [more]);
  f.ret(more.or(flags));
}

function storeIf(f: Fn, dst: Var, cond: Expr, signExp: Expr, mant: Expr, flags: Var): void {
  f.if(cond, () => {
    storeF80(f, dst, signExp, mant);
    f.ret(flags);
  });
}

const callInvalid = (c: X87Core, p: Binary): Expr => call(c.nan.invalid, p.dst, p.fcw);
const passOn = (fn: FnRef, p: Binary): Expr => call(fn, p.dst, p.ma, p.sea, p.mb, p.seb, p.fcw, p.de);
const callValue = (fn: FnRef, dst: Var, a: Var, mb: Expr, seb: Expr, fcw: Var): Expr =>
  call(fn, dst, load('i64_load', a), load('i32_load16_u', a, 8), mb, seb, fcw, 0);
