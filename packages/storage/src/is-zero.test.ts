import { describe, expect, it, vi } from 'vitest';
import { isZero } from './is-zero.ts';

const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 31, 33, 1023, 1024, 1025, 4096, 65535, 65536, 65537, 140_001];

async function withoutMemcmp(): Promise<typeof isZero> {
  vi.resetModules();
  vi.stubGlobal('Buffer', undefined);
  try {
    return (await import('./is-zero.ts')).isZero;
  } finally {
    vi.unstubAllGlobals();
  }
}

describe.each([
  ['with the host’s memcmp', () => Promise.resolve(isZero)],
  ['without', withoutMemcmp],
])('isZero %s', (_name, load) => {
  it('sees each single byte, at any alignment and length', async () => {
    const check = await load();
    for (const length of LENGTHS) {
      const memory = new Uint8Array(length + 16).fill(0xff);
      for (const start of [0, 1, 3, 4, 7]) {
        const bytes = memory.subarray(start, start + length);
        bytes.fill(0);
        expect([length, start, check(bytes)]).toEqual([length, start, true]);
        const places =
          length <= 64 ? [...bytes.keys()] : [0, 1, 5, length >> 1, (length >> 1) + 1, length - 2, length - 1];
        for (const at of places) {
          bytes[at] = 0x80;
          expect([length, start, at, check(bytes)]).toEqual([length, start, at, false]);
          bytes[at] = 0;
        }
        memory.fill(0xff);
      }
    }
  });
});
