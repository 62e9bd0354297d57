/**
 * How kept translations are stored: bytes that another run, maybe of another build or cut short, left behind. All words are 32 bits,
 * little-endian, as everything in the machine's memory.
 *
 * File: HEAD, the key (a word for each UTF-16 unit), records of blocks. The key names everything that translations depend on besides
 * the guest's code; a file of another key is as good as none. The checksum tells a torn file, not a hostile one: whoever can write the file
 * decides what the guest's code does, so where it is kept must be its user's own.
 *
 * What a record says is checked here against limits and against the record's own length, so that no reader of one looks beyond it.
 */

const MAGIC = 0x544b_4d45; // EMKT
const VERSION = 1;
const HEAD = { MAGIC: 0, VERSION: 1, WORDS: 2, CHECKSUM: 3, KEY: 4, BLOCKS: 5, SIZE: 6 } as const;

export const TRANSLATION_LIMITS = {
  /** Of a file. */
  BYTES: 96 * 2 ** 20,
  KEY_UNITS: 8192,
  BLOCKS: 500_000,
  /** Of one block: stream in words. */
  STREAM_WORDS: 2 ** 16,
} as const;
const PAGE = 4096;

/** Words of a block's record, before its code and its cold stream. */
export const BLOCK = {
  WORDS: 0,
  PC: 1,
  CS_BASE: 2,
  FLAGS: 3,
  /** Bytes of code, low half; instructions, high half. */
  CODE: 4,
  STREAM_WORDS: 5,
  /** Word of the stream at which its terminator begins. */
  TERMINATOR: 6,
  BITS: 7,
  EXIT_FLAGS: 8,
  CALL_RETURN: 9,
  TAKEN: 10,
  NOT_TAKEN: 11,
  SIZE: 12,
} as const;
export const BLOCK_INDIRECT = 1;
export const BLOCK_RETURN = 2;
export const BLOCK_COLD_FIRST = 4;

export interface KeptTranslations {
  readonly words: Int32Array;
  /** Where the records begin. */
  readonly blocks: readonly number[];
}

export const wordsFor = (bytes: number): number => (bytes + 3) >>> 2;

/** What the bytes hold, or undefined: nothing that is good under this key. */
export function parseTranslations(bytes: Uint8Array, key: string): KeptTranslations | undefined {
  if (bytes.length > TRANSLATION_LIMITS.BYTES || bytes.length % 4 !== 0 || bytes.length < HEAD.SIZE * 4)
    return undefined;
  const words =
    bytes.byteOffset % 4 === 0
      ? new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
      : new Int32Array(bytes.slice().buffer);
  if (words[HEAD.MAGIC] !== MAGIC || words[HEAD.VERSION] !== VERSION) return undefined;
  if (words[HEAD.WORDS] !== words.length || words[HEAD.KEY] !== key.length) return undefined;
  const first = HEAD.SIZE + key.length;
  if (first > words.length) return undefined;
  for (let n = 0; n < key.length; n++) if (words[HEAD.SIZE + n] !== key.charCodeAt(n)) return undefined;
  if (words[HEAD.BLOCKS] >>> 0 > TRANSLATION_LIMITS.BLOCKS) return undefined;
  if (words[HEAD.CHECKSUM] !== checksum(words)) return undefined;
  const blocks: number[] = [];
  let at = first;
  for (let n = 0; n < words[HEAD.BLOCKS]; n++) {
    const length = blockWords(words, at, words.length - at);
    if (length < 0) return undefined;
    blocks.push(at);
    at += length;
  }
  return at === words.length ? { words, blocks } : undefined;
}

/** A file of these records; those beyond a limit are left out. */
export function buildTranslations(key: string, blocks: readonly Int32Array[]): Uint8Array<ArrayBuffer> {
  let length = HEAD.SIZE + key.length;
  const kept: Int32Array[] = [];
  for (const record of blocks) {
    if (kept.length === TRANSLATION_LIMITS.BLOCKS || (length + record.length) * 4 > TRANSLATION_LIMITS.BYTES) break;
    kept.push(record);
    length += record.length;
  }
  const words = new Int32Array(length);
  words[HEAD.MAGIC] = MAGIC;
  words[HEAD.VERSION] = VERSION;
  words[HEAD.WORDS] = length;
  words[HEAD.KEY] = key.length;
  words[HEAD.BLOCKS] = kept.length;
  for (let n = 0; n < key.length; n++) words[HEAD.SIZE + n] = key.charCodeAt(n);
  let at = HEAD.SIZE + key.length;
  for (const record of kept) {
    words.set(record, at);
    at += record.length;
  }
  words[HEAD.CHECKSUM] = checksum(words);
  return new Uint8Array(words.buffer);
}

function checksum(words: Int32Array): number {
  let h = 0x811c_9dc5 | 0;
  for (let n = HEAD.CHECKSUM + 1; n < words.length; n++) {
    h = Math.imul(h ^ words[n], 0x9e37_79b1);
    h ^= h >>> 15;
  }
  return h;
}

/** Is the word a count from `least` to `most`? */
const within = (value: number, least: number, most: number): boolean => value >= least && value <= most;

/** Words of the block's record there, or -1. */
function blockWords(words: Int32Array, at: number, left: number): number {
  if (left < BLOCK.SIZE) return -1;
  const bytes = words[at + BLOCK.CODE] & 0xffff;
  const stream = words[at + BLOCK.STREAM_WORDS];
  const terminator = words[at + BLOCK.TERMINATOR];
  if (!within(bytes, 1, PAGE) || !within(stream, 8, TRANSLATION_LIMITS.STREAM_WORDS) || stream % 4 !== 0) return -1;
  if (!within(terminator, 4, stream - 4) || terminator % 4 !== 0) return -1;
  const length = BLOCK.SIZE + wordsFor(bytes) + stream;
  return length <= left && words[at] === length ? length : -1;
}
