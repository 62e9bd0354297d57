import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HELD_BY_DEBUGGER, HELD_BY_GUEST, LinearNumbers, MAX_HELD } from './linear-numbers.ts';

const wide = (): LinearNumbers => {
  const numbers = new LinearNumbers(true);
  numbers.setWide(true);
  return numbers;
};
const halves = (address: bigint): [low: number, high: number] => [
  Number(BigInt.asIntN(32, address)),
  Number(BigInt.asIntN(32, address >> 32n)),
];
const of = (numbers: LinearNumbers, address: bigint): number => numbers.of(...halves(address));
const back = (numbers: LinearNumbers, n: number): bigint => (BigInt(numbers.high(n)) << 32n) | BigInt((n | 0) >>> 0);
const address57 = fc.bigInt({ min: -(2n ** 56n), max: 2n ** 56n - 1n });

describe('48-bit addresses', () => {
  it('are their own numbers, with five-level paging too', () => {
    for (const numbers of [new LinearNumbers(false), wide()])
      fc.assert(
        fc.property(fc.bigInt({ min: -(2n ** 47n), max: 2n ** 47n - 1n }), (address) => {
          const n = of(numbers, address);
          expect(n).toBe(Number(address));
          expect(back(numbers, n)).toBe(address);
          expect([numbers.canonical(n), numbers.one(n)]).toEqual([true, n]);
          expect(numbers.page(n)).toBe(Number(address >> 12n));
          expect(numbers.ofPage(numbers.page(n))).toBe(Number(address & ~4095n));
        }),
      );
  });
  it('are canonical where bits 63 to 47 are equal', () => {
    const numbers = new LinearNumbers(false);
    for (const [address, canonical] of [
      [2n ** 47n - 1n, true],
      [2n ** 47n, false],
      [-(2n ** 47n), true],
      [-(2n ** 47n) - 1n, false],
      [2n ** 56n, false],
    ] as const) {
      expect(numbers.canonicalHigh(halves(address)[1])).toBe(canonical);
      expect(numbers.canonical(of(numbers, address))).toBe(canonical);
    }
    expect(numbers.canonicalBase(0x8000)).toBe(false);
    expect(new LinearNumbers(true).canonicalBase(0x8000)).toBe(true);
  });
});

describe('57-bit addresses', () => {
  it('come back exactly, and so does what lies near them', () => {
    const numbers = wide();
    const near = fc.oneof(fc.integer({ min: -8192, max: 8192 }), fc.integer({ min: -(2 ** 43), max: 2 ** 43 }));
    fc.assert(
      fc.property(address57, near, (address, offset) => {
        const n = of(numbers, address);
        expect(Number.isSafeInteger(n) && Number.isSafeInteger(n + offset)).toBe(true);
        expect(back(numbers, n)).toBe(address);
        const moved = address + BigInt(offset);
        const isCanonical = moved >= -(2n ** 56n) && moved < 2n ** 56n;
        expect(numbers.canonical(n + offset)).toBe(isCanonical);
        if (!isCanonical) return;
        expect(back(numbers, n + offset)).toBe(moved);
        expect(numbers.one(n + offset)).toBe(of(numbers, moved));
        expect(numbers.page(n + offset)).toBe(Number(moved >> 12n));
        expect(back(numbers, numbers.ofPage(numbers.page(n)))).toBe(address & ~4095n);
      }),
      { numRuns: 5000 },
    );
  });
  it('are found from beside the canonical ones', () => {
    const numbers = wide();
    expect(back(numbers, of(numbers, 2n ** 56n + 8n) - 16)).toBe(2n ** 56n - 8n);
    expect(back(numbers, of(numbers, -(2n ** 56n) - 8n) + 16)).toBe(-(2n ** 56n) + 8n);
    expect(numbers.canonical(of(numbers, 2n ** 56n + 8n))).toBe(false);
    expect(numbers.canonical(of(numbers, 2n ** 56n + 8n) - 16)).toBe(true);
  });
  it('are exact at every border of areas', () => {
    const numbers = wide();
    for (let area = -4096n; area < 4096n; area++) {
      const border = area << 44n;
      const n = of(numbers, border);
      expect(back(numbers, n)).toBe(border);
      expect(numbers.canonical(n - 1)).toBe(area > -4096n);
      if (area > -4096n) {
        expect(back(numbers, n - 1)).toBe(border - 1n);
        expect(numbers.one(n - 1)).toBe(of(numbers, border - 1n));
        expect(back(numbers, of(numbers, border - 1n) + 1)).toBe(border);
      }
    }
  });
  it('end at bit 56', () => {
    const numbers = wide();
    for (const [address, canonical] of [
      [2n ** 47n, true],
      [2n ** 56n - 1n, true],
      [2n ** 56n, false],
      [-(2n ** 56n), true],
      [-(2n ** 56n) - 1n, false],
      [2n ** 63n - 1n, false],
      [-(2n ** 63n), false],
    ] as const) {
      expect(numbers.canonicalHigh(halves(address)[1])).toBe(canonical);
      expect(numbers.canonical(of(numbers, address))).toBe(canonical);
    }
  });
  it('stay while other areas are asked for, however old they are', () => {
    const numbers = wide();
    const [old, ...rest] = Array.from({ length: 1000 }, (_, k) => BigInt(k + 100) << 44n);
    const others = rest.slice(0, 298 - 1);
    of(numbers, old!);
    for (const a of others) of(numbers, a);
    const n = of(numbers, old! + 7n);
    for (const a of rest.slice(297, 297 + 296)) of(numbers, a);
    expect(back(numbers, n)).toBe(old! + 7n);
  });
  it('of one instruction stay apart while others come and go', () => {
    const numbers = wide();
    const kept: [bigint, number][] = [];
    for (let k = 0; k < 5000; k++) {
      const address = (BigInt((k * 2654435761) % 8192) - 4096n) * 2n ** 44n + BigInt(k);
      kept.push([address, of(numbers, address)]);
      if (kept.length > 200) kept.shift();
      expect(kept.every(([a, n]) => back(numbers, n) === a)).toBe(true);
    }
  });
  it('that are held stay', () => {
    const numbers = wide();
    const address = -(0xefn << 48n);
    const n = numbers.hold(...halves(address), HELD_BY_GUEST)!;
    const churn = (): void => {
      for (let k = 0n; k < 4000n; k++) of(numbers, (k << 44n) | 5n);
    };
    churn();
    expect(back(numbers, n)).toBe(address);
    expect(of(numbers, address)).toBe(n);
    numbers.release(HELD_BY_DEBUGGER);
    churn();
    expect(back(numbers, n)).toBe(address);
    numbers.release(HELD_BY_GUEST);
    churn();
    expect(back(numbers, n)).not.toBe(address);
  });
  it('are held before five-level paging is on, up to a limit', () => {
    const numbers = new LinearNumbers(true);
    const address = 0x00ab_cdef_1234_5678n;
    const n = numbers.hold(...halves(address), HELD_BY_DEBUGGER)!;
    expect(numbers.canonical(n)).toBe(false);
    numbers.setWide(true);
    expect(of(numbers, address)).toBe(n);
    let held = 1;
    for (let k = 100n; k < 1000n; k++) if (numbers.hold(...halves(k << 44n), HELD_BY_DEBUGGER) !== null) held++;
    expect(held).toBe(MAX_HELD);
    expect(numbers.hold(...halves(100n << 44n), HELD_BY_DEBUGGER)).not.toBeNull();
    expect(numbers.hold(...halves(5n << 44n), HELD_BY_DEBUGGER)).toBe(Number(5n << 44n));
    expect(numbers.hold(...halves(2000n << 44n), HELD_BY_GUEST)).not.toBeNull();
  });
});
