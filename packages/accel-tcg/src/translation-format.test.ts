import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BLOCK, buildTranslations, parseTranslations, TRANSLATION_LIMITS, wordsFor } from './translation-format.ts';

const KEY = 'build 1, a processor';
function block(bytes: number, stream: number): Int32Array {
  const words = new Int32Array(BLOCK.SIZE + wordsFor(bytes) + stream);
  words[BLOCK.WORDS] = words.length;
  words[BLOCK.CODE] = bytes | (2 << 16);
  words[BLOCK.STREAM_WORDS] = stream;
  words[BLOCK.TERMINATOR] = stream - 4;
  return words;
}

const file = (): Uint8Array => buildTranslations(KEY, [block(3, 8), block(4, 16)]);

it('what is written is read', () => {
  const { words, blocks } = parseTranslations(file(), KEY)!;
  expect(blocks.map((at) => words.subarray(at, at + words[at]))).toEqual([block(3, 8), block(4, 16)]);
});

it('bytes at an odd address are read too', () => {
  const whole = file();
  const odd = new Uint8Array(whole.length + 1).subarray(1);
  odd.set(whole);
  expect(parseTranslations(odd, KEY)?.blocks.length).toBe(2);
});

it('a file of another key, one cut short and one with any bit flipped are as good as none', () => {
  const good = file();
  expect(parseTranslations(good, `${KEY} `)).toBeUndefined();
  expect(parseTranslations(good, KEY.replace('1', '2'))).toBeUndefined();
  for (let n = 0; n < good.length; n++) expect(parseTranslations(good.subarray(0, n), KEY)).toBeUndefined();
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = good.slice();
    bad[bit >> 3] ^= 1 << (bit & 7);
    expect(parseTranslations(bad, KEY)).toBeUndefined();
  }
});

it('records that contradict limits or their own length are refused, whatever the checksum says', () => {
  const length = block(4, 16).length;
  fc.assert(
    fc.property(
      fc.nat(length - 1),
      fc.oneof(fc.integer(), fc.constantFrom(-1, 0, 1, 2 ** 31 - 1, 4096, 4097)),
      (word, value) => {
        const bad = block(4, 16);
        bad[word] = value;
        const read = parseTranslations(buildTranslations(KEY, [bad]), KEY);
        if (read === undefined) return;
        const bytes = bad[BLOCK.CODE] & 0xffff;
        expect(BLOCK.SIZE + wordsFor(bytes) + bad[BLOCK.STREAM_WORDS]).toBe(length);
        expect(bad[BLOCK.TERMINATOR]).toBeLessThan(bad[BLOCK.STREAM_WORDS]);
      },
    ),
  );
  for (const [bytes, stream] of [
    [0, 8],
    [4097, 8],
    [4, 4],
    [4, 10],
    [4, TRANSLATION_LIMITS.STREAM_WORDS + 4],
  ])
    expect(parseTranslations(buildTranslations(KEY, [block(bytes, stream)]), KEY)).toBeUndefined();
  expect(parseTranslations(buildTranslations(KEY, [block(4096, TRANSLATION_LIMITS.STREAM_WORDS)]), KEY)).toBeDefined();
});

it('what goes beyond the limits of a file is left out', () => {
  const small = block(4, 8);
  const many = Array.from({ length: TRANSLATION_LIMITS.BLOCKS + 1 }, () => small);
  expect(parseTranslations(buildTranslations(KEY, many), KEY)?.blocks.length).toBe(TRANSLATION_LIMITS.BLOCKS);
  const large = block(4, TRANSLATION_LIMITS.STREAM_WORDS);
  const read = parseTranslations(
    buildTranslations(
      KEY,
      Array.from({ length: 400 }, () => large),
    ),
    KEY,
  )!;
  expect(read.blocks.length).toBe(Math.floor((TRANSLATION_LIMITS.BYTES - 24 - KEY.length * 4) / (large.length * 4)));
});
