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
});
