/**
 * Products and quotients of 128 bits as straight-line IR over i64: pure, no helper, the same in both tiers. What nobody
 * uses of it vanishes (the high half of a product is often needed for its flags only).
 * Division: D. E. Knuth, The Art of Computer Programming vol. 2, §4.3.1, Algorithm D with digits of 32 bits, without branches.
 */
import type { Value } from '@emkit/ir';
import type { Narrow } from './narrow.ts';

/** High half of the unsigned product of two i64. */
export function highProduct(n: Narrow, x: Value, y: Value): Value {
  const { b } = n;
  const half = b.i64(32);
  const mask = b.i64(0xffffffff);
  const x0 = b.and(x, mask);
  const x1 = b.shr(x, half);
  const y0 = b.and(y, mask);
  const y1 = b.shr(y, half);
  const middle = b.add(b.mul(x1, y0), b.shr(b.mul(x0, y0), half));
  const other = b.add(b.mul(x0, y1), b.and(middle, mask));
  return b.add(b.add(b.mul(x1, y1), b.shr(middle, half)), b.shr(other, half));
}
/** High half of the signed product. */
export function highProductSigned(n: Narrow, x: Value, y: Value): Value {
  const { b } = n;
  const sign = b.i64(63);
  const excess = b.add(b.and(b.sar(x, sign), y), b.and(b.sar(y, sign), x));
  return b.sub(highProduct(n, x, y), excess);
}

/** One digit of the quotient: (rest * 2^32 + digit) / v, where v has its top bit set and rest < v. */
function digit(n: Narrow, rest: Value, next: Value, v: Value): { q: Value; rest: Value } {
  const { b } = n;
  const half = b.i64(32);
  const mask = b.i64(0xffffffff);
  const v1 = b.shr(v, half);
  const v0 = b.and(v, mask);
  let q = b.divU(rest, v1);
  let r = b.sub(rest, b.mul(q, v1));
  // the estimate is at most two too large
  for (let k = 0; k < 2; k++) {
    const large = b.or(b.ne(b.shr(q, half), b.i64(0)), b.gtU(b.mul(q, v0), b.or(b.shl(r, half), next)));
    // once the remainder has left 32 bits the estimate is right
    const wrong = n.extend(b.and(large, b.eqz(b.shr(r, half))));
    q = b.sub(q, wrong);
    r = b.add(r, b.and(b.neg(wrong), v1));
  }
  return { q, rest: b.sub(b.add(b.shl(rest, half), next), b.mul(q, v)) };
}

/** Quotient and remainder of high:low by v, unsigned; correct where high < v. Any v, also 0, may be given: nothing traps. */
export function divideWide(n: Narrow, high: Value, low: Value, v: Value): { q: Value; r: Value } {
  const { b } = n;
  const half = b.i64(32);
  const mask = b.i64(0xffffffff);
  const divisor = b.or(v, n.extend(b.eqz(v)));
  const s = b.clz(divisor);
  const normal = b.shl(divisor, s);
  // low >> (64 - s) without the count of 64, which would be 0
  const carried = b.shr(b.shr(low, b.i64(1)), b.sub(b.i64(63), s));
  const top = b.or(b.shl(high, s), carried);
  const bottom = b.shl(low, s);
  const first = digit(n, top, b.shr(bottom, half), normal);
  const second = digit(n, first.rest, b.and(bottom, mask), normal);
  return { q: b.add(b.shl(first.q, half), second.q), r: b.shr(second.rest, s) };
}
