/**
 * PCLMULQDQ: the carry-less product of two 64-bit values. SDM Vol. 2B "PCLMULQDQ".
 *
 * Integer multiplication is carry-less when operands have bits four apart: at most eight terms of 32-bit operands fall on one
 * place, and their count stays below the next place. Sixteen such products give a 32-bit one; three of those (Karatsuba) the whole.
 */
import { call, i32, i64, k64, load, type Expr, type Lib } from './emit.ts';

/** Every fourth bit of 64, from bit n. */
const everyFourth = (n: number): Expr => k64(0x11111111 << n, 0x11111111 << n);

export function defineClmul(lib: Lib): void {
  const narrow = lib.fn('clmul32', ['i64', 'i64'], ['i64'], (f, x, y) => {
    const xs = [0, 1, 2, 3].map((n) => f.i64(x!.and(everyFourth(n))));
    const ys = [0, 1, 2, 3].map((n) => f.i64(y!.and(everyFourth(n))));
    const result = f.i64(0);
    for (let n = 0; n < 4; n++) {
      const terms = xs.map((v, k) => v.mul(ys[(n - k) & 3]!)).reduce((p, q) => p.xor(q));
      result.set(result.or(terms.and(everyFourth(n))));
    }
    f.ret(result);
  });
  lib.export('clmul', 4, (f, dst, a, b, imm) => {
    const x = f.i64(load('i64_load', a!.add(imm!.and(1).shl(3))));
    const y = f.i64(load('i64_load', b!.add(imm!.shr(4).and(1).shl(3))));
    const low32 = (v: Expr): Expr => v.and(i64(0xffffffff));
    const low = f.i64(call(narrow, low32(x), low32(y)));
    const high = f.i64(call(narrow, x.shr(32), y.shr(32)));
    const middle = f.i64(
      call(narrow, low32(x).xor(x.shr(32)), low32(y).xor(y.shr(32)))
        .xor(low)
        .xor(high),
    );
    f.store('i64_store', dst!, low.xor(middle.shl(32)));
    f.store('i64_store', dst!, high.xor(middle.shr(32)), 8);
    f.ret(i32(0));
  });
}
