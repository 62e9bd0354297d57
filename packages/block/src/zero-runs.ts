/** Where in a buffer the zeroes are, in whole units: what a sparse copy goes by. */

/** Length of the run of units that begins at `from` and is all zero or all not; `zero` says which. Hot path. */
export function nextRun(
  bytes: Uint8Array,
  from: number,
  unit: number,
): { readonly length: number; readonly zero: boolean } {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  const zero = isUnitZero(bytes, words, from, unit);
  let end = Math.min(from + unit, bytes.length);
  while (end < bytes.length && isUnitZero(bytes, words, end, unit) === zero) end = Math.min(end + unit, bytes.length);
  return { length: end - from, zero };
}

/** `at` is a multiple of 4 and `bytes` begins at one: copy buffers do. Hot path. */
function isUnitZero(bytes: Uint8Array, words: Int32Array, at: number, unit: number): boolean {
  const end = Math.min(at + unit, bytes.length);
  // most data shows itself at once, and what begins with zeroes often ends with something else
  if (bytes[at] !== 0 || bytes[end - 1] !== 0 || bytes[at + ((end - at) >>> 1)] !== 0) return false;
  let word = at >>> 2;
  const lastWord = end >>> 2;
  for (const stop = lastWord - 7; word < stop; word += 8) {
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
  for (; word < lastWord; word++) if (words[word] !== 0) return false;
  for (let i = lastWord * 4; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
