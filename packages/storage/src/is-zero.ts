/** Whether bytes are all zero: what sparse copies spend their time on. */

/** Where the host has memcmp (Node), it is several times faster than a loop, and needs no warming up. */
const compare = (globalThis as { readonly Buffer?: { compare(a: Uint8Array, b: Uint8Array): number } }).Buffer?.compare;
/** A call costs as much as some hundreds of bytes. */
const WORTH_A_CALL = 1024;
/** Bytes that are looked at one by one before the rest is compared with itself. */
const HEAD = 64;

/** Whether all bytes are zero. Hot path. */
export function isZero(bytes: Uint8Array): boolean {
  const { length } = bytes;
  // most data shows itself at once, and what begins with zeroes often ends with something else
  if (length === 0) return true;
  if (bytes[0] !== 0 || bytes[length - 1] !== 0 || bytes[length >>> 1] !== 0) return false;
  if (compare === undefined || length < WORTH_A_CALL) return isZeroByWords(bytes);
  // each byte is as the one HEAD before it, so all are as the first HEAD: one call for any length, and no other memory is read
  return (
    isZeroByWords(bytes.subarray(0, HEAD)) && compare(bytes.subarray(HEAD), bytes.subarray(0, length - HEAD)) === 0
  );
}

function isZeroByWords(bytes: Uint8Array): boolean {
  const { length, byteOffset } = bytes;
  let at = 0;
  const head = Math.min(length, -byteOffset & 3);
  for (; at < head; at++) if (bytes[at] !== 0) return false;
  if (length - at < 4) return bytes.subarray(at).every((byte) => byte === 0);
  // NaN is unequal to 0, and -0 must not count as zero: so integers, not doubles
  const words = new Int32Array(bytes.buffer, byteOffset + at, (length - at) >> 2);
  let word = 0;
  for (const stop = words.length - 7; word < stop; word += 8) {
    const any =
      (words[word] as number) |
      (words[word + 1] as number) |
      (words[word + 2] as number) |
      (words[word + 3] as number) |
      (words[word + 4] as number) |
      (words[word + 5] as number) |
      (words[word + 6] as number) |
      (words[word + 7] as number);
    if (any !== 0) return false;
  }
  for (; word < words.length; word++) if (words[word] !== 0) return false;
  for (at += words.length * 4; at < length; at++) if (bytes[at] !== 0) return false;
  return true;
}
