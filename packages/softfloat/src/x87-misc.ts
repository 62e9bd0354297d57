/** FSCALE, FPREM, FPREM1, FXTRACT: exact except that FSCALE may overflow or denormalise. SDM Vol. 2A under each. */
import { MSB, call, i32, i64, load, select, type Expr, type Fn, type Lib, type Var } from './emit.ts';
import { newUnpacked, unpackF80 } from './arith.ts';
import { C2, DE, FCW_PC_64, ZE } from './flags.ts';
import { F80_BIAS } from './formats.ts';
import { storeF80 } from './round.ts';
import type { X87Core } from './x87-arith.ts';
import { isDenormal, isInfinity, isZero, raiseDenormal } from './x87-nan.ts';

/** Extra result bit of FPREM and FPREM1: no quotient was formed, and recorded hardware then leaves C0 and C3 as they were. */
const KEEP_C0_C3 = 0x10000;

interface Operands {
  readonly ma: Var;
  readonly sea: Var;
  readonly mb: Var;
  readonly seb: Var;
}

function loadOperands(f: Fn, c: X87Core, dst: Var, a: Var, b: Var, fcw: Var, marker = 0): Operands {
  const o = {
    ma: f.i64(load('i64_load', a)),
    sea: f.i32(load('i32_load16_u', a, 8)),
    mb: f.i64(load('i64_load', b)),
    seb: f.i32(load('i32_load16_u', b, 8)),
  };
  const special = f.i32(call(c.nan.nan2, dst, o.ma, o.sea, o.mb, o.seb, fcw));
  f.if(special.ge0(), () => f.ret(special.or(marker)));
  return o;
}

function denormals(f: Fn, o: Operands, fcw: Expr, marker = 0): Var {
  const flags = f.i32(select(isDenormal(o.ma, o.sea).or(isDenormal(o.mb, o.seb)), i32(DE), i32(0)));
  f.if(flags.and(fcw.not()), () => f.ret(flags.or(marker)));
  return flags;
}

export function defineX87Misc(lib: Lib, c: X87Core): void {
  lib.export('f80_scale', 4, (f, dst, a, b, fcw) => {
    const o = loadOperands(f, c, dst!, a!, b!, fcw!);
    const infA = f.i32(isInfinity(o.ma, o.sea));
    const zeroA = f.i32(isZero(o.ma, o.sea));
    const negB = f.i32(o.seb.shr(15));
    const infB = f.i32(isInfinity(o.mb, o.seb));
    f.if(infB.and(select(negB, infA, zeroA)), () => f.ret(call(c.nan.invalid, dst!, fcw!)));
    const flags = denormals(f, o, fcw!);
    f.if(infB, () => {
      storeF80(f, dst!, o.sea.and(0x8000).or(select(negB, i32(0), i32(0x7fff))), select(negB, i64(0), MSB));
      f.ret(flags);
    });
    f.if(infA.or(zeroA), () => {
      storeF80(f, dst!, o.sea, o.ma);
      f.ret(flags);
    });
    // Truncate b; beyond 2^17 every result overflows or vanishes anyway.
    const n = f.i32(0);
    const exp = f.i32(o.seb.and(0x7fff).sub(F80_BIAS));
    f.if(exp.ge0(), () => {
      n.set(select(exp.ltU(17), o.mb.shr(i64(63).sub(exp.extU())).wrap(), i32(1 << 17)));
      n.set(select(negB, n.neg(), n));
    });
    const u = newUnpacked(f);
    unpackF80(f, o.ma, o.sea, u);
    f.ret(call(c.round.f80, dst!, u.sign, u.e.add(n), u.m, 0, fcw!.or(FCW_PC_64)).or(flags));
  });

  for (const nearest of [false, true]) defineRemainder(lib, c, nearest);

  lib.export('f80_xtract', 4, (f, dstExp, dstSig, a, fcw) => {
    const m = f.i64(load('i64_load', a!));
    const se = f.i32(load('i32_load16_u', a!, 8));
    const special = f.i32(call(c.nan.nan1, dstSig!, m, se, fcw!));
    f.if(special.ge0(), () => {
      f.if(special.and(fcw!.not()).eqz(), () =>
        storeF80(f, dstExp!, load('i32_load16_u', dstSig!, 8), load('i64_load', dstSig!)),
      );
      f.ret(special);
    });
    f.if(isInfinity(m, se), () => {
      storeF80(f, dstSig!, se, m);
      storeF80(f, dstExp!, i32(0x7fff), MSB);
      f.ret(i32(0));
    });
    f.if(isZero(m, se), () => {
      f.if(fcw!.and(ZE), () => {
        storeF80(f, dstSig!, se, m);
        storeF80(f, dstExp!, i32(0xffff), MSB);
      });
      f.ret(i32(ZE));
    });
    const flags = f.i32(select(isDenormal(m, se), i32(DE), i32(0)));
    raiseDenormal(f, flags, fcw!);
    const u = newUnpacked(f);
    unpackF80(f, m, se, u);
    const k = f.i32(u.e.sub(F80_BIAS));
    const mag = f.i64(select(k.ltS(0), k.neg(), k).extU());
    const n = f.i64(mag.clz());
    storeF80(f, dstSig!, u.sign.or(F80_BIAS), u.m);
    storeF80(
      f,
      dstExp!,
      select(
        k.eqz(),
        i32(0),
        i32(F80_BIAS + 63)
          .sub(n.wrap())
          .or(select(k.ltS(0), i32(0x8000), i32(0))),
      ),
      mag.shl(n),
    );
    f.ret(flags);
  });
}

function defineRemainder(lib: Lib, c: X87Core, nearest: boolean): void {
  lib.export(nearest ? 'f80_prem1' : 'f80_prem', 4, (f, dst, a, b, fcw) => {
    const o = loadOperands(f, c, dst!, a!, b!, fcw!, KEEP_C0_C3);
    f.if(isInfinity(o.ma, o.sea).or(isZero(o.mb, o.seb)), () => f.ret(call(c.nan.invalid, dst!, fcw!).or(KEEP_C0_C3)));
    const flags = denormals(f, o, fcw!, KEEP_C0_C3);
    f.if(isZero(o.ma, o.sea).or(isInfinity(o.mb, o.seb)), () => {
      storeF80(f, dst!, o.sea, o.ma);
      f.ret(flags);
    });
    const x = newUnpacked(f);
    const y = newUnpacked(f);
    unpackF80(f, o.ma, o.sea, x);
    unpackF80(f, o.mb, o.seb, y);
    const d = f.i32(x.e.sub(y.e));
    const q = f.i64(0);
    const r = f.i64(x.m);
    const e = f.i32(x.e);
    const steps = f.i32(d);
    // 64 or more quotient bits are left to the next round: this one lowers the exponent by 32 to 63.
    f.if(d.geS(64), () => {
      steps.set(d.and(31).or(32));
      flags.set(flags.or(C2));
    });
    f.if(d.ge0(), () => {
      e.set(x.e.sub(steps));
      const carry = f.i32(0);
      const left = f.i32(steps.add(1));
      f.while(left.nz(), () => {
        q.set(q.shl(1));
        f.if(carry.or(r.geU(y.m)), () => {
          r.set(r.sub(y.m));
          q.set(q.or(1));
        });
        left.set(left.sub(1));
        f.if(left.nz(), () => {
          carry.set(r.ltS(0));
          r.set(r.shl(1));
        });
      });
    });
    if (nearest) {
      // Nearest quotient: compare the remainder with half of the divisor. Below 2^-1 of it nothing changes.
      f.if(flags.and(C2).eqz().and(d.geS(-1)), () => {
        const above = f.i32();
        f.if(
          d.ge0(),
          () => {
            const other = f.i64(y.m.sub(r));
            above.set(r.gtU(other).or(r.eq(other).and(q.wrap().and(1))));
            f.if(above, () => r.set(other));
          },
          () => {
            // x.e = y.e - 1: x > y/2 exactly when its significand is larger; y - x is then 2*y.m - x.m at x's exponent.
            above.set(x.m.gtU(y.m));
            f.if(above, () => r.set(y.m.shl(1).sub(x.m)));
          },
        );
        f.if(above, () => {
          q.set(q.add(1));
          x.sign.set(x.sign.xor(0x8000));
        });
      });
    }
    f.if(flags.and(C2).eqz(), () => {
      // Quotient bits 2, 1, 0 go to C0, C3, C1.
      const w = f.i32(q.wrap());
      flags.set(flags.or(w.and(4).shl(6)).or(w.and(2).shl(13)).or(w.and(1).shl(9)));
    });
    f.if(r.eqz(), () => {
      storeF80(f, dst!, x.sign, i64(0));
      f.ret(flags);
    });
    const n = f.i64(r.clz());
    f.ret(call(c.round.f80, dst!, x.sign, e.sub(n.wrap()), r.shl(n), 0, fcw!.or(FCW_PC_64)).or(flags));
  });
}
