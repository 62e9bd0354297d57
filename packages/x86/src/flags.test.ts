import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  KIND_ADC,
  KIND_ADD,
  KIND_DEC,
  KIND_GIVEN,
  KIND_INC,
  KIND_LOGIC,
  KIND_MUL,
  KIND_SAR,
  KIND_SBB,
  KIND_SHL,
  KIND_SUB,
  ccOp,
  evaluateFlags,
} from './flags.ts';
import { FLAGS_ARITH, FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from './state.ts';

/** Flags from first principles: unbounded integers, one definition each. SDM Vol. 1 §3.4.3.1. */
function reference(bits: number, result: number, carry: boolean, auxiliary: boolean, overflow: boolean): number {
  const m = 2 ** bits;
  const r = ((result % m) + m) % m;
  let ones = 0;
  for (let k = 0; k < 8; k++) if (Math.floor(r / 2 ** k) % 2 === 1) ones++;
  return (
    (carry ? FLAG_CF : 0) |
    (ones % 2 === 0 ? FLAG_PF : 0) |
    (auxiliary ? FLAG_AF : 0) |
    (r === 0 ? FLAG_ZF : 0) |
    (r >= m / 2 ? FLAG_SF : 0) |
    (overflow ? FLAG_OF : 0)
  );
}
const signed = (v: number, bits: number): number => (v >= 2 ** (bits - 1) ? v - 2 ** bits : v);

const operand = fc.oneof(
  fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.nat(0xffffffff),
);
const cases = fc.tuple(
  fc.integer({ min: 0, max: 2 }),
  operand,
  operand,
  fc.integer({ min: 0, max: 1 }),
  fc.nat(0xffffffff),
);

describe('evaluateFlags', () => {
  it('gives the flags of additions and subtractions, with carry in, whatever stands above the width', () => {
    fc.assert(
      fc.property(cases, ([size, x, y, c, garbage]) => {
        const bits = 8 << size;
        const m = 2 ** bits;
        const a = x % m;
        const b = y % m;
        const dirty = (v: number): number => (bits === 32 ? v | 0 : (v & (m - 1)) | (garbage << bits));
        const add = (k: number): number =>
          reference(
            bits,
            a + b + k,
            a + b + k >= m,
            (a % 16) + (b % 16) + k > 15,
            Math.abs(signed(a, bits) + signed(b, bits) + k + 0.5) > m / 2,
          );
        const sub = (k: number): number =>
          reference(
            bits,
            a - b - k,
            a - b - k < 0,
            (a % 16) - (b % 16) - k < 0,
            Math.abs(signed(a, bits) - signed(b, bits) - k + 0.5) > m / 2,
          );
        expect(evaluateFlags(ccOp(KIND_ADD, size), dirty(a + b), dirty(b), garbage)).toBe(add(0));
        expect(evaluateFlags(ccOp(KIND_ADC, size), dirty(a + b + c), dirty(b), c)).toBe(add(c));
        expect(evaluateFlags(ccOp(KIND_SUB, size), dirty(a - b), dirty(b), garbage)).toBe(sub(0));
        expect(evaluateFlags(ccOp(KIND_SBB, size), dirty(a - b - c), dirty(b), c)).toBe(sub(c));
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  it('gives the flags of INC and DEC with the carry kept, and of logic', () => {
    fc.assert(
      fc.property(cases, ([size, x, , c]) => {
        const bits = 8 << size;
        const m = 2 ** bits;
        const a = x % m;
        expect(evaluateFlags(ccOp(KIND_INC, size), a + 1, c, 0)).toBe(
          reference(bits, a + 1, c === 1, a % 16 === 15, a === m / 2 - 1),
        );
        expect(evaluateFlags(ccOp(KIND_DEC, size), a - 1, c, 0)).toBe(
          reference(bits, a - 1, c === 1, a % 16 === 0, a === m / 2),
        );
        expect(evaluateFlags(ccOp(KIND_LOGIC, size), a, 12345, 1)).toBe(reference(bits, a, false, false, false));
      }),
      { seed: 2, numRuns: 2000 },
    );
  });

  it('takes CF of shifts from the value one step before, and given flags as they are', () => {
    expect(evaluateFlags(ccOp(KIND_SHL, 0), 0x00, 0x80, 0)).toBe(FLAG_CF | FLAG_ZF | FLAG_PF | FLAG_OF);
    expect(evaluateFlags(ccOp(KIND_SHL, 2), 0x80000000, 0x40000000, 0)).toBe(FLAG_SF | FLAG_PF | FLAG_OF);
    expect(evaluateFlags(ccOp(KIND_SAR, 1), 0x0000, 0x0001, 0)).toBe(FLAG_CF | FLAG_ZF | FLAG_PF);
    expect(evaluateFlags(ccOp(KIND_MUL, 2), 5, 1, 0) & (FLAG_CF | FLAG_OF)).toBe(FLAG_CF | FLAG_OF);
    expect(evaluateFlags(ccOp(KIND_GIVEN, 2), 1, FLAG_CF | FLAG_AF, 0)).toBe(FLAG_CF | FLAG_AF);
    expect(evaluateFlags(0, 1, -1, 0)).toBe(FLAGS_ARITH);
  });

  it('gives those of 64 bits from the halves', () => {
    const wide = fc.oneof(
      fc.constantFrom(0n, 1n, 0xffff_ffffn, 0x1_0000_0000n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n),
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    );
    const M = 1n << 64n;
    const s = (v: bigint): bigint => BigInt.asIntN(64, v);
    const half = (v: bigint, n: bigint): number => Number(BigInt.asIntN(32, v >> n));
    const evaluate = (kind: number, dst: bigint, src: bigint, c: number): number =>
      evaluateFlags(ccOp(kind, 3), half(dst, 0n), half(src, 0n), c, half(dst, 32n), half(src, 32n));
    const expected = (result: bigint, carry: boolean, auxiliary: boolean, overflow: boolean): number => {
      const r = BigInt.asUintN(64, result);
      const low = reference(8, Number(r & 0xffn), carry, auxiliary, overflow) & ~(FLAG_ZF | FLAG_SF);
      return low | (r === 0n ? FLAG_ZF : 0) | (r >> 63n !== 0n ? FLAG_SF : 0);
    };
    fc.assert(
      fc.property(wide, wide, fc.integer({ min: 0, max: 1 }), (a, b, c) => {
        const add = (k: bigint): number =>
          expected(a + b + k, a + b + k >= M, (a & 15n) + (b & 15n) + k > 15n, s(a) + s(b) + k !== s(s(a) + s(b) + k));
        const sub = (k: bigint): number =>
          expected(a - b - k, a < b + k, (a & 15n) < (b & 15n) + k, s(a) - s(b) - k !== s(s(a) - s(b) - k));
        const k = BigInt(c);
        expect(evaluate(KIND_ADD, a + b, b, 1)).toBe(add(0n));
        expect(evaluate(KIND_ADC, a + b + k, b, c)).toBe(add(k));
        expect(evaluate(KIND_SUB, a - b, b, 1)).toBe(sub(0n));
        expect(evaluate(KIND_SBB, a - b - k, b, c)).toBe(sub(k));
        expect(evaluate(KIND_INC, a + 1n, k, 0)).toBe(expected(a + 1n, c === 1, (a & 15n) === 15n, a === M / 2n - 1n));
        expect(evaluate(KIND_DEC, a - 1n, k, 0)).toBe(expected(a - 1n, c === 1, (a & 15n) === 0n, a === M / 2n));
        expect(evaluate(KIND_LOGIC, a, b, 1)).toBe(expected(a, false, false, false));
      }),
      { seed: 3, numRuns: 3000 },
    );
    expect(evaluate(KIND_SHL, 0n, 1n << 63n, 0)).toBe(FLAG_CF | FLAG_ZF | FLAG_PF | FLAG_OF);
    expect(evaluate(KIND_SAR, 0n, 1n, 0)).toBe(FLAG_CF | FLAG_ZF | FLAG_PF);
  });
});
