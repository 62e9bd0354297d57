import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantiate } from './instance.test-support.ts';

const { call } = instantiate();
const [ADD, ADC, SUB, SBB, LOGIC, INC, DEC, SHL, SAR, MUL, GIVEN] = Array.from({ length: 11 }, (_, k) => k) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const ONES = (1n << 64n) - 1n;
const half = (v: bigint, n: bigint): number => Number(BigInt.asIntN(32, v >> n));
/** `garbage` stands above the operation's width. */
function flags(kind: number, size: number, result: bigint, operand: bigint, carry = 0, garbage = 0n): number {
  const bits = BigInt(8 << size);
  const dirty = (v: bigint): bigint => BigInt.asUintN(64, BigInt.asUintN(Number(bits), v) | (garbage << bits));
  const [r, o] = [dirty(result), dirty(operand)];
  return call('x86_flags', 1 + kind * 4 + size, half(r, 0n), half(r, 32n), half(o, 0n), half(o, 32n), carry);
}
/** From first principles. */
function expected(size: number, result: bigint, carry: boolean, auxiliary: boolean, overflow: boolean): number {
  const r = BigInt.asUintN(8 << size, result);
  const ones = [...(r & 0xffn).toString(2)].filter((c) => c === '1').length;
  return (
    (carry ? 1 : 0) |
    (ones % 2 === 0 ? 4 : 0) |
    (auxiliary ? 0x10 : 0) |
    (r === 0n ? 0x40 : 0) |
    (BigInt.asIntN(8 << size, r) < 0n ? 0x80 : 0) |
    (overflow ? 0x800 : 0)
  );
}
const word = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    0x7fn,
    0x80n,
    0xffn,
    0x7fffn,
    0x8000n,
    0x7fff_ffffn,
    0x8000_0000n,
    ONES >> 1n,
    (ONES >> 1n) + 1n,
    ONES,
  ),
  fc.bigInt({ min: 0n, max: ONES }),
);

describe('x86_flags', () => {
  it('gives the flags of arithmetic of all sizes, whatever stands above the width', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        word,
        word,
        fc.integer({ min: 0, max: 1 }),
        word,
        (size, x, y, c, g) => {
          const bits = 8 << size;
          const m = 1n << BigInt(bits);
          const [a, b, k] = [x % m, y % m, BigInt(c)];
          const signed = (v: bigint): bigint => BigInt.asIntN(bits, v);
          const fits = (v: bigint): boolean => signed(v) === v;
          const add = (n: bigint): number =>
            expected(
              size,
              a + b + n,
              a + b + n >= m,
              (a & 15n) + (b & 15n) + n > 15n,
              !fits(signed(a) + signed(b) + n),
            );
          const sub = (n: bigint): number =>
            expected(size, a - b - n, a < b + n, (a & 15n) < (b & 15n) + n, !fits(signed(a) - signed(b) - n));
          expect(flags(ADD, size, a + b, b, 1, g)).toBe(add(0n));
          expect(flags(ADC, size, a + b + k, b, c, g)).toBe(add(k));
          expect(flags(SUB, size, a - b, b, 1, g)).toBe(sub(0n));
          expect(flags(SBB, size, a - b - k, b, c, g)).toBe(sub(k));
          expect(flags(LOGIC, size, a, b, 1, g)).toBe(expected(size, a, false, false, false));
          const most = m / 2n - 1n;
          expect(flags(INC, size, a + 1n, k, 0, g)).toBe(
            expected(size, a + 1n, c === 1, (a & 15n) === 15n, a === most),
          );
          expect(flags(DEC, size, a - 1n, k, 0, g)).toBe(
            expected(size, a - 1n, c === 1, (a & 15n) === 0n, a === most + 1n),
          );
          const top = (v: bigint): boolean => signed(v) < 0n;
          expect(flags(SHL, size, a, b, 0, g)).toBe(expected(size, a, top(b), false, top(a) !== top(b)));
          expect(flags(SAR, size, a, b, 0, g)).toBe(expected(size, a, (b & 1n) === 1n, false, top(a) !== top(b)));
          expect(flags(MUL, size, a, k, 0, 0n)).toBe(expected(size, a, c === 1, false, c === 1));
        },
      ),
      { seed: 1, numRuns: 2000 },
    );
  });

  it('takes given flags from the operand, and all of them when the operation is none', () => {
    expect(call('x86_flags', 1 + GIVEN * 4 + 2, 1, 0, 0x811, 0, 0)).toBe(0x811);
    expect(call('x86_flags', 0, 1, 2, -1, 3, 1)).toBe(0x8d5);
  });
});
