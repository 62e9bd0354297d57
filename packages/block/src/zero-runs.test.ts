import { describe, expect, it } from 'vitest';
import { nextRun } from './zero-runs.ts';

/** Unit by unit, byte by byte. */
function expected(bytes: Uint8Array, from: number, unit: number): { length: number; zero: boolean } {
  const isZero = (at: number): boolean => bytes.subarray(at, at + unit).every((byte) => byte === 0);
  const zero = isZero(from);
  let end = from;
  while (end < bytes.length && isZero(end) === zero) end += unit;
  return { length: Math.min(end, bytes.length) - from, zero };
}

function runs(bytes: Uint8Array, unit: number, next: typeof nextRun): { length: number; zero: boolean }[] {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const { length, zero } = next(bytes, at, unit);
    found.push({ length, zero });
    at += length;
  }
  return found;
}

describe('nextRun', () => {
  const UNIT = 16;

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21, 22, 85, 86, 341, 342, 400])(
    '%d units of zeroes, with data before and behind',
    (units) => {
      for (const tail of [0, 1, UNIT - 1, UNIT, 3 * UNIT]) {
        const bytes = new Uint8Array((2 + units) * UNIT + tail);
        bytes.fill(1, 0, 2 * UNIT);
        for (let i = (2 + units) * UNIT; i < bytes.length; i += UNIT) bytes[bytes.length - 1] = bytes[i] = 1;
        expect(runs(bytes, UNIT, nextRun)).toEqual(runs(bytes, UNIT, expected));
      }
    },
  );

  it('is what a look at each byte gives', () => {
    let seed = 1;
    const random = (below: number): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % below;
    for (let round = 0; round < 300; round++) {
      const bytes = new Uint8Array(1 + random(100 * UNIT));
      for (let at = 0; at < bytes.length;) {
        const length = 1 + random(random(2) === 0 ? 3 * UNIT : 40 * UNIT);
        if (random(2) === 0) bytes.fill(1 + random(255), at, at + length);
        // data that does not begin with its first byte
        else if (random(3) === 0) bytes[Math.min(bytes.length - 1, at + random(UNIT))] = 1;
        at += length;
      }
      expect(runs(bytes, UNIT, nextRun)).toEqual(runs(bytes, UNIT, expected));
    }
  });
});
