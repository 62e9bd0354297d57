import { describe, expect, it } from 'vitest';
import { MAX_PIECES } from './limits.ts';
import { Pieces } from './pieces.ts';

/** Small numbers in a fixed order that looks like none. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    yield state >>> 16;
  }
}

describe('Pieces', () => {
  it('agrees with a row of flags on random pieces', () => {
    const next = numbers(1);
    for (let round = 0; round < 300; round++) {
      const pieces = new Pieces();
      const flags = new Array<boolean>(40).fill(false);
      for (let n = 0; n < 30; n++) {
        const start = next.next().value % 40;
        const end = start + 1 + (next.next().value % Math.min(8, 40 - start));
        const isFree = !flags.slice(start, end).includes(true);
        expect(pieces.add(start, end)).toBe(isFree);
        // one that was refused ends the connection
        if (!isFree) break;
        flags.fill(true, start, end);
        expect(pieces.isComplete(0, 40)).toBe(!flags.includes(false));
      }
    }
  });

  it('is complete when all has come, in whatever order', () => {
    const pieces = new Pieces();
    for (const start of [30, 0, 20, 10]) expect(pieces.add(start, start + 10)).toBe(true);
    expect(pieces.isComplete(0, 40)).toBe(true);
    expect(pieces.isComplete(0, 41)).toBe(false);
    expect(new Pieces().isComplete(5, 5)).toBe(true);
  });

  it('bounds the gaps', () => {
    const pieces = new Pieces();
    for (let n = 0; n < MAX_PIECES; n++) expect(pieces.add(2 * n, 2 * n + 1)).toBe(true);
    expect(pieces.add(2 * MAX_PIECES, 2 * MAX_PIECES + 1)).toBe(false);
  });
});
