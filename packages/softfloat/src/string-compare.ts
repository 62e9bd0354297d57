/**
 * PCMPESTRx and PCMPISTRx: two short strings compared and the outcomes aggregated. SDM Vol. 1 §12.10.3-12.10.5 and Vol. 2B.
 * Control byte: bits 1-0 element type (u8 u16 s8 s16), 3-2 aggregation (any, ranges, each, ordered), 5-4 polarity,
 * 6 output (least/most significant index, or bit/byte mask). Outcomes are bits, one for each element of the second string.
 */
import { call, i32, select, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import { bytes, shuffle, vconst, vector, vload, vop, vstore } from './emit-vector.ts';

const CF = 0x1;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;

interface Strings {
  readonly count: number;
  readonly shape: 'i8x16' | 'i16x8';
  /** Address of the first string, and both as vectors. */
  readonly a: Var;
  readonly va: Var;
  readonly vb: Var;
  readonly la: Var;
  readonly validA: Var;
  readonly validB: Var;
}

const bitmask = (s: Strings, v: Expr): Expr => vop(`${s.shape}_bitmask`, 'i32', v);
/** Element j of the first string in all lanes. */
const spread = (s: Strings, j: Expr): Expr =>
  s.count === 16 ? vload(s.a.add(j), 'v128_load8_splat') : vload(s.a.add(j.shl(1)), 'v128_load16_splat');
const equalTo = (s: Strings, j: Expr): Expr => bitmask(s, vector(`${s.shape}_eq`, s.vb, spread(s, j)));

/** Outcomes before polarity. */
function aggregate(f: Fn, s: Strings, imm: Var): Var {
  const all = (1 << s.count) - 1;
  const result = f.i32(0);
  const j = f.i32(0);
  const kind = f.i32(imm.shr(2).and(3));
  const ranges = (sign: 's' | 'u'): void =>
    f.while(j.add(1).ltU(s.la), () => {
      const above = vector(`${s.shape}_ge_${sign}`, s.vb, spread(s, j));
      const below = vector(`${s.shape}_le_${sign}`, s.vb, spread(s, j.add(1)));
      result.set(result.or(bitmask(s, vector('v128_and', above, below))));
      j.set(j.add(2));
    });
  f.block((done) => {
    f.if(kind.eqz(), () => {
      f.while(j.ltU(s.la), () => {
        result.set(result.or(equalTo(s, j)));
        j.set(j.add(1));
      });
      result.set(result.and(s.validB));
    });
    f.if(kind.eq(1), () => {
      f.if(
        imm.and(2),
        () => ranges('s'),
        () => ranges('u'),
      );
      result.set(result.and(s.validB));
    });
    f.if(kind.eq(2), () => {
      // two valid elements compare, two invalid ones are equal
      const equal = bitmask(s, vector(`${s.shape}_eq`, s.va, s.vb));
      result.set(equal.and(s.validA).and(s.validB).or(s.validA.or(s.validB).xor(all)));
    });
    f.if(kind.eq(3), () => {
      // the first string at each position of the second; what lies beyond the register counts as found
      result.set(all);
      f.while(j.ltU(s.la), () => {
        const found = equalTo(s, j).and(s.validB).shr(j);
        result.set(result.and(found.or(i32(all).shr(j).not())));
        j.set(j.add(1));
      });
    });
    done();
  });
  return result;
}

/** One bit for each element, or elements of all ones. */
function storeMask(f: Fn, s: Strings, dst: Var, imm: Var, outcome: Var): void {
  f.if(
    imm.and(0x40),
    () => {
      const spreadBits = f.v128(vector('i16x8_splat', outcome));
      const placed =
        s.count === 16
          ? shuffle(
              spreadBits,
              spreadBits,
              bytes((n) => n >> 3),
            )
          : spreadBits;
      const places = s.count === 16 ? bytes((n) => 1 << (n & 7)) : bytes((n) => ((n & 1) === 0 ? 1 << (n >> 1) : 0));
      const zero = vconst(bytes(() => 0));
      vstore(f, dst, vector(`${s.shape}_ne`, vector('v128_and', placed, vconst(places)), zero));
    },
    () => {
      f.store('i64_store', dst, outcome.extU());
      f.store('i64_store', dst, 0, 8);
    },
  );
}

function defineWidth(lib: Lib, count: 8 | 16): FnRef {
  const shape = count === 16 ? 'i8x16' : 'i16x8';
  return lib.fn(
    `pcmpstr_${shape}`,
    ['i32', 'i32', 'i32', 'i32', 'i32', 'i32'],
    ['i32'],
    (f, dst, a, b, imm, givenA, givenB) => {
      const va = f.v128(vload(a!));
      const vb = f.v128(vload(b!));
      /** Elements before the first zero, or the magnitude of the length given. */
      const length = (v: Var, given: Var): Var => {
        const zeros = vop(`${shape}_bitmask`, 'i32', vector(`${shape}_eq`, v, vconst(bytes(() => 0))));
        const sign = given.sar(31);
        const magnitude = f.i32(given.xor(sign).sub(sign));
        return f.i32(
          select(imm!.and(0x100), select(magnitude.ltU(count), magnitude, i32(count)), zeros.or(1 << count).ctz()),
        );
      };
      const la = length(va, givenA!);
      const lb = length(vb, givenB!);
      const valid = (n: Var): Var => f.i32(i32(1).shl(n).sub(1));
      const validB = valid(lb);
      const s: Strings = { count, shape, a: a!, va, vb, la, validA: valid(la), validB };
      const outcome = aggregate(f, s, imm!);
      f.if(imm!.and(0x10), () => outcome.set(outcome.xor(select(imm!.and(0x20), validB, i32((1 << count) - 1)))));
      storeMask(f, s, dst!, imm!, outcome);
      const end = select(imm!.and(0x40), i32(31).sub(outcome.clz()), outcome.ctz());
      const index = select(outcome, end, i32(count));
      const flag = (condition: Expr, bit: number): Expr => select(condition, i32(bit), i32(0));
      f.ret(
        index
          .shl(16)
          .or(flag(outcome, CF))
          .or(flag(lb.ltU(count), ZF))
          .or(flag(la.ltU(count), SF))
          .or(flag(outcome.and(1), OF)),
      );
    },
  );
}

export function defineStringCompare(lib: Lib): void {
  const byBytes = defineWidth(lib, 16);
  const byWords = defineWidth(lib, 8);
  lib.export('pcmpstr', 6, (f, ...p) => {
    f.if(p[3]!.and(1), () => f.ret(call(byWords, ...p)));
    f.ret(call(byBytes, ...p));
  });
}
