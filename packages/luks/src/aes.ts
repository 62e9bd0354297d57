/**
 * AES as a block cipher over whole runs of blocks: all that the modes in `sector-cipher.ts` need, so that a program may bring a faster
 * one (`node:crypto`'s `aes-256-ecb` is some 15 times faster than the default, which is plain JavaScript and works everywhere).
 *
 * Spec: FIPS 197.
 */
import { ecb } from '@noble/ciphers/aes.js';

/** One expanded key. `input` and `output` have the same length, a multiple of 16, and do not overlap. */
export interface AesKey {
  encrypt(input: Uint8Array, output: Uint8Array): void;
  decrypt(input: Uint8Array, output: Uint8Array): void;
}

/** Makes a key of 16, 24 or 32 bytes usable; it may keep `key`. */
export type AesProvider = (key: Uint8Array) => AesKey;

/** AES of @noble/ciphers: about 100 MB/s. */
export const portableAes: AesProvider = (key) => {
  const kept = key.slice();
  const options = { disablePadding: true };
  return {
    encrypt: (input, output) => void ecb(kept, options).encrypt(input, output),
    decrypt: (input, output) => void ecb(kept, options).decrypt(input, output),
  };
};
