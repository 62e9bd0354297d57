/**
 * 128-bit integer pieces written inline: wide multiply, shift with sticky bit, 128/64 division, 64-bit square root.
 * A 128-bit value is two i64 locals, `hi` and `lo`.
 */
import { f64, i64, k64, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';

const LOW32 = k64(0, 0xffffffff);

/** hi:lo = a * b. `hi` and `lo` must be other locals than `a` and `b`. */
export function mulWide(f: Fn, a: Expr, b: Expr, hi: Var, lo: Var): void {
  const a0 = f.i64(a.and(LOW32));
  const a1 = f.i64(a.shr(32));
  const b0 = f.i64(b.and(LOW32));
  const b1 = f.i64(b.shr(32));
  const mid1 = f.i64(a0.mul(b1).add(a0.mul(b0).shr(32)));
  const mid2 = f.i64(a1.mul(b0).add(mid1.and(LOW32)));
  hi.set(a1.mul(b1).add(mid1.shr(32)).add(mid2.shr(32)));
  lo.set(a.mul(b));
}

/** hi:lo >>= n (n >= 0, any size), ORing the bits shifted out into bit 0. */
export function shiftRightJam(f: Fn, hi: Var, lo: Var, n: Var): void {
  f.if(n.nz(), () => {
    const w = f.i64(n.extU());
    f.if(
      n.ltU(64),
      () => {
        const lost = f.i64(lo.shl(i64(64).sub(w)));
        lo.set(
          lo
            .shr(w)
            .or(hi.shl(i64(64).sub(w)))
            .or(lost.nz().extU()),
        );
        hi.set(hi.shr(w));
      },
      () => {
        f.if(
          n.eq(64),
          () => {
            lo.set(hi.or(lo.nz().extU()));
          },
          () => {
            f.if(
              n.ltU(128),
              () => {
                const lost = f.i64(lo.or(hi.shl(i64(128).sub(w))));
                lo.set(hi.shr(w).or(lost.nz().extU()));
              },
              () => {
                lo.set(hi.or(lo).nz().extU());
              },
            );
          },
        );
        hi.set(0);
      },
    );
  });
}

export interface WideFns {
  /** (hi, lo, d) -> (q, r): hi:lo / d for hi < d and the top bit of d set. */
  readonly divWide: FnRef;
  /** (n_hi, n_lo) -> (root, rem_hi, rem_lo): floor of the square root of hi:lo >= 2^126. */
  readonly sqrtWide: FnRef;
  /** (a, b) -> upper 64 bits of the product. */
  readonly mulHigh: FnRef;
}

export function defineWide(lib: Lib): WideFns {
  // Knuth, TAOCP vol. 2 §4.3.1 algorithm D, with two 32-bit quotient digits.
  const divWide = lib.fn('div_wide', ['i64', 'i64', 'i64'], ['i64', 'i64'], (f, hi, lo, d) => {
    const d1 = f.i64(d!.shr(32));
    const d0 = f.i64(d!.and(LOW32));
    const digit = (rem: Expr, next: Expr): [Var, Var] => {
      const q = f.i64(rem.divU(d1));
      const rhat = f.i64(rem.sub(q.mul(d1)));
      f.while(
        rhat
          .shr(32)
          .eqz()
          .and(
            q
              .shr(32)
              .nz()
              .or(q.mul(d0).gtU(rhat.shl(32).or(next))),
          ),
        () => {
          q.set(q.sub(1));
          rhat.set(rhat.add(d1));
        },
      );
      return [q, f.i64(rem.shl(32).or(next).sub(q.mul(d!)))];
    };
    const [q1, r1] = digit(hi!, lo!.shr(32));
    const [q0, r0] = digit(r1, lo!.and(LOW32));
    f.ret(q1.shl(32).add(q0), r0);
  });

  const mulHigh = lib.fn('mul_high', ['i64', 'i64'], ['i64'], (f, a, b) => {
    const hi = f.i64();
    const lo = f.i64();
    mulWide(f, a!, b!, hi, lo);
    f.ret(hi);
  });

  const sqrtWide = lib.fn('sqrt_wide', ['i64', 'i64'], ['i64', 'i64', 'i64'], (f, nHi, nLo) => {
    const two32 = f64(4294967296);
    const two64 = f64(18446744073709551616);
    const r = f.i64();
    const sq = f.i64();
    const sqLo = f.i64();
    const remHi = f.i64();
    const remLo = f.i64();
    const approx = f.f64(nHi!.un('f64_convert_i64_u', 'f64').un('f64_sqrt').mul(two32));
    // 2^64 itself does not fit: the estimate is clamped to the largest double below it.
    f.if(
      approx.ge(two64),
      () => r.set(k64(0xffffffff, 0xfffff800)),
      () => r.set(approx.un('i64_trunc_f64_u', 'i64')),
    );
    const remainder = (): void => {
      mulWide(f, r, r, sq, sqLo);
      remHi.set(nHi!.sub(sq).sub(nLo!.ltU(sqLo).extU()));
      remLo.set(nLo!.sub(sqLo));
    };
    remainder();
    // One Newton step on the signed remainder leaves the root within a few units of the truth.
    const rem = remHi.un('f64_convert_i64_s', 'f64').mul(two64).add(remLo.un('f64_convert_i64_u', 'f64'));
    const step = f.i64(rem.div(r.un('f64_convert_i64_u', 'f64').mul(2)).un('f64_floor').un('i64_trunc_f64_s', 'i64'));
    const next = f.i64(r.add(step));
    // A step that wraps past 2^64 means the root is at the very top.
    r.set(select(step.ge0().and(next.ltU(r)), i64(-1), next));
    remainder();
    f.while(remHi.ltS(0), () => {
      r.set(r.sub(1));
      remainder();
    });
    // rem > 2r means r is too small.
    f.while(exceedsTwice(remHi, remLo, r), () => {
      r.set(r.add(1));
      remainder();
    });
    f.ret(r, remHi, remLo);
  });

  return { divWide, sqrtWide, mulHigh };
}

/** hi:lo > 2 * r, for hi:lo >= 0. */
function exceedsTwice(hi: Expr, lo: Expr, r: Expr): Expr {
  return hi.gtU(r.shr(63)).or(hi.eq(r.shr(63)).and(lo.gtU(r.shl(1))));
}
