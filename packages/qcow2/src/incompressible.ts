/**
 * Whether a cluster is not worth compressing: encrypted, compressed or random data, on which deflate spends some twenty times what this costs
 * (zstd about eight), to no gain. Right to compress when in doubt; a wrong "no" costs space, never data.
 *
 * Two questions, since two things make data compressible: are some bytes more frequent than others (order-0 entropy of a sample), and do
 * stretches repeat within the cluster (4-byte matches of a part of it with all of it)? Both look at a part of every 2 KiB, which is what makes this cheap.
 */

/** Gain in bits per byte by the frequencies alone that is worth it: one percent. Chance gives random data 0.023 in 8 KiB. */
const WORTHWHILE_BITS = 0.08;
/** Smaller clusters have no reliable frequencies: 256 kinds of bytes need a few thousand to show. */
const MIN_BYTES = 8192;
/** Bytes whose frequencies are counted: of small clusters all, of large ones a part of each stretch. */
const SAMPLE_BYTES = 8192;
const SAMPLE_STRETCH = 256;
/** Every such position is remembered ... */
const REMEMBER_EVERY = 32;
/** ... and of each block the first part is looked up, at every position. A repeat longer than a block is always seen. */
const BLOCK = 2048;
const LOOKED_UP = 128;
const HASH_BITS = 13;
/** Chance makes two 4-byte words of random data equal in one of some five hundred clusters of 64 KiB; a repeated part has 4 matches a block. */
const MAX_MATCHES = 2;

export function isIncompressible(data: Uint8Array): boolean {
  return data.length >= MIN_BYTES && isFlat(data) && !hasRepeats(data);
}

/** Four tables, so that equal neighbours do not wait for each other. Scratch, as the two below: nothing here waits. */
const counts = new Uint32Array(4 * 256);

/** Hot path. */
function isFlat(data: Uint8Array): boolean {
  counts.fill(0);
  const stretches = Math.ceil(SAMPLE_BYTES / SAMPLE_STRETCH);
  const step = Math.max(SAMPLE_STRETCH, Math.floor(data.length / stretches) & ~3);
  let counted = 0;
  for (let from = 0; from + SAMPLE_STRETCH <= data.length; from += step) {
    const end = from + SAMPLE_STRETCH;
    for (let i = from; i < end; i += 4) {
      (counts[data[i] as number] as number)++;
      (counts[256 + (data[i + 1] as number)] as number)++;
      (counts[512 + (data[i + 2] as number)] as number)++;
      (counts[768 + (data[i + 3] as number)] as number)++;
    }
    counted += SAMPLE_STRETCH;
  }
  let sum = 0;
  for (let value = 0; value < 256; value++) {
    const count =
      (counts[value] as number) +
      (counts[256 + value] as number) +
      (counts[512 + value] as number) +
      (counts[768 + value] as number);
    if (count > 0) sum += count * Math.log2(count);
  }
  const entropy = Math.log2(counted) - sum / counted;
  return 8 - entropy < WORTHWHILE_BITS;
}

const words = new Int32Array(1 << HASH_BITS);
const places = new Int32Array(1 << HASH_BITS);

/** Hot path. A word of 0 is never remembered: runs of zeroes show in the frequencies. */
function hasRepeats(data: Uint8Array): boolean {
  words.fill(0);
  const last = data.length - 4;
  for (let at = 0; at <= last; at += REMEMBER_EVERY) {
    const word = wordAt(data, at);
    const slot = slotOf(word);
    words[slot] = word;
    places[slot] = at;
  }
  let matches = 0;
  for (let block = 0; block + LOOKED_UP <= last; block += BLOCK) {
    let word = wordAt(data, block) >>> 8;
    for (let at = block, end = block + LOOKED_UP; at < end; at++) {
      word = (word << 8) | (data[at + 3] as number);
      const slot = slotOf(word);
      if (words[slot] === word && word !== 0 && places[slot] !== at && ++matches > MAX_MATCHES) return true;
    }
  }
  return false;
}

const slotOf = (word: number): number => Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);

function wordAt(data: Uint8Array, at: number): number {
  return (
    ((data[at] as number) << 24) |
    ((data[at + 1] as number) << 16) |
    ((data[at + 2] as number) << 8) |
    (data[at + 3] as number)
  );
}
