/** AES, SHA, carry-less products and string comparison against the standards' examples and models of the manual's text. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantiate } from './instance.test-support.ts';
import { compareStrings } from './string-compare.test-support.ts';

const s = instantiate();
const A = 16;
const B = 32;
const C = 48;
const DST = 64;
const view = new DataView(s.bytes.buffer);
const put = (at: number, v: ArrayLike<number>): void => s.bytes.set(v, at);
const result = (): number[] => [...s.bytes.slice(DST, DST + 16)];
const bytesOf = (hex: string): number[] => (hex.match(/../g) ?? []).map((h) => parseInt(h, 16));
const hexOf = (v: ArrayLike<number>): string => Array.from(v, (b) => b.toString(16).padStart(2, '0')).join('');

/** op(x, y) of 16-byte values. */
function apply(name: string, x: ArrayLike<number>, y?: ArrayLike<number>, ...more: number[]): number[] {
  put(A, x);
  if (y !== undefined) put(B, y);
  s.call(name, DST, A, ...(y === undefined ? [] : [B]), ...more);
  return result();
}
const xor = (x: number[], y: number[]): number[] => x.map((v, n) => v ^ y[n]!);

describe('AES', () => {
  // FIPS 197 appendix B and C.1
  const key = bytesOf('000102030405060708090a0b0c0d0e0f');
  const plain = bytesOf('00112233445566778899aabbccddeeff');
  const cipher = '69c4e0d86a7b0430d8cdb78070b4c55a';
  const schedule = (): number[][] => {
    const keys = [key];
    for (
      let round = 0, constant = 1;
      round < 10;
      round++, constant = (constant << 1) ^ (constant >= 0x80 ? 0x11b : 0)
    ) {
      const last = keys[round]!;
      const word = apply('aes_keygen', last, undefined, constant).slice(12);
      const next: number[] = [];
      for (let n = 0; n < 16; n++) next.push(last[n]! ^ (n < 4 ? word[n]! : next[n - 4]!));
      keys.push(next);
    }
    return keys;
  };

  it("encrypts the standard's example", () => {
    const keys = schedule();
    expect(hexOf(keys[10]!)).toBe('13111d7fe3944a17f307a78b4d2b30c5');
    let state = xor(plain, keys[0]!);
    for (let n = 1; n < 10; n++) state = apply('aes_enc', state, keys[n]);
    expect(hexOf(apply('aes_enclast', state, keys[10]))).toBe(cipher);
  });

  it('decrypts it with the equivalent inverse cipher', () => {
    const keys = schedule();
    let state = xor(bytesOf(cipher), keys[10]!);
    for (let n = 9; n > 0; n--) {
      const roundKey = apply('aes_imc', keys[n]!);
      state = apply('aes_dec', state, roundKey);
    }
    expect(apply('aes_declast', state, keys[0])).toEqual(plain);
  });
});

describe('SHA', () => {
  /** "abc" padded to one block, as big-endian words. FIPS 180-4 examples. */
  const block = Array.from({ length: 16 }, (_, n) => (n === 0 ? 0x61626380 : n === 15 ? 24 : 0));
  /** Four words as a vector, the first in the highest lane (SHA-1) or the lowest (SHA-256). */
  const vector = (w: readonly number[], reversed: boolean): number[] => {
    const order = reversed ? [...w].reverse() : w;
    return order.flatMap((v) => [0, 8, 16, 24].map((k) => (v >>> k) & 0xff));
  };
  const wordsOf = (v: readonly number[]): number[] =>
    [0, 1, 2, 3].map((n) => (v[4 * n]! | (v[4 * n + 1]! << 8) | (v[4 * n + 2]! << 16) | (v[4 * n + 3]! << 24)) >>> 0);
  const add = (x: number[], y: number[]): number[] => {
    const [p, q] = [wordsOf(x), wordsOf(y)];
    return vector(
      p.map((v, n) => (v + q[n]!) | 0),
      false,
    );
  };

  it('SHA-1 of "abc"', () => {
    const w = [0, 4, 8, 12].map((n) => vector(block.slice(n, n + 4), true));
    for (let n = 4; n < 20; n++) {
      const mixed = xor(apply('sha1_msg1', w[n - 4]!, w[n - 3]), w[n - 2]!);
      w.push(apply('sha1_msg2', mixed, w[n - 1]));
    }
    const initial = vector([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476], true);
    const initialE = vector([0xc3d2e1f0, 0, 0, 0], true);
    let state = initial;
    let before = initial;
    for (let n = 0; n < 20; n++) {
      const message = n === 0 ? add(initialE, w[0]!) : apply('sha1_nexte', before, w[n]);
      before = state;
      state = apply('sha1_rnds4', state, message, Math.floor(n / 5));
    }
    const digest = [...wordsOf(add(state, initial)).reverse(), wordsOf(apply('sha1_nexte', before, initialE))[3]!];
    expect(digest.map((v) => v.toString(16).padStart(8, '0')).join('')).toBe(
      'a9993e364706816aba3e25717850c26c9cd0d89d',
    );
  });

  it('SHA-256 of "abc"', () => {
    // the constants are the fractions of cube roots of the first primes (FIPS 180-4 §4.2.2), the initial state of square roots
    const primes = Array.from({ length: 400 }, (_, n) => n).filter(
      (n) => n > 1 && !Array.from({ length: n }, (_, d) => d).some((d) => d > 1 && n % d === 0),
    );
    const root = (n: number, power: bigint): number => {
      // integer root of n * 2^(32 * power), whose low 32 bits are the fraction
      const target = BigInt(n) << (32n * power);
      let x = 0n;
      for (let k = 40n; k >= 0n; k--) if ((x + (1n << k)) ** power <= target) x += 1n << k;
      return Number(x & 0xffffffffn);
    };
    const k = primes.slice(0, 64).map((p) => root(p, 3n));
    const h = primes.slice(0, 8).map((p) => root(p, 2n));
    const w = [0, 4, 8, 12].map((n) => vector(block.slice(n, n + 4), false));
    for (let n = 4; n < 16; n++) {
      const mixed = apply('sha256_msg1', w[n - 4]!, w[n - 3]);
      const shifted = [...w[n - 2]!.slice(4), ...w[n - 1]!.slice(0, 4)];
      w.push(apply('sha256_msg2', add(mixed, shifted), w[n - 1]));
    }
    const [a, b, c, d, e, f, g, i] = h as [number, number, number, number, number, number, number, number];
    const start = [vector([f, e, b, a], false), vector([i, g, d, c], false)] as const;
    let [abef, cdgh] = start as readonly [number[], number[]];
    for (let n = 0; n < 16; n++) {
      const wk = add(w[n]!, vector(k.slice(4 * n, 4 * n + 4), false));
      for (const half of [wk, [...wk.slice(8), ...wk.slice(0, 8)]]) {
        put(C, half);
        const next = apply('sha256_rnds2', cdgh, abef, C);
        cdgh = abef;
        abef = next;
      }
    }
    const [x, y] = [wordsOf(add(abef, start[0])), wordsOf(add(cdgh, start[1]))];
    const digest = [x[3]!, x[2]!, y[3]!, y[2]!, x[1]!, x[0]!, y[1]!, y[0]!];
    expect(digest.map((v) => v.toString(16).padStart(8, '0')).join('')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });
});

describe('PCLMULQDQ', () => {
  it('gives the carry-less product of the halves chosen', () => {
    const half = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    fc.assert(
      fc.property(half, half, half, half, fc.nat(255), (a0, a1, b0, b1, imm) => {
        [a0, a1, b0, b1].forEach((v, n) => view.setBigUint64(A + 8 * n, v, true));
        s.call('clmul', DST, A, B, imm);
        const [x, y] = [(imm & 1) !== 0 ? a1 : a0, (imm & 16) !== 0 ? b1 : b0];
        let product = 0n;
        for (let n = 0n; n < 64n; n++) if (((y >> n) & 1n) !== 0n) product ^= x << n;
        expect(view.getBigUint64(DST, true) | (view.getBigUint64(DST + 8, true) << 64n)).toBe(product);
      }),
      { seed: 7 },
    );
  });
});

describe('PCMPxSTRx', () => {
  it('agree with the model for every control byte', () => {
    const text = fc.array(fc.oneof(fc.constantFrom(0, 0x61, 0x62, 0x63, 0x80, 0xff), fc.nat(255)), {
      minLength: 16,
      maxLength: 16,
    });
    const length = fc.oneof(fc.integer({ min: -20, max: 20 }), fc.integer());
    fc.assert(
      fc.property(text, text, fc.nat(255), fc.boolean(), length, length, (x, y, imm, explicit, la, lb) => {
        put(A, x);
        put(B, y);
        const flags = s.call('pcmpstr', DST, A, B, imm | (explicit ? 0x100 : 0), la, lb);
        const mask = result();
        const model = compareStrings(s.bytes, A, B, DST, imm, explicit, la, lb);
        expect([flags, mask]).toEqual([model, result()]);
      }),
      { seed: 11, numRuns: 4000 },
    );
  });
});
