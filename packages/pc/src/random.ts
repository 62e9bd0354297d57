/**
 * Where RDRAND and RDSEED get their bits: a buffer that a source of random bytes fills now and then, so that the instruction costs
 * the read of an array. Default source: Web Crypto, in a page and in Node alike. A seed is for runs that must repeat; it keeps no
 * secrets.
 */
import { PcError } from './options.ts';

/** Fills all of `bytes`. */
export type RandomSource = (bytes: Uint8Array) => void;

interface Platform {
  readonly crypto?: { getRandomValues(bytes: Uint8Array): unknown };
}

/** What the platform gives at once: `getRandomValues` takes up to 64 KiB. */
const BUFFER_WORDS = 1024;

/** The embedder's choice as a source. */
export function randomSource(given: RandomSource | number | undefined): RandomSource {
  if (given === undefined) return platformRandom();
  return typeof given === 'number' ? seededRandom(given) : given;
}

function platformRandom(): RandomSource {
  const { crypto } = globalThis as unknown as Platform;
  if (crypto === undefined)
    throw new PcError(
      'there is no Web Crypto here for RDRAND',
      'pass the option `random`, or -cpu MODEL,-rdrand,-rdseed',
    );
  return (bytes) => void crypto.getRandomValues(bytes);
}

/** A number of 32 bits at each call. Nothing is asked of the source before the first. */
export function randomWords(source: RandomSource): () => number {
  const words = new Uint32Array(BUFFER_WORDS);
  const bytes = new Uint8Array(words.buffer);
  let at = BUFFER_WORDS;
  return () => {
    if (at === BUFFER_WORDS) {
      source(bytes);
      at = 0;
    }
    const word = words[at] as number;
    words[at++] = 0; // what a guest was given is not kept
    return word;
  };
}

/** The same bytes for the same seed: a Weyl sequence through a mixer (MurmurHash3's finalizer). */
function seededRandom(seed: number): RandomSource {
  let state = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  return (bytes) => {
    for (let at = 0; at < bytes.length; at++) {
      state = (state + 0x9e3779b9) >>> 0;
      let v = state;
      v = Math.imul(v ^ (v >>> 16), 0x85ebca6b);
      v = Math.imul(v ^ (v >>> 13), 0xc2b2ae35);
      bytes[at] = (v ^ (v >>> 16)) & 0xff;
    }
  };
}
