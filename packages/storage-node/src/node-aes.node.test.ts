import { expect, it } from 'vitest';
import { nodeAes } from './node-aes.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

// FIPS 197, Appendix C "Example Vectors"
it.each([
  ['000102030405060708090a0b0c0d0e0f', '69c4e0d86a7b0430d8cdb78070b4c55a'],
  ['000102030405060708090a0b0c0d0e0f1011121314151617', 'dda97ca4864cdfe06eaf70a0ec0d7191'],
  ['000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', '8ea2b7ca516745bfeafc49904b496089'],
])('AES agrees with FIPS 197, key %s', (key, cipher) => {
  const aes = nodeAes(bytes(key));
  const plain = bytes('00112233445566778899aabbccddeeff');
  const output = new Uint8Array(32);
  const input = new Uint8Array([...plain, ...plain]);
  for (let again = 0; again < 2; again++) {
    aes.encrypt(input, output);
    expect(Buffer.from(output).toString('hex')).toBe(cipher + cipher);
  }
  const back = new Uint8Array(32);
  aes.decrypt(output, back);
  expect(back).toEqual(input);
});

it('a key of another length is refused by name', () => {
  for (const length of [0, 15, 17, 33]) expect(() => nodeAes(new Uint8Array(length))).toThrow('AES has no keys');
});
