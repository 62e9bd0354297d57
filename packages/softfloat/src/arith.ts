/**
 * The exact arithmetic shared by the 80-bit and the f32/f64 operations, as inline macros on unpacked operands.
 *
 * Operands are finite and not zero: exponent biased like the destination but unbounded, significand normalised
 * (top bit set). Results are in the intermediate form of `round.ts`. Sign is any i32 that is 0 or a fixed bit.
 */
import { MSB, i32, i64, select, type Fn, type Var } from './emit.ts';
import { mulWide, type WideFns } from './wide.ts';

export interface Unpacked {
  readonly sign: Var;
  readonly e: Var;
  readonly m: Var;
}
export interface Wide {
  readonly sign: Var;
  readonly e: Var;
  readonly hi: Var;
  readonly lo: Var;
}

export const newUnpacked = (f: Fn): Unpacked => ({ sign: f.i32(), e: f.i32(), m: f.i64() });
export const newWide = (f: Fn): Wide => ({ sign: f.i32(), e: f.i32(), hi: f.i64(), lo: f.i64() });

/** r = a + b. `onZero` must leave (return) when the sum is exactly zero. Destroys a and b. */
export function addCore(f: Fn, a: Unpacked, b: Unpacked, r: Wide, onZero: () => void): void {
  const { hi, lo, e, sign } = r;
  f.if(a.e.ltS(b.e).or(a.e.eq(b.e).and(a.m.ltU(b.m))), () => {
    for (const k of ['sign', 'e'] as const) {
      const t = f.i32(a[k]);
      a[k].set(b[k]);
      b[k].set(t);
    }
    const t = f.i64(a.m);
    a.m.set(b.m);
    b.m.set(t);
  });
  sign.set(a.sign);
  e.set(a.e);
  // Align the smaller one: hi:lo = b.m >> d with a sticky last bit.
  const d = f.i32(a.e.sub(b.e));
  const w = f.i64(d.extU());
  f.if(
    d.ltU(64),
    () => {
      hi.set(b.m.shr(w));
      lo.set(select(d.nz(), b.m.shl(w.neg()), i64(0)));
    },
    () => {
      hi.set(0);
      lo.set(1);
      f.if(d.eq(64), () => lo.set(b.m));
      f.if(d.eq(65), () => lo.set(b.m.shr(1).or(b.m.and(1))));
    },
  );
  f.if(
    a.sign.eq(b.sign),
    () => {
      hi.set(hi.add(a.m));
      f.if(hi.ltU(a.m), () => {
        lo.set(lo.shr(1).or(lo.and(1)).or(hi.shl(63)));
        hi.set(hi.shr(1).or(MSB));
        e.set(e.add(1));
      });
    },
    () => {
      hi.set(a.m.sub(hi).sub(lo.nz().extU()));
      lo.set(lo.neg());
      f.if(hi.ge0(), () => {
        f.if(hi.eqz(), () => {
          f.if(lo.eqz(), onZero);
          hi.set(lo);
          lo.set(0);
          e.set(e.sub(64));
        });
        const n = f.i64(hi.clz());
        f.if(n.nz(), () => {
          hi.set(hi.shl(n).or(lo.shr(n.neg())));
          lo.set(lo.shl(n));
          e.set(e.sub(n.wrap()));
        });
      });
    },
  );
}

/** r = a * b. */
export function mulCore(f: Fn, a: Unpacked, b: Unpacked, bias: number, r: Wide): void {
  const { hi, lo, e } = r;
  r.sign.set(a.sign.xor(b.sign));
  mulWide(f, a.m, b.m, hi, lo);
  e.set(a.e.add(b.e).sub(bias - 1));
  f.if(hi.ge0(), () => {
    hi.set(hi.shl(1).or(lo.shr(63)));
    lo.set(lo.shl(1));
    e.set(e.sub(1));
  });
}

/** r = a / b; lo tells the remainder's order against half of b. */
export function divCore(f: Fn, w: WideFns, a: Unpacked, b: Unpacked, bias: number, r: Wide): void {
  const rem = f.i64();
  r.sign.set(a.sign.xor(b.sign));
  r.e.set(a.e.sub(b.e).add(bias - 1));
  r.lo.set(0);
  f.if(a.m.geU(b.m), () => {
    r.lo.set(a.m.shl(63));
    a.m.set(a.m.shr(1));
    r.e.set(r.e.add(1));
  });
  f.callInto(w.divWide, [a.m, r.lo, b.m], [r.hi, rem]);
  const other = f.i64(b.m.sub(rem));
  r.lo.set(select(rem.eqz(), i64(0), select(rem.eq(other), MSB, select(rem.gtU(other), i64(-1), i64(1)))));
}

/** r = sqrt(a), a positive. */
export function sqrtCore(f: Fn, w: WideFns, a: Unpacked, bias: number, r: Wide): void {
  const k = f.i32(a.e.sub(bias));
  const remHi = f.i64();
  const remLo = f.i64();
  r.sign.set(0);
  r.e.set(k.sar(1).add(bias));
  r.lo.set(0);
  f.if(k.and(1).eqz(), () => {
    r.lo.set(a.m.shl(63));
    a.m.set(a.m.shr(1));
  });
  f.callInto(w.sqrtWide, [a.m, r.lo], [r.hi, remHi, remLo]);
  // (root + 1/2)^2 = root^2 + root + 1/4: past the middle when the remainder exceeds the root. No exact middle exists.
  const above = remHi.nz().or(remLo.gtU(r.hi));
  r.lo.set(select(remHi.or(remLo).eqz(), i64(0), select(above, i64(-1), i64(1))));
}

/** Splits an 80-bit operand that is finite and not zero; a denormal or pseudo-denormal is normalised. */
export function unpackF80(f: Fn, mant: Var, signExp: Var, u: Unpacked): void {
  u.sign.set(signExp.and(0x8000));
  u.e.set(signExp.and(0x7fff));
  u.m.set(mant);
  f.if(
    u.m.ge0(),
    () => {
      const n = f.i64(u.m.clz());
      u.m.set(u.m.shl(n));
      u.e.set(i32(1).sub(n.wrap()));
    },
    () => {
      f.if(u.e.eqz(), () => u.e.set(1));
    },
  );
}
