import { CODE_TABLE } from '@emkit/codegen';
import type { OptimisationChoice } from '@emkit/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_REGIONS } from './hot-tier.ts';
import { EXIT, Tcg } from './tcg.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
/** The smallest valid module: the toy needs no WebAssembly helpers. */

function toy(
  tier: 'auto' | 'cold' | 'hot',
  optimisations: OptimisationChoice = {},
): { tcg: Tcg; target: ToyTarget; ram: Uint8Array } {
  let target: ToyTarget | undefined;
  const tcg = new Tcg({
    ...toyHost(RAM),
    tier,
    optimisations,
    createTarget: (host) => (target = new ToyTarget(host)),
  });
  return { tcg, target: target!, ram: new Uint8Array(tcg.memory.buffer, tcg.ramBase, RAM) };
}

const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];

describe('tiers', () => {
  const loop = [
    ...insn(TOY.MOVI, 0, 0, 0),
    ...insn(TOY.MOVI, 1, 0, 200),
    ...insn(TOY.MOVI, 2, 0, 1),
    ...insn(TOY.ADD, 0, 1), // 0x100c: loop
    ...insn(TOY.ST, 0, 1, 8),
    ...insn(TOY.CALL, 0, 0, 4),
    ...insn(TOY.SUB, 1, 2),
    ...insn(TOY.JNZ, 1, 0, -4),
    ...insn(TOY.HALT),
    ...insn(TOY.XOR, 0, 0, 0x5a), // 0x1024: function
    ...insn(TOY.LD, 0, 1, 8),
    ...insn(TOY.RET),
  ];
  for (const tier of ['cold', 'hot', 'auto'] as const) {
    it(`runs a loop with calls in tier ${tier}`, () => {
      const { tcg, target, ram } = toy(tier);
      ram.set(loop, 0x1000);
      tcg.pc = 0x1000;
      target.setReg(3, 0x9000);
      let slices = 0;
      while (tcg.run(100) === EXIT.SLICE) slices++;
      expect(slices).toBeGreaterThan(5);
      expect(target.halted).toBe(true);
      expect(target.reg(0)).toBe((200 * 201) / 2);
      expect(tcg.pc).toBe(0x1020);
      expect(tcg.retired).toBe(3 + 200 * 8 + 1);
      if (tier === 'hot') expect(tcg.hot.stats.regions).toBeGreaterThan(0);
    });
  }

  it('a fault in a helper says nothing about the helper that runs next', () => {
    for (const tier of ['cold', 'auto'] as const) {
      const { tcg, target, ram } = toy(tier);
      ram.set([...insn(TOY.TRAP), ...insn(TOY.TRAP), ...insn(TOY.JNZ, 1, 0, -2), ...insn(TOY.HALT)], 0x1000);
      for (let n = 0; n < 3; n++) {
        target.halted = false;
        target.traps = 0;
        target.trapFaults = n;
        tcg.pc = 0x1000;
        for (let k = 0; k < 20 && !target.halted; k++) tcg.run(50);
        expect([target.halted, target.traps]).toEqual([true, 2]);
      }
    }
  });

  it('gives the same state in both tiers for random programs', () => {
    const op = fc.constantFrom(
      TOY.ADD,
      TOY.SUB,
      TOY.MUL,
      TOY.XOR,
      TOY.MOVI,
      TOY.LD,
      TOY.LD8,
      TOY.ST,
      TOY.JNZ,
      TOY.JMP,
      TOY.TRAP,
    );
    const program = fc.array(fc.tuple(op, fc.nat(2), fc.nat(3), fc.nat(255)), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(program, fc.array(fc.nat(0xffffffff), { minLength: 3, maxLength: 3 }), (insns, regs) => {
        const results = (['cold', 'hot'] as const).map((tier) => {
          const { tcg, target, ram } = toy(tier);
          const code = insns.flatMap(([o, a, b, imm], n) => {
            // jumps stay inside the program
            const rel = o === TOY.JNZ || o === TOY.JMP ? ((imm % insns.length) - n) & 0xff : imm;
            return [o, a, b, rel];
          });
          ram.set([...code, ...insn(TOY.HALT)], 0x1000);
          regs.forEach((v, n) => target.setReg(n, v | 0));
          target.setReg(3, 0x9000);
          target.unmapped.add(0x8);
          tcg.pc = 0x1000;
          for (let n = 0; n < 40 && !target.halted; n++) tcg.run(50);
          // where the budget ends depends on the tier, so compare only programs that ended
          return target.halted
            ? {
                regs: [0, 1, 2, 3].map((n) => target.reg(n)),
                ram: ram.slice(0x8000, 0x9100).join(),
                traps: target.traps,
                retired: tcg.retired,
                faults: target.faults.length,
              }
            : null;
        });
        expect(results[1]).toEqual(results[0]);
      }),
      { numRuns: 60, seed: 1 },
    );
  });
});

describe('self-modifying code', () => {
  const store = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
  for (const tier of ['cold', 'hot'] as const) {
    it(`sees a store into the running block at the next instruction, tier ${tier}`, () => {
      const { tcg, target, ram } = toy(tier);
      // The code lies in the data window, so that ST reaches it: the second instruction overwrites the third.
      const patch = store(new DataView(Uint8Array.from(insn(TOY.MOVI, 0, 0, 77)).buffer).getInt32(0, true));
      ram.set(
        [...insn(TOY.LD, 1, 2, 0x80), ...insn(TOY.ST, 1, 2, 8), ...insn(TOY.MOVI, 0, 0, 11), ...insn(TOY.HALT)],
        0x8000,
      );
      ram.set(patch, 0x8080);
      for (let n = 0; n < 5; n++) {
        target.halted = false;
        target.setReg(0, 0);
        target.setReg(2, 0);
        tcg.pc = 0x8000;
        tcg.run(1000);
        expect(target.reg(0)).toBe(77);
        ram.set(insn(TOY.MOVI, 0, 0, 11), 0x8008);
        tcg.ramWritten(tcg.ramBase + 0x8008, 4);
      }
      expect(tcg.blocks.stats.invalidated).toBeGreaterThan(0);
    });
  }

  it('keeps blocks when data beside the code is written', () => {
    const { tcg, target, ram } = toy('cold');
    ram.set(
      [
        ...insn(TOY.MOVI, 1, 0, 100),
        ...insn(TOY.MOVI, 2, 0, 1),
        ...insn(TOY.ST, 1, 0, 0x80),
        ...insn(TOY.SUB, 1, 2),
        ...insn(TOY.JNZ, 1, 0, -2),
        ...insn(TOY.HALT),
      ],
      0x8000,
    );
    tcg.pc = 0x8000;
    tcg.run(10000);
    expect(target.halted).toBe(true);
    expect(tcg.blocks.stats.invalidated).toBe(0);
    expect(tcg.blocks.stats.translated).toBeLessThan(5);
  });
});

describe('bounds', () => {
  it('holds a bounded translation state while a guest makes new code for ever', () => {
    // each block takes four kilobytes of the code space at most
    const ROUNDS = 70_000;
    const { tcg, target, ram } = toy('auto');
    // loads keep their effects apart, so each block is some kilobytes of code
    const block = (n: number): number[] => [
      ...Array.from({ length: 62 }, (_, k) => insn(TOY.LD, k % 3, (k + 1) % 3, n + k)).flat(),
      ...insn(TOY.HALT),
    ];
    for (let n = 0; n < ROUNDS; n++) {
      const at = 0x10000 + (n % 512) * 256;
      ram.set(block(n), at);
      tcg.ramWritten(tcg.ramBase + at, 256);
      target.halted = false;
      tcg.pc = at;
      tcg.run(1000);
    }
    expect(tcg.blocks.stats.translated).toBeGreaterThanOrEqual(ROUNDS);
    expect(tcg.blocks.stats.flushes).toBeGreaterThan(0); // code space came round
    expect(tcg.codeMap.count).toBeLessThanOrEqual(512);
    expect(tcg.hot.live).toBeLessThanOrEqual(MAX_REGIONS);
  });

  it('drops the oldest regions when all entries are taken', () => {
    const { tcg, target, ram } = toy('hot');
    for (let n = 0; n < MAX_REGIONS + 50; n++) {
      const at = 0x10000 + n * 16;
      ram.set([...insn(TOY.XOR, 0, 0, n), ...insn(TOY.XOR, 1, 0, n), ...insn(TOY.HALT)], at);
      for (let k = 0; k < 4; k++) {
        target.halted = false;
        tcg.pc = at;
        tcg.run(100);
      }
    }
    expect(tcg.hot.live).toBeLessThanOrEqual(MAX_REGIONS);
    expect(tcg.hot.stats.dropped).toBeGreaterThan(0);
  });

  it('makes a page plain data again when its code is gone', () => {
    const { tcg, target, ram } = toy('cold');
    ram.set([...insn(TOY.ADD, 0, 1), ...insn(TOY.HALT)], 0x8000);
    tcg.pc = 0x8000;
    tcg.run(100);
    expect(tcg.codeMap.isCodePage((tcg.ramBase + 0x8000) >>> 12)).toBe(true);
    // overwrite the code, then go on storing beside it
    ram.set(
      [
        ...insn(TOY.MOVI, 1, 0, 200),
        ...insn(TOY.MOVI, 2, 0, 1),
        ...insn(TOY.ST, 1, 0, 0),
        ...insn(TOY.SUB, 1, 2),
        ...insn(TOY.JNZ, 1, 0, -2),
        ...insn(TOY.HALT),
      ],
      0x2000,
    );
    target.halted = false;
    target.setReg(0, 0);
    tcg.pc = 0x2000;
    tcg.run(10_000);
    expect(tcg.codeMap.isCodePage((tcg.ramBase + 0x8000) >>> 12)).toBe(false);
  });
});

describe('optimisations', () => {
  const loop = [
    ...insn(TOY.MOVI, 1, 0, 60),
    ...insn(TOY.MOVI, 2, 0, 1),
    ...insn(TOY.ADD, 0, 1), // loop
    ...insn(TOY.MUL, 0, 1),
    ...insn(TOY.ST, 0, 3, 8),
    ...insn(TOY.ST, 0, 3, 16),
    ...insn(TOY.CALL, 0, 0, 4),
    ...insn(TOY.SUB, 1, 2),
    ...insn(TOY.JNZ, 1, 0, -6),
    ...insn(TOY.HALT),
    ...insn(TOY.XOR, 0, 0, 0x5a), // function
    ...insn(TOY.RET),
  ];
  const run = (tier: 'auto' | 'hot', optimisations: OptimisationChoice): Tcg => {
    const { tcg, target, ram } = toy(tier, optimisations);
    ram.set(loop, 0x1000);
    tcg.pc = 0x1000;
    target.setReg(3, 0x9000);
    while (tcg.run(100) === EXIT.SLICE);
    expect(target.halted).toBe(true);
    return tcg;
  };
  it('no regions: nothing is compiled, though all is hot', () => {
    expect(run('hot', {}).hot.stats.regions).toBeGreaterThan(0);
    expect(run('hot', { regions: false }).hot.stats.regions).toBe(0);
  });
  it.each(['region-joins', 'region-entries', 'indirect-targets', 'tlb-groups', 'deferral'] as const)(
    '%s: other code where it is off',
    (name) => {
      expect(run('hot', { [name]: false }).hot.stats.bytes).not.toBe(run('hot', {}).hot.stats.bytes);
    },
  );
  it('no code table: it stays empty', () => {
    const used = (choice: OptimisationChoice): boolean =>
      new Uint8Array(run('auto', choice).memory.buffer, CODE_TABLE.BASE, CODE_TABLE.SETS * CODE_TABLE.SET_SIZE).some(
        (byte) => byte !== 0,
      );
    expect([used({}), used({ 'code-table': false })]).toEqual([true, false]);
  });

  /** A loop of `rounds` (a multiple of 120) that calls a function, hot after the function is; the function's region is then another one. */
  const calls = (rounds: number, optimisations: OptimisationChoice): Tcg => {
    const { tcg, target, ram } = toy('hot', optimisations);
    ram.set([...insn(TOY.XOR, 0, 0, 0x5a), ...insn(TOY.RET)], 0x1100);
    ram.set(
      [...insn(TOY.CALL, 0, 0, 63), ...insn(TOY.SUB, 1, 2), ...insn(TOY.JNZ, 1, 0, -2), ...insn(TOY.HALT)],
      0x1004,
    );
    ram.set([...insn(TOY.CALL, 0, 0, (0x1100 - 0x1080) / 4), ...insn(TOY.HALT)], 0x1080);
    // the function alone, until it is compiled
    for (let n = 0; n < 6; n++) {
      tcg.pc = 0x1080;
      target.halted = false;
      target.setReg(3, 0x9000);
      while (tcg.run(100) === EXIT.SLICE);
    }
    for (let n = 0; n < rounds; n += 120) {
      tcg.pc = 0x1004;
      target.halted = false;
      target.setReg(1, 120);
      target.setReg(2, 1);
      target.setReg(3, 0x9000);
      while (tcg.run(1000) === EXIT.SLICE);
    }
    return tcg;
  };
  it('region-entries: what a region often leads to is taken in', () => {
    expect(calls(1200, {}).hot.stats.grown).toBe(0);
    expect(calls(120_000, {}).hot.stats.grown).toBeGreaterThan(0);
    expect(calls(120_000, { 'region-entries': false }).hot.stats.grown).toBe(0);
  });
});
