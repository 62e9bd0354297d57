/**
 * Floating point with a 128-bit significand, for the insides of the transcendental functions.
 *
 * A `Wf` is hi:lo * 2^(e - 127) with the top bit of hi set, e unbiased and unbounded; the sign is kept apart.
 * A "fraction" is hi:lo * 2^-128. Operations truncate: errors are a few units of 2^-127 (relative for a Wf).
 */
import { i32, i64, k64, select, type Expr, type Fn, type FnRef, type Lib, type Ty, type Var } from './emit.ts';
import type { Term, Words } from './gen/constants.ts';
import { mulWide, shiftRightJam, type WideFns } from './wide.ts';

export interface Pair {
  readonly hi: Var;
  readonly lo: Var;
}
export interface Wf extends Pair {
  readonly e: Var;
}
export const newPair = (f: Fn): Pair => ({ hi: f.i64(), lo: f.i64() });
export const newWf = (f: Fn): Wf => ({ e: f.i32(), hi: f.i64(), lo: f.i64() });
export const hiWord = (w: Words): Expr => k64(w[0], w[1]);
export const loWord = (w: Words): Expr => k64(w[2], w[3]);

export function setPair(to: Pair, hi: Expr, lo: Expr): void {
  to.hi.set(hi);
  to.lo.set(lo);
}
export function copyWf(to: Wf, from: Wf): void {
  to.e.set(from.e);
  setPair(to, from.hi, from.lo);
}

/** r = r + (hi:lo), which must not be made from r itself. */
export function addPair(f: Fn, r: Pair, hi: Expr, lo: Expr): void {
  const addLo = f.i64(lo);
  r.lo.set(r.lo.add(addLo));
  r.hi.set(r.hi.add(hi).add(r.lo.ltU(addLo).extU()));
}
export function subPair(f: Fn, r: Pair, hi: Expr, lo: Expr): void {
  const subLo = f.i64(lo);
  const borrow = f.i64(r.lo.ltU(subLo).extU());
  r.lo.set(r.lo.sub(subLo));
  r.hi.set(r.hi.sub(hi).sub(borrow));
}
export function negatePair(r: Pair): void {
  r.hi.set(r.hi.not().add(r.lo.eqz().extU()));
  r.lo.set(r.lo.neg());
}
export const pairLess = (aHi: Expr, aLo: Expr, bHi: Expr, bLo: Expr): Expr =>
  aHi.ltU(bHi).or(aHi.eq(bHi).and(aLo.ltU(bLo)));

/** Brings the top bit up; hi:lo must not be zero. */
export function normalize(f: Fn, r: Wf): void {
  f.if(r.hi.eqz(), () => {
    setPair(r, r.lo, i64(0));
    r.e.set(r.e.sub(64));
  });
  const n = f.i64(r.hi.clz());
  f.if(n.nz(), () => {
    r.hi.set(r.hi.shl(n).or(r.lo.shr(n.neg())));
    r.lo.set(r.lo.shl(n));
    r.e.set(r.e.sub(n.wrap()));
  });
}

/** The fraction of value r; r.e must be negative. */
export function toFraction(f: Fn, r: Wf, out: Pair): void {
  setPair(out, r.hi, r.lo);
  const n = f.i32(i32(-1).sub(r.e));
  shiftRightJam(f, out.hi, out.lo, n);
}

export interface WideFloatFns {
  readonly wide: WideFns;
  /** (aHi, aLo, bHi, bLo) -> upper 128 bits of the product, truncated. */
  readonly mul: FnRef;
  /** (aHi, aLo, bHi, bLo) -> (hi, lo, adjust): quotient significand of two normalised ones; e = ea - eb + adjust. */
  readonly div: FnRef;
}

const PAIR2: readonly Ty[] = ['i64', 'i64', 'i64', 'i64'];

export function defineWideFloat(lib: Lib, wide: WideFns): WideFloatFns {
  const mul = lib.fn('mul128', PAIR2, ['i64', 'i64'], (f, ah, al, bh, bl) => {
    const p = newPair(f);
    const q = newPair(f);
    mulWide(f, ah!, bh!, p.hi, p.lo);
    mulWide(f, ah!, bl!, q.hi, q.lo);
    addPair(f, p, i64(0), q.hi);
    mulWide(f, al!, bh!, q.hi, q.lo);
    addPair(f, p, i64(0), q.hi);
    f.ret(p.hi, p.lo);
  });
  const div = lib.fn('div128', PAIR2, ['i64', 'i64', 'i32'], (f, ah, al, bh, bl) => {
    const adjust = f.i32(-1);
    const rem: Pair = { hi: ah!, lo: al! };
    const r0 = f.i64(0);
    f.if(pairLess(ah!, al!, bh!, bl!).eqz(), () => {
      adjust.set(0);
      r0.set(al!.shl(63));
      al!.set(al!.shr(1).or(ah!.shl(63)));
      ah!.set(ah!.shr(1));
    });
    // First digit: estimate by the divisor's high word, too large by two at most.
    const q1 = f.i64();
    const q0 = f.i64();
    const t = f.i64();
    const p = newPair(f);
    f.if(
      ah!.geU(bh!),
      () => q1.set(-1),
      () => f.callInto(wide.divWide, [ah!, al!, bh!], [q1, t]),
    );
    // rem = (ah:al:r0 - q1 * (bh:bl)) as three words; `top` is its sign.
    const top = f.i64();
    mulWide(f, q1, bl!, p.hi, p.lo);
    const borrow = f.i64(r0.ltU(p.lo).extU());
    const low = f.i64(r0.sub(p.lo));
    const mid = f.i64(p.hi.add(borrow)); // at most 2^64 - 1: p.hi <= 2^64 - 2
    mulWide(f, q1, bh!, p.hi, p.lo);
    addPair(f, p, i64(0), mid);
    top.set(ah!.sub(p.hi).sub(al!.ltU(p.lo).extU()));
    setPair(rem, al!.sub(p.lo), low);
    f.while(top.ltS(0), () => {
      q1.set(q1.sub(1));
      const old = f.i64(rem.hi);
      const carryLo = f.i64(rem.lo.add(bl!).ltU(bl!).extU());
      rem.lo.set(rem.lo.add(bl!));
      rem.hi.set(rem.hi.add(bh!));
      const carry = f.i64(rem.hi.ltU(old).extU());
      rem.hi.set(rem.hi.add(carryLo));
      top.set(top.add(carry).add(rem.hi.ltU(carryLo).extU()));
    });
    f.if(
      rem.hi.geU(bh!),
      () => q0.set(-1),
      () => f.callInto(wide.divWide, [rem.hi, rem.lo, bh!], [q0, t]),
    );
    f.ret(q1, q0, adjust);
  });
  return { wide, mul, div };
}

/** r = a * b. */
export function mulWf(f: Fn, w: WideFloatFns, a: Wf, b: Wf, r: Wf): void {
  const e = f.i32(a.e.add(b.e).add(1));
  f.callInto(w.mul, [a.hi, a.lo, b.hi, b.lo], [r.hi, r.lo]);
  r.e.set(e);
  f.if(r.hi.ge0(), () => {
    r.hi.set(r.hi.shl(1).or(r.lo.shr(63)));
    r.lo.set(r.lo.shl(1));
    r.e.set(r.e.sub(1));
  });
}

/** r = a / b. */
export function divWf(f: Fn, w: WideFloatFns, a: Wf, b: Wf, r: Wf): void {
  const adjust = f.i32();
  const e = f.i32(a.e.sub(b.e));
  f.callInto(w.div, [a.hi, a.lo, b.hi, b.lo], [r.hi, r.lo, adjust]);
  r.e.set(e.add(adjust));
}

/**
 * out = c1 w + s (c2 w^2 + s (c3 w^3 ...)), s = -1 where `negative` (a constant or a run-time flag), as a fraction.
 * Horner's scheme on scaled coefficients; the high terms need only 64 bits (see the generator).
 */
export function horner(
  f: Fn,
  fns: WideFloatFns,
  w: Pair,
  terms: readonly Term[],
  negative: boolean | Var,
  out: Pair,
): void {
  const mask = negative instanceof Object ? f.i64(negative.extU().neg()) : undefined;
  const last = terms.length - 1;
  setPair(out, hiWord(terms[last]!.c), terms[last]!.wide ? loWord(terms[last]!.c) : i64(0));
  for (let k = last - 1; k >= 0; k--) {
    const term = terms[k]!;
    const down = terms[k + 1]!.shift - term.shift;
    if (!term.wide) {
      const product = f.i64(highProduct(f, w.hi, out.hi).shr(down));
      const c = hiWord(term.c);
      out.hi.set(
        mask !== undefined ? c.add(product.xor(mask).sub(mask)) : negative === true ? c.sub(product) : c.add(product),
      );
      continue;
    }
    f.callInto(fns.mul, [w.hi, w.lo, out.hi, out.lo], [out.hi, out.lo]);
    shiftDown(out, down);
    if (mask !== undefined) {
      setPair(out, out.hi.xor(mask), out.lo.xor(mask));
      subPair(f, out, mask, mask);
    } else if (negative === true) negatePair(out);
    addPair(f, out, hiWord(term.c), loWord(term.c));
  }
  f.callInto(fns.mul, [w.hi, w.lo, out.hi, out.lo], [out.hi, out.lo]);
  shiftDown(out, terms[0]!.shift);
}

function highProduct(f: Fn, a: Expr, b: Expr): Expr {
  const p = newPair(f);
  mulWide(f, a, b, p.hi, p.lo);
  return p.hi;
}

function shiftDown(p: Pair, n: number): void {
  if (n === 0) return;
  p.lo.set(p.lo.shr(n).or(p.hi.shl(64 - n)));
  p.hi.set(p.hi.shr(n));
}

/** A function (index) -> (hi, lo) that returns row `index` of a table of constants; out of range gives the last row. */
export function defineTable(lib: Lib, name: string, rows: readonly Words[]): FnRef {
  return lib.fn(name, ['i32'], ['i64', 'i64'], (f, index) => {
    const labels = rows.map(() => f.b.block());
    // The innermost block is the last label: give case 0 to it.
    labels.reverse();
    index!.gen(f.b);
    f.b.brTable(labels.slice(0, -1), labels[labels.length - 1]!);
    for (const row of rows) {
      f.b.end();
      f.ret(hiWord(row), loWord(row));
    }
  });
}

/** z = z -/+ z * q, renormalised; q a fraction. The truncation is on the side of inexactness. */
export function scaleBy(f: Fn, fns: WideFloatFns, z: Wf, q: Pair, negative: boolean | Var): void {
  const p = newPair(f);
  f.callInto(fns.mul, [z.hi, z.lo, q.hi, q.lo], [p.hi, p.lo]);
  const minus = (): void => {
    subPair(f, z, p.hi, p.lo);
    subPair(f, z, i64(0), i64(1));
    normalize(f, z);
  };
  const plus = (): void => {
    addPair(f, z, p.hi, p.lo);
    f.if(pairLess(z.hi, z.lo, p.hi, p.lo), () => {
      z.lo.set(z.lo.shr(1).or(z.hi.shl(63)));
      z.hi.set(z.hi.shr(1).or(i64(1).shl(63)));
      z.e.set(z.e.add(1));
    });
    z.lo.set(z.lo.or(1));
  };
  if (negative === true) minus();
  else if (negative === false) plus();
  else f.if(negative, minus, plus);
}

export const selectPair = (cond: Expr, a: Pair, b: Pair): [Expr, Expr] => [
  select(cond, a.hi, b.hi),
  select(cond, a.lo, b.lo),
];
