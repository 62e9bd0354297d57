import { describe, expect, it } from 'vitest';
import { Tcg } from './tcg.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
const START = 0x1000;

interface Toy {
  readonly tcg: Tcg;
  readonly target: ToyTarget;
  readonly ram: Uint8Array;
}

function toy(kept?: Uint8Array, key = 'one'): Toy {
  let target: ToyTarget | undefined;
  const tcg = new Tcg({
    ...toyHost(RAM),
    tier: 'hot',
    translations: { key, kept },
    createTarget: (host) => (target = new ToyTarget(host)),
  });
  return { tcg, target: target!, ram: new Uint8Array(tcg.memory.buffer, tcg.ramBase, RAM) };
}

const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];
/** Sums 200..1, with a call on another page each time. */
const program = (constant = 0x5a): number[] => [
  ...insn(TOY.MOVI, 0, 0, 0),
  ...insn(TOY.MOVI, 1, 0, 200),
  ...insn(TOY.MOVI, 2, 0, 1),
  ...insn(TOY.ADD, 0, 1), // 0x100c: loop
  ...insn(TOY.ST, 0, 1, 8),
  ...insn(TOY.CALL, 0, 0, 4),
  ...insn(TOY.SUB, 1, 2),
  ...insn(TOY.JNZ, 1, 0, -4),
  ...insn(TOY.HALT),
  ...insn(TOY.XOR, 0, 0, constant), // 0x1024: function
  ...insn(TOY.LD, 0, 1, 8),
  ...insn(TOY.RET),
];

function run({ tcg, target, ram }: Toy, code: readonly number[]): unknown {
  ram.set(code, START);
  tcg.ramWritten(tcg.ramBase + START, code.length);
  tcg.pc = START;
  target.halted = false;
  target.setReg(3, 0x9000);
  for (let k = 0; k < 2000 && !target.halted; k++) tcg.run(100);
  return [target.halted, tcg.pc, tcg.retired, [0, 1, 2, 3].map((n) => target.reg(n)), ram.slice(0x8000, 0x9000)];
}

/** What a first run leaves, and what it came to. */
function firstRun(): { kept: Uint8Array; outcome: unknown } {
  const first = toy();
  const outcome = run(first, program());
  return { kept: first.tcg.keptTranslations()!, outcome };
}

describe('kept translations', () => {
  it('the second run translates nothing, and comes to the same', () => {
    const { kept, outcome } = firstRun();
    const second = toy(kept);
    expect(run(second, program())).toEqual(outcome);
    const { blocks } = second.tcg;
    expect(blocks.stats.translated).toBe(0);
    expect(blocks.saved!.stats.restored).toBeGreaterThan(0);
    // nothing new: nothing to write
    expect(second.tcg.keptTranslations()).toBeUndefined();
  });

  it('other code at the same address has nothing of it', () => {
    const { kept } = firstRun();
    const other = program(0x33);
    const second = toy(kept);
    expect(run(second, other)).toEqual(run(toy(), other));
    expect(second.tcg.blocks.stats.translated).toBeGreaterThan(0);
    // both variants are kept then, and each finds its own
    const both = second.tcg.keptTranslations();
    for (const code of [program(), other]) {
      const third = toy(both);
      expect(run(third, code)).toEqual(run(toy(), code));
      expect(third.tcg.blocks.stats.translated).toBe(0);
    }
  });

  it('code that is overwritten after its blocks came back runs as it is', () => {
    const { kept } = firstRun();
    const second = toy(kept);
    run(second, program());
    expect(second.tcg.hot.live).toBeGreaterThan(0);
    const other = program(0x33);
    const changed = run(second, other);
    const fresh = toy();
    run(fresh, program());
    expect(changed).toEqual(run(fresh, other));
  });

  it('after a flush of all translations they are found again', () => {
    const { kept, outcome } = firstRun();
    const second = toy(kept);
    run(second, program());
    second.tcg.blocks.flush();
    expect((run(second, program()) as unknown[])[3]).toEqual((outcome as unknown[])[3]);
    expect(second.tcg.blocks.stats.translated).toBe(0);
  });

  it('those of another key, and damaged ones, are not used', () => {
    const { kept, outcome } = firstRun();
    const torn = kept.slice(0, kept.length - 4);
    for (const second of [toy(kept, 'two'), toy(torn)]) {
      expect(run(second, program())).toEqual(outcome);
      expect(second.tcg.blocks.saved!.stats.kept).toBe(0);
    }
  });

  it('a debugger sees every block: none is taken from what was kept', () => {
    const { kept } = firstRun();
    const second = toy(kept);
    second.tcg.setBreakpoints([0x1024]);
    second.ram.set(program(), START);
    second.tcg.pc = START;
    second.target.setReg(3, 0x9000);
    second.tcg.run(1000);
    expect(second.tcg.pc).toBe(0x1024);
    expect(second.tcg.hot.live).toBe(0);
  });
});
