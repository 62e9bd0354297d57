/**
 * Files of kept translations that somebody damaged or made up: `npm run fuzz -- accel-tcg --seconds N --seed S`. With a wrong checksum nothing is
 * read; with a right one no reader of a record looks beyond it, whatever its words say.
 */
import { CODE } from '@emkit/codegen';
import { SavedBlocks } from '../src/saved-blocks.ts';
import { BLOCK, buildTranslations, parseTranslations, wordsFor } from '../src/translation-format.ts';
import type { KeptTranslations } from '../src/translation-format.ts';

const KEY = 'a build, a processor';
const INTERESTING = [0, 1, 3, 4, 7, 255, 4095, 4096, 4097, 0x7fff, 0xffff, 0x1_0000, 2 ** 31 - 1, -1, -4, -(2 ** 31)];
const RAM = 0x400_0000;
/** Code of all blocks; what lies behind must stay as it is. */
const memory = new ArrayBuffer(RAM + 0x2000);
const u8 = new Uint8Array(memory);

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function block(next: (below: number) => number): Int32Array {
  const bytes = 1 + next(40);
  const stream = 8 + next(20) * 4;
  const words = new Int32Array(BLOCK.SIZE + wordsFor(bytes) + stream);
  words[BLOCK.WORDS] = words.length;
  words[BLOCK.PC] = next(2 ** 31);
  words[BLOCK.CODE] = bytes | ((1 + next(20)) << 16);
  words[BLOCK.STREAM_WORDS] = stream;
  words[BLOCK.TERMINATOR] = 4 * (1 + next(stream / 4 - 1));
  return words;
}

/** Everything that is read of an accepted file; text says what went wrong. */
function use(kept: KeptTranslations): string | undefined {
  const blocks = new SavedBlocks(memory, kept);
  for (const at of kept.blocks) {
    const [pc, csBase, flags] = [BLOCK.PC, BLOCK.CS_BASE, BLOCK.FLAGS].map((n) => kept.words[at + n]);
    const count = kept.words[at + BLOCK.CODE] & 0xffff;
    const from = (at + BLOCK.SIZE) * 4;
    u8.set(new Uint8Array(kept.words.buffer, kept.words.byteOffset + from, count), RAM);
    const found = blocks.find(pc, csBase, flags, RAM);
    if (found < 0) return 'a block that is not found by its own code';
    const tb = blocks.restore(found, RAM, CODE.BASE);
    if (tb === null) continue;
    const end = CODE.BASE + blocks.streamBytes(found);
    if (tb.terminator < CODE.BASE || tb.terminator >= end) return 'a block whose end lies outside it';
    if (u8[end] !== 0) return 'a block that was written beyond its end';
    u8.fill(0, CODE.BASE, end);
  }
  return undefined;
}

export const target = {
  name: 'kept-translations',
  run(seed: number, iterations: number): { inputs: number; findings: string[] } {
    const next = random(seed);
    const findings: string[] = [];
    let inputs = 0;
    const attempt = (what: string, bytes: Uint8Array, good: boolean | undefined): void => {
      inputs++;
      try {
        const kept = parseTranslations(bytes, KEY);
        if (good !== undefined && (kept !== undefined) !== good)
          findings.push(`${what}: ${good ? 'refused' : 'taken'}`);
        const wrong = kept === undefined ? undefined : use(kept);
        if (wrong !== undefined) findings.push(`${what}: ${wrong}`);
      } catch (error) {
        findings.push(`${what}: ${String(error)}`);
      }
    };
    while (inputs < iterations && findings.length === 0) {
      const blocks = Array.from({ length: next(5) }, () => block(next));
      const bytes = buildTranslations(KEY, blocks);
      attempt(`seed ${seed}: a good file`, bytes, true);
      const torn = bytes.slice(0, next(bytes.length));
      attempt(`seed ${seed}: ${torn.length} of ${bytes.length} bytes`, torn, false);
      const flipped = bytes.slice();
      const bit = next(bytes.length * 8);
      flipped[bit >> 3] ^= 1 << (bit & 7);
      attempt(`seed ${seed}: bit ${bit} flipped`, flipped, false);
      for (const record of blocks) {
        const word = next(record.length);
        record[word] = next(2) === 0 ? INTERESTING[next(INTERESTING.length)] : next(2 ** 32) | 0;
        attempt(`seed ${seed}: word ${word} is ${record[word]}`, buildTranslations(KEY, blocks), undefined);
      }
    }
    return { inputs, findings };
  },
};
