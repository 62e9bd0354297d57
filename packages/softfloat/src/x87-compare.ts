/** FCOM/FUCOM/FCOMI (one function, condition codes as result) and FXAM. SDM Vol. 1 §8.1.3.3, Vol. 2A "FCOM", "FXAM" table 3-43. */
import { call, i32, load, select, type FnRef, type Lib } from './emit.ts';
import { C0, C2, C3, DE, IE } from './flags.ts';
import { expandF32, expandF64 } from './x87-expand.ts';
import { isDenormal, isNan, isSignalling, isSpecial, isUnsupported, isZero } from './x87-nan.ts';

export function defineX87Compare(lib: Lib): void {
  const compare = lib.fn(
    'cmp',
    ['i64', 'i32', 'i64', 'i32', 'i32', 'i32'],
    ['i32'],
    (f, ma, sea, mb, seb, quiet, de) => {
      const unsupported = f.i32(isUnsupported(ma!, sea!).or(isUnsupported(mb!, seb!)));
      const nanA = f.i32(isNan(ma!, sea!));
      const nanB = f.i32(isNan(mb!, seb!));
      f.if(unsupported.or(nanA).or(nanB), () => {
        const signalling = nanA.and(isSignalling(ma!)).or(nanB.and(isSignalling(mb!)));
        f.ret(select(quiet!.eqz().or(unsupported).or(signalling), i32(C0 | C2 | C3 | IE), i32(C0 | C2 | C3)));
      });
      const flags = f.i32(de!.or(select(isDenormal(ma!, sea!).or(isDenormal(mb!, seb!)), i32(DE), i32(0))));
      f.if(isZero(ma!, sea!).and(isZero(mb!, seb!)), () => f.ret(flags.or(C3)));
      f.if(sea!.xor(seb!).and(0x8000), () => f.ret(flags.or(select(sea!.and(0x8000), i32(C0), i32(0)))));
      // A pseudo-denormal is the smallest normal exponent with another name.
      const expA = f.i32(sea!.and(0x7fff));
      const expB = f.i32(seb!.and(0x7fff));
      expA.set(select(expA.eqz().and(ma!.ltS(0)), i32(1), expA));
      expB.set(select(expB.eqz().and(mb!.ltS(0)), i32(1), expB));
      f.if(expA.eq(expB).and(ma!.eq(mb!)), () => f.ret(flags.or(C3)));
      const less = expA.ltU(expB).or(expA.eq(expB).and(ma!.ltU(mb!)));
      f.ret(flags.or(select(less.ne(sea!.shr(15)), i32(C0), i32(0))));
    },
  );
  lib.export('f80_cmp', 3, (f, a, b, quiet) => {
    f.ret(
      call(
        compare,
        load('i64_load', a!),
        load('i32_load16_u', a!, 8),
        load('i64_load', b!),
        load('i32_load16_u', b!, 8),
        quiet!,
        0,
      ),
    );
  });
  const memoryForm = (name: string, width: 32 | 64): FnRef =>
    lib.export(name, 2, (f, a, src) => {
      const m = f.i64();
      const se = f.i32();
      const de = f.i32(0);
      if (width === 32) expandF32(f, load('i32_load', src!), m, se, de);
      else expandF64(f, load('i64_load', src!), m, se, de);
      f.ret(call(compare, load('i64_load', a!), load('i32_load16_u', a!, 8), m, se, 0, de));
    });
  memoryForm('f80_cmp_m32', 32);
  memoryForm('f80_cmp_m64', 64);

  lib.export('f80_xam', 2, (f, a, empty) => {
    const m = f.i64(load('i64_load', a!));
    const se = f.i32(load('i32_load16_u', a!, 8));
    const sign = f.i32(se.shr(15).shl(9)); // C1
    f.if(empty!, () => f.ret(sign.or(C3 | C0)));
    f.if(isUnsupported(m, se), () => f.ret(sign));
    f.if(isSpecial(se), () => f.ret(sign.or(select(isNan(m, se), i32(C0), i32(C2 | C0)))));
    f.if(isZero(m, se), () => f.ret(sign.or(C3)));
    f.ret(sign.or(select(isDenormal(m, se), i32(C3 | C2), i32(C2))));
  });
}
