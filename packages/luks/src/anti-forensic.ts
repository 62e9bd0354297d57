/**
 * The anti-forensic splitter: a key of n bytes becomes n * stripes bytes, all of which are needed to get it back, so that a slot is
 * destroyed when any part of it is.
 *
 * Spec: LUKS1 specification §2.4 "Anti-forensic splitter" (H1 is what `diffuse` is).
 */
import { HASHES, type HashName } from './hash.ts';

/** H1: each digest-sized piece is replaced by hash(number of the piece, big-endian || piece), the last one cut to its length. */
function diffuse(hash: HashName, block: Uint8Array): void {
  const digest = HASHES[hash];
  const size = digest.outputLen;
  for (let at = 0, index = 0; at < block.length; at += size, index++) {
    const piece = block.subarray(at, Math.min(at + size, block.length));
    const input = new Uint8Array(4 + piece.length);
    new DataView(input.buffer).setUint32(0, index);
    input.set(piece, 4);
    piece.set(digest(input).subarray(0, piece.length));
  }
}

const xor = (target: Uint8Array, from: Uint8Array): void => {
  for (let i = 0; i < target.length; i++) (target[i] as number) ^= from[i] as number;
};

export function afMerge(hash: HashName, split: Uint8Array, keyBytes: number, stripes: number): Uint8Array {
  const key = new Uint8Array(keyBytes);
  for (let i = 0; i < stripes; i++) {
    xor(key, split.subarray(i * keyBytes, (i + 1) * keyBytes));
    if (i < stripes - 1) diffuse(hash, key);
  }
  return key;
}

export function afSplit(
  hash: HashName,
  key: Uint8Array,
  stripes: number,
  random: (bytes: Uint8Array) => void,
): Uint8Array {
  const split = new Uint8Array(key.length * stripes);
  random(split.subarray(0, key.length * (stripes - 1)));
  const sum = new Uint8Array(key.length);
  for (let i = 0; i < stripes - 1; i++) {
    xor(sum, split.subarray(i * key.length, (i + 1) * key.length));
    diffuse(hash, sum);
  }
  xor(sum, key);
  split.set(sum, key.length * (stripes - 1));
  return split;
}
