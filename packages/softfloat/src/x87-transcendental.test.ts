/** The transcendental functions against 400-bit fixed-point series: never more than 0.51 units in the last of 64 places. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantiate } from './instance.test-support.ts';

const s = instantiate();
const view = new DataView(s.bytes.buffer);
const F = 400n;
const ONE = 1n << F;
const mul = (a: bigint, b: bigint): bigint => (a * b) >> F;
const div = (a: bigint, b: bigint): bigint => (a << F) / b;
const tiny = (t: bigint): boolean => t === 0n || t === -1n;

function oddSeries(x: bigint, alternate: boolean): bigint {
  const w = mul(x, x);
  let sum = 0n;
  for (let n = 1n, p = x, sign = 1n; !tiny(p); n += 2n, p = mul(p, w), sign = alternate ? -sign : 1n)
    sum += (sign * p) / n;
  return sum;
}
const PI = 4n * (4n * oddSeries(ONE / 5n, true) - oddSeries(ONE / 239n, true));
/** SDM Vol. 1 §8.3.8: pi as the x87 has it in argument reduction, 66 bits. */
const PI66 = ((0xc90fdaa22168c234n << 2n) | 3n) << (F - 64n);
const LN2 = 2n * oddSeries(ONE / 3n, false);

function sinCos(x: bigint): [bigint, bigint] {
  const half = PI66 / 2n;
  const k = (x + (x >= 0n ? half / 2n : -half / 2n)) / half;
  const r = x - k * half;
  const sums = [0n, 0n];
  for (let n = 0n, t = ONE; !tiny(t); n++, t = mul(t, r) / n) sums[Number(n & 1n)]! += n & 2n ? -t : t;
  const [c, sn] = sums as [bigint, bigint];
  return (
    [
      [sn, c],
      [c, -sn],
      [-sn, -c],
      [-c, sn],
    ] as [bigint, bigint][]
  )[Number(((k % 4n) + 4n) % 4n)]!;
}
function exp(x: bigint): bigint {
  let sum = 0n;
  for (let n = 0n, t = ONE; !tiny(t); n++, t = mul(t, x) / n) sum += t;
  return sum;
}
function ln(x: bigint): bigint {
  let k = 0n;
  let m = x;
  for (; m > (ONE * 4n) / 3n; k++) m >>= 1n;
  for (; m < (ONE * 2n) / 3n; k--) m <<= 1n;
  return 2n * oddSeries(div(m - ONE, m + ONE), false) + k * LN2;
}
/** atan by four halvings of the argument: atan x = 2 atan(x / (1 + sqrt(1 + x^2))). */
function atan(x: bigint): bigint {
  let y = x;
  for (let i = 0; i < 4; i++) y = div(y, ONE + root(ONE + mul(y, y)));
  return 16n * oddSeries(y, true);
}
function root(v: bigint): bigint {
  const n = v << F;
  let x = 1n << BigInt(n.toString(16).length * 2 + 1);
  for (;;) {
    const y = (x + n / x) >> 1n;
    if (y >= x) return x;
    x = y;
  }
}
function atan2(y: bigint, x: bigint): bigint {
  if (y < 0n) return -atan2(-y, x);
  if (x < 0n) return PI - atan2(y, -x);
  return y < x ? atan(div(y, x)) : PI / 2n - atan(div(x, y));
}

interface F80 {
  readonly sign: number;
  readonly e: number;
  readonly mant: bigint;
}
const place = (e: number): bigint => BigInt(e - 63) + F;
const valueOf = (v: F80): bigint =>
  (place(v.e) >= 0n ? v.mant << place(v.e) : v.mant >> -place(v.e)) * (v.sign ? -1n : 1n);
function put(at: number, v: F80): void {
  view.setBigUint64(at, v.mant, true);
  view.setUint16(at + 8, (v.e + 16383) | (v.sign << 15), true);
}
/** Error of the result at `at`, in thousandths of its last place. */
function error(at: number, want: bigint): number {
  const se = view.getUint16(at + 8, true);
  const got: F80 = { sign: se >> 15, e: (se & 0x7fff) - 16383, mant: view.getBigUint64(at, true) };
  const d = valueOf(got) - want;
  return Number(((d < 0n ? -d : d) * 1000n) >> place(got.e));
}
const number = (min: number, max: number, signed = true): fc.Arbitrary<F80> =>
  fc.record({
    sign: fc.integer({ min: 0, max: signed ? 1 : 0 }),
    e: fc.integer({ min, max }),
    mant: fc
      .tuple(fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }), fc.integer({ min: 0, max: 62 }), fc.boolean())
      .map(([m, k, whole]) => (1n << 63n) | (whole ? m : (m >> BigInt(k)) << BigInt(k))),
  });
const [A, B, DST, DST2, FCW] = [0, 16, 32, 48, 0x37f];
const LIMIT = 510;

function describeFunction(
  name: string,
  x: fc.Arbitrary<F80>,
  y: fc.Arbitrary<F80>,
  args: readonly number[],
  want: (x: bigint, y: bigint) => readonly bigint[],
): void {
  it(name, () => {
    fc.assert(
      fc.property(x, y, (a, b) => {
        put(A, a);
        put(B, b);
        s.call(name, ...args, FCW);
        want(valueOf(a), valueOf(b)).forEach((v, i) => expect(error(DST + 16 * i, v)).toBeLessThanOrEqual(LIMIT));
      }),
      { seed: 387, numRuns: 150 },
    );
  });
}

describe('transcendental functions are within 0.51 ulp', () => {
  const any = number(-20, 20);
  describeFunction('f80_2xm1', number(-60, -1), any, [DST, A], (x) => [exp(mul(x, LN2)) - ONE]);
  describeFunction('f80_yl2x', number(-40, 40, false), any, [DST, A, B], (x, y) => [mul(y, div(ln(x), LN2))]);
  describeFunction('f80_yl2x', number(-1, 0, false), any, [DST, A, B], (x, y) => [mul(y, div(ln(x), LN2))]);
  describeFunction('f80_yl2xp1', number(-60, -3), any, [DST, A, B], (x, y) => [mul(y, div(ln(ONE + x), LN2))]);
  describeFunction('f80_atan', any, number(-30, 30), [DST, A, B], (y, x) => [atan2(y, x)]);
  describeFunction('f80_sin', number(-40, 62), any, [DST, A], (x) => [sinCos(x)[0]]);
  describeFunction('f80_cos', number(-40, 62), any, [DST, A], (x) => [sinCos(x)[1]]);
  describeFunction('f80_sincos', number(-10, 10), any, [DST, DST2, A], (x) => sinCos(x));
  describeFunction('f80_tan', number(-40, 62), any, [DST, DST2, A], (x) => [div(...sinCos(x)), ONE]);
});

describe('special operands', () => {
  const run = (name: string, a: F80): number => {
    put(A, a);
    put(DST, { sign: 0, e: 0, mant: 7n });
    return s.call(name, DST, A, FCW);
  };
  it('sets C2 and stores nothing from 2^63 on', () => {
    expect(run('f80_sin', { sign: 1, e: 63, mant: 1n << 63n })).toBe(0x400);
    expect(view.getBigUint64(DST, true)).toBe(7n);
    expect(run('f80_sin', { sign: 1, e: 62, mant: (1n << 64n) - 1n }) & 0x400).toBe(0);
  });
  it('cos 0 = 1, 2^0 - 1 = 0, exactly', () => {
    expect(run('f80_cos', { sign: 0, e: -16383, mant: 0n })).toBe(0);
    expect(view.getUint16(DST + 8, true)).toBe(0x3fff);
    expect(run('f80_2xm1', { sign: 1, e: -16383, mant: 0n })).toBe(0);
    expect(view.getUint16(DST + 8, true)).toBe(0x8000);
  });
});
