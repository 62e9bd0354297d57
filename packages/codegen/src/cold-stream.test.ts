import { I32, IrBuilder } from '@emkit/ir';
import { describe, expect, it } from 'vitest';
import { ColdEncoder } from './cold-encoder.ts';
import { streamIsOf, unlink } from './cold-stream.ts';
import { CODE, FIELD, HEADER, TARGET_HISTORY } from './layout.ts';

const PC = 0x1000;
const FLAGS = 3;
const GLOBALS = [{ name: 'a', type: I32, offset: 0 }] as const;

/** What a block becomes, and where its terminator stands. */
function encode(build: (b: IrBuilder) => void): { i32: Int32Array; u16: Uint16Array; end: number; terminator: number } {
  const memory = new ArrayBuffer(CODE.BASE + 0x1000);
  const encoder = new ColdEncoder(memory, GLOBALS);
  const b = new IrBuilder(GLOBALS);
  b.reset();
  b.insnStart(PC);
  build(b);
  const end = encoder.encode(b.finish(), CODE.BASE, PC, FLAGS, 9, () => true);
  return { i32: new Int32Array(memory), u16: new Uint16Array(memory), end, terminator: encoder.terminator };
}

const CASES: readonly (readonly [string, (b: IrBuilder) => void, boolean])[] = [
  ['a jump', (b) => b.jmp(0x2000), false],
  ['a branch', (b) => b.br(b.get(0), 0x2000, 0x3000), false],
  ['a branch on a constant', (b) => b.br(b.i32(1), 0x2000, 0x3000), false],
  ['an indirect jump', (b) => b.jmpInd(b.get(0)), true],
  ['an indirect jump to a constant', (b) => b.jmpInd(b.i32(0x2000)), true],
];

describe('cold streams that outlive a run', () => {
  it.each(CASES)('%s is again what the encoder wrote', (_name, build, indirect) => {
    const { i32, u16, end, terminator } = encode(build);
    const words = i32.slice(CODE.BASE >> 2, end >> 2);
    // what running leaves: a counter, links, targets that were seen
    i32[(CODE.BASE + HEADER.COUNTER) >> 2] = 77;
    if (indirect) {
      expect(end - terminator).toBe(FIELD.SIZE + 4 * TARGET_HISTORY);
      u16[(terminator + FIELD.B) >> 1] = 5;
      i32.fill(0x2000, (terminator + FIELD.SIZE) >> 2, end >> 2);
    } else {
      // a branch is followed by its two jumps
      const jumps =
        end - terminator === FIELD.SIZE ? [terminator] : [terminator + FIELD.SIZE, terminator + 2 * FIELD.SIZE];
      for (const at of jumps) i32[(at + FIELD.LINK) >> 2] = CODE.BASE;
    }
    const used = i32.slice(CODE.BASE >> 2, end >> 2);
    expect(used).not.toEqual(words);
    unlink(used, 0, (terminator - CODE.BASE) >> 2, { insns: 1, pc: PC, flags: FLAGS });
    words[HEADER.COUNTER >> 2] = 0;
    expect(used).toEqual(words);
  });

  it('a stream is known by its header', () => {
    const { i32 } = encode((b) => b.jmp(0x2000));
    expect(streamIsOf(i32, CODE.BASE, PC, FLAGS, 1)).toBe(true);
    for (const [pc, flags, insns] of [
      [PC + 1, FLAGS, 1],
      [PC, FLAGS + 1, 1],
      [PC, FLAGS, 2],
    ])
      expect(streamIsOf(i32, CODE.BASE, pc, flags, insns)).toBe(false);
  });
});
