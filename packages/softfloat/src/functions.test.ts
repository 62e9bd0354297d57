/** The table of functions is what the module exports, and no function traps or writes outside its destination. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SOFTFLOAT_FUNCTIONS } from './functions.ts';
import { instantiate } from './instance.test-support.ts';

const s = instantiate();
const POINTER = /^(dst|src|a|b|c|x|y|dst[A-Z].*)$/;
/** The longest result is 16 bytes. */
const SLOT = 16;

describe('SOFTFLOAT_FUNCTIONS', () => {
  it('names every export once', () => {
    expect(SOFTFLOAT_FUNCTIONS.map((f) => f.name).sort()).toEqual([...s.names].sort());
  });

  it('has at most six parameters each', () => {
    expect(SOFTFLOAT_FUNCTIONS.filter((f) => f.params.length > 6)).toEqual([]);
  });
});

describe('hostile operands', () => {
  const word = fc.oneof(fc.integer(), fc.constantFrom(0, -1, 0x7fffffff, 0x80000000, 0xc0000000, 0x40000000));
  const exponents = fc.constantFrom(0, 1, 2, 0x3fff, 0x3ffe, 0x403e, 0x403f, 0x7ffe, 0x7fff, 0xffff, 0x8000, 0xbfff);
  for (const { name, params } of SOFTFLOAT_FUNCTIONS) {
    it(`${name} returns for any bytes and any control word, the same each time, and writes only its destination`, () => {
      fc.assert(
        fc.property(
          fc.array(word, { minLength: 16, maxLength: 16 }),
          fc.array(exponents, { minLength: 4, maxLength: 4 }),
          fc.array(word, { minLength: 6, maxLength: 6 }),
          (words, exps, scalars) => {
            const view = new DataView(s.bytes.buffer);
            const prepare = (): void => {
              s.bytes.fill(0xa5, 0, 256);
              words.forEach((w, i) => view.setInt32(64 + 4 * i, w, true));
              exps.forEach((e, i) => view.setUint16(64 + 16 * i + 8, e, true));
            };
            let next = 64;
            const destinations: number[] = [];
            const args = params.map((p, i) => {
              if (!POINTER.test(p)) return scalars[i]!;
              if (p.startsWith('dst')) destinations.push(160 + 32 * destinations.length);
              return p.startsWith('dst') ? destinations[destinations.length - 1]! : (next += SLOT) - SLOT;
            });
            prepare();
            const first = s.call(name, ...args);
            const image = s.bytes.slice(0, 256);
            prepare();
            const before = s.bytes.slice(0, 256);
            if (s.call(name, ...args) !== first) throw new Error(`${name} returned two results`);
            for (let i = 0; i < 256; i++) {
              if (s.bytes[i] !== image[i]) throw new Error(`${name} stored two results`);
              const inside = destinations.some((d) => i >= d && i < d + SLOT);
              if (!inside && image[i] !== before[i]) throw new Error(`${name} wrote byte ${i}`);
            }
          },
        ),
        { seed: 86, numRuns: 60 },
      );
    });
  }
});
