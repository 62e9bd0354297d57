/** f32/f64 lanes against the host's own IEEE arithmetic (round to nearest), and the x87 conversions through doubles. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantiate } from './instance.test-support.ts';

const s = instantiate();
const view = new DataView(s.bytes.buffer);
const DEFAULT_MXCSR = 0x1f80;
const RUNS = { seed: 754, numRuns: 2000 };

const bits64 = (v: number): bigint => {
  view.setFloat64(4096, v, true);
  return view.getBigUint64(4096, true);
};
/** Doubles of every kind, with many exact and many extreme cases. */
const double = fc.oneof(
  fc.double(),
  fc.double({ min: -1e6, max: 1e6 }),
  fc.integer().map((n) => n / 8),
  fc
    .tuple(fc.integer({ min: -1074, max: 1023 }), fc.integer({ min: -4096, max: 4096 }))
    .map(([e, n]) => n * 2 ** (e / 2) * 2 ** (e - e / 2)),
  fc.constantFrom(
    0,
    -0,
    1,
    -1,
    Infinity,
    -Infinity,
    Number.MIN_VALUE,
    -Number.MIN_VALUE,
    Number.MAX_VALUE,
    2 ** -1022,
    NaN,
  ),
);
const single = double.map((v) => Math.fround(v));
const OPS: readonly (readonly [name: string, op: (a: number, b: number) => number])[] = [
  ['add', (a, b) => a + b],
  ['sub', (a, b) => a - b],
  ['mul', (a, b) => a * b],
  ['div', (a, b) => a / b],
];
const same = (got: number, want: number): void => {
  if (!Object.is(got, want)) throw new Error(`${got} want ${want}`); // not expect(): called a hundred thousand times
};

describe('f64 lanes against the host', () => {
  for (const [name, op] of OPS) {
    it(`sse_${name}_f64`, () => {
      fc.assert(
        fc.property(double, double, double, double, (a, b, c, d) => {
          [a, b, c, d].forEach((v, i) => view.setFloat64([0, 16, 8, 24][i]!, v, true));
          s.call(`sse_${name}_f64`, 32, 0, 16, 2, DEFAULT_MXCSR);
          same(view.getFloat64(32, true), op(a, b));
          same(view.getFloat64(40, true), op(c, d));
        }),
        RUNS,
      );
    });
    it(`sse_${name}_f32`, () => {
      fc.assert(
        fc.property(single, single, (a, b) => {
          view.setFloat32(0, a, true);
          view.setFloat32(16, b, true);
          s.call(`sse_${name}_f32`, 32, 0, 16, 1, DEFAULT_MXCSR);
          same(view.getFloat32(32, true), Math.fround(op(a, b)));
        }),
        RUNS,
      );
    });
  }
  it('square roots', () => {
    fc.assert(
      fc.property(double, (a) => {
        view.setFloat64(0, a, true);
        view.setFloat32(16, a, true);
        s.call('sse_sqrt_f64', 32, 0, 1, DEFAULT_MXCSR);
        s.call('sse_sqrt_f32', 48, 16, 1, DEFAULT_MXCSR);
        same(view.getFloat64(32, true), Math.sqrt(a));
        same(view.getFloat32(48, true), Math.fround(Math.sqrt(Math.fround(a))));
      }),
      RUNS,
    );
  });
  it('width and integer conversions', () => {
    fc.assert(
      fc.property(double, fc.integer(), (a, n) => {
        view.setFloat64(0, a, true);
        view.setInt32(16, n, true);
        s.call('sse_cvt_f64_f32', 32, 0, 1, DEFAULT_MXCSR);
        same(view.getFloat32(32, true), Math.fround(a));
        s.call('sse_cvtt_f64_i32', 32, 0, 1, DEFAULT_MXCSR);
        const whole = Math.trunc(a);
        expect(view.getInt32(32, true)).toBe(whole >= -(2 ** 31) && whole < 2 ** 31 ? whole | 0 : -(2 ** 31));
        s.call('sse_cvt_i32_f32', 32, 16, 1, DEFAULT_MXCSR);
        same(view.getFloat32(32, true), Math.fround(n));
      }),
      RUNS,
    );
  });
  it('fused multiply-add gives the rounding error of a product exactly', () => {
    const big = fc
      .integer({ min: -(2 ** 31), max: 2 ** 31 })
      .chain((h) => fc.integer({ min: 0, max: 2 ** 21 }).map((l) => h * 2 ** 21 + l));
    fc.assert(
      fc.property(big, big, (a, b) => {
        const p = a * b;
        [a, b, -p].forEach((v, i) => view.setFloat64(16 * i, v, true));
        expect(s.call('sse_fma_f64', 48, 0, 16, 32, 1, DEFAULT_MXCSR)).toBe(0);
        const error = Number(BigInt(a) * BigInt(b) - BigInt(p));
        if (view.getFloat64(48, true) !== error) throw new Error(`${view.getFloat64(48, true)} want ${error}`);
        // Negated both ways it is the same error with the other sign.
        s.call('sse_fma_f64', 48, 0, 16, 32, 0x301, DEFAULT_MXCSR);
        if (view.getFloat64(48, true) !== (error === 0 ? 0 : -error)) throw new Error('negation');
      }),
      RUNS,
    );
  });
  it('an unmasked exception in one lane keeps the whole result back and hides later flags', () => {
    view.setFloat64(0, 1, true);
    view.setFloat64(8, 1, true);
    view.setFloat64(16, 0, true);
    view.setFloat64(24, 3, true);
    view.setFloat64(32, 7, true);
    expect(s.call('sse_div_f64', 32, 0, 16, 2, DEFAULT_MXCSR & ~(4 << 7))).toBe(4);
    expect(view.getFloat64(32, true)).toBe(7);
    expect(s.call('sse_div_f64', 32, 0, 16, 2, DEFAULT_MXCSR)).toBe(4 | 32);
    expect(view.getFloat64(32, true)).toBe(Infinity);
  });
});

describe('x87 conversions through doubles', () => {
  it('f64 -> f80 -> f64 is the identity, and f80 arithmetic at 53 bits agrees with the host', () => {
    fc.assert(
      fc.property(
        double.filter((v) => !Number.isNaN(v)),
        double.filter((v) => !Number.isNaN(v)),
        (a, b) => {
          view.setFloat64(0, a, true);
          view.setFloat64(8, b, true);
          s.call('f80_from_f64', 16, 0, 0x37f);
          s.call('f80_from_f64', 32, 8, 0x37f);
          s.call('f80_to_f64', 48, 16, 0x37f);
          expect(view.getBigUint64(48, true)).toBe(bits64(a));
          s.call('f80_mul', 64, 16, 32, 0x27f);
          const flags = s.call('f80_to_f64', 48, 64, 0x27f);
          // Rounding twice only shows where the second step denormalises.
          if (!(flags & 16)) same(view.getFloat64(48, true), a * b);
        },
      ),
      RUNS,
    );
  });
  it('integers go through f80 unchanged, in binary and in BCD', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }), (n) => {
        view.setBigInt64(0, n, true);
        s.call('f80_from_i64', 16, 0);
        expect(s.call('f80_to_bcd', 32, 16, 0x37f)).toBe(0);
        const digits = (n < 0n ? -n : n).toString().padStart(18, '0');
        const bcd = Array.from({ length: 9 }, (_, i) => s.bytes[40 - i]!.toString(16).padStart(2, '0')).join('');
        expect(bcd).toBe(digits);
        s.call('f80_from_bcd', 48, 32);
        expect(s.call('f80_to_i64', 64, 48, 0x37f, 0)).toBe(0);
        expect(view.getBigInt64(64, true)).toBe(n);
      }),
      { seed: 18, numRuns: 500 },
    );
  });
});
