import { deflateSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { isIncompressible } from './incompressible.ts';

/** Bytes without structure, the same on every run. */
function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x >>> 11;
  }
  return bytes;
}

const CLUSTER = 65536;

describe('a cluster is not worth compressing', () => {
  it.each([1, 2, 3, 4, 5])('when it is noise (seed %i)', (seed) => {
    for (const length of [8192, CLUSTER, 1 << 20]) {
      const data = noise(length, seed);
      expect(isIncompressible(data)).toBe(true);
      expect(deflateSync(data).length).toBeGreaterThan(length * 0.99);
    }
  });

  it('when it is compressed already', () => {
    const text = new TextEncoder().encode(
      Array.from({ length: 40_000 }, (_, i) => `${i * i} lines of text\n`).join(''),
    );
    const packed = deflateSync(text).subarray(0, CLUSTER);
    expect(packed.length).toBe(CLUSTER);
    expect(isIncompressible(packed)).toBe(true);
  });
});

describe('a cluster is compressed', () => {
  it.each([
    ['zeroes', new Uint8Array(CLUSTER)],
    ['a counter', Uint8Array.from({ length: CLUSTER }, (_, i) => i)],
    ['text', new TextEncoder().encode('the quick brown fox jumps over the lazy dog '.repeat(1500).slice(0, CLUSTER))],
    ['noise of 7 bits', noise(CLUSTER).map((byte) => byte & 0x7f)],
  ])('%s', (_name, data) => {
    expect(isIncompressible(data)).toBe(false);
  });

  it('noise in which a part stands twice, at any distance and alignment', () => {
    for (const length of [2560, 8192])
      for (const from of [0, 777, 20_000])
        for (const to of [30_001, 40_003, CLUSTER - 8192]) {
          const data = noise(CLUSTER);
          data.copyWithin(to, from, from + length);
          expect([length, from, to, isIncompressible(data)]).toEqual([length, from, to, false]);
        }
  });

  it('noise whose end is zero', () => {
    const data = noise(CLUSTER);
    data.fill(0, CLUSTER - 4096);
    expect(isIncompressible(data)).toBe(false);
  });

  it('anything small', () => {
    expect(isIncompressible(noise(4096))).toBe(false);
  });
});
