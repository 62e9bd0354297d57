import { describe, expect, it } from 'vitest';
import { randomSource, randomWords } from './random.ts';

describe('random words', () => {
  it('come out of a buffer that the source fills when it is empty, little-endian', () => {
    let fills = 0;
    const next = randomWords((bytes) => {
      fills++;
      bytes.forEach((_, n) => (bytes[n] = n));
    });
    expect(fills).toBe(0);
    expect([next(), next(), fills]).toEqual([0x03020100, 0x07060504, 1]);
    for (let n = 2; n < 1024; n++) next();
    expect([fills, next(), fills]).toEqual([1, 0x03020100, 2]);
  });

  it('are unsigned and differ', () => {
    const next = randomWords(randomSource(undefined));
    const seen = new Set(Array.from({ length: 2000 }, next));
    expect(seen.size).toBeGreaterThan(1990);
    expect([...seen].every((v) => Number.isInteger(v) && v >= 0 && v < 2 ** 32)).toBe(true);
    expect([...seen].some((v) => v >= 2 ** 31)).toBe(true);
  });
});

describe('a seed', () => {
  const take = (seed: number, count: number): number[] => {
    const next = randomWords(randomSource(seed));
    return Array.from({ length: count }, next);
  };
  it('repeats, and differs from others', () => {
    expect(take(1, 3000)).toEqual(take(1, 3000));
    expect(take(1, 8)).not.toEqual(take(2, 8));
    expect(take(1, 8)).not.toEqual(take(2 ** 32 + 1, 8));
  });
  it('has each bit about half of the time', () => {
    const words = take(7, 4000);
    for (let bit = 0; bit < 32; bit++) {
      const ones = words.filter((w) => (w & (1 << bit)) !== 0).length;
      expect(ones).toBeGreaterThan(1800);
      expect(ones).toBeLessThan(2200);
    }
  });
});
