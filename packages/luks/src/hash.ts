/**
 * Hash functions by LUKS's names, and PBKDF2 over them: WebCrypto where the platform has it and knows the hash, plain JavaScript else.
 *
 * Specs: RFC 8018 §5.2 "PBKDF2"; LUKS1 specification, Table "valid hash specifications".
 */
import { ripemd160, sha1 } from '@noble/hashes/legacy.js';
import { pbkdf2Async } from '@noble/hashes/pbkdf2.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { BlockError } from '@emkit/storage';

export const HASHES = { sha1, sha256, sha512, ripemd160 } as const;
export type HashName = keyof typeof HASHES;

export const isHashName = (name: string): name is HashName => Object.hasOwn(HASHES, name);

const WEB_NAMES: Partial<Record<HashName, string>> = { sha1: 'SHA-1', sha256: 'SHA-256', sha512: 'SHA-512' };

/** The part of WebCrypto that is used here. */
interface SubtleCrypto {
  importKey(format: 'raw', key: Uint8Array, name: string, extractable: boolean, uses: string[]): Promise<object>;
  deriveBits(algorithm: object, key: object, bits: number): Promise<ArrayBuffer>;
}

interface Platform {
  readonly crypto?: { readonly subtle?: SubtleCrypto; getRandomValues?(bytes: Uint8Array): unknown };
  readonly performance?: { now(): number };
}

const platform = globalThis as unknown as Platform;

export async function pbkdf2(
  hash: HashName,
  passphrase: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  length: number,
): Promise<Uint8Array> {
  const subtle = platform.crypto?.subtle; // absent in pages that were not loaded over TLS
  const name = WEB_NAMES[hash];
  if (subtle !== undefined && name !== undefined) {
    const key = await subtle.importKey('raw', passphrase, 'PBKDF2', false, ['deriveBits']);
    return new Uint8Array(await subtle.deriveBits({ name: 'PBKDF2', hash: name, salt, iterations }, key, length * 8));
  }
  return pbkdf2Async(HASHES[hash], passphrase, salt, { c: iterations, dkLen: length });
}

/** PBKDF2 rounds that take about `milliseconds` here. */
export type IterationMeter = (hash: HashName, keyBytes: number, milliseconds: number) => Promise<number>;

const SHORTEST_TRIAL = 30;

/** Doubles a trial until it takes long enough to be measured. Without a clock: a number that is no worse than what tools chose in 2010. */
export const measureIterations: IterationMeter = async (hash, keyBytes, milliseconds) => {
  const clock = platform.performance;
  if (clock === undefined) return 100_000;
  const salt = new Uint8Array(32);
  for (let count = 4096; ; count *= 2) {
    const begin = clock.now();
    await pbkdf2(hash, salt, salt, count, keyBytes);
    const took = clock.now() - begin;
    if (took >= SHORTEST_TRIAL || count >= 1 << 24) return Math.ceil((count / Math.max(took, 0.1)) * milliseconds);
  }
};

/** `crypto.getRandomValues`, in the pieces that it allows. */
export function platformRandom(bytes: Uint8Array): void {
  const source = platform.crypto;
  if (source?.getRandomValues === undefined)
    throw new BlockError('unsupported-feature', 'this platform has no source of random numbers', {
      hint: 'give the option `random`',
    });
  for (let at = 0; at < bytes.length; at += 65536) source.getRandomValues(bytes.subarray(at, at + 65536));
}
