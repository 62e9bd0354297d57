/** Ways from region to region without a look-up: they are taken, and hold until what they lead to is another. */
import { CTL, EXIT_KIND, EXIT_RECORDS, JUMP_CACHE, LINK } from '@emkit/codegen';
import type { OptimisationChoice } from '@emkit/ir';
import { describe, expect, it } from 'vitest';
import { EXIT, Tcg } from './tcg.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
const ROUNDS = 100;
const LOOP = 0x1004;
const FUNCTION = 0x1100;
const FIRST_CALL = 0x1080;
/** Exit records that these programs do not use up. */
const RECORDS = 256;
const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];

/** A loop calls a function that has a region of its own. `run`: register 0 after the loop, which the function counts in. */
function machine(optimisations: OptimisationChoice = {}): { tcg: Tcg; ram: Uint8Array; run: () => number } {
  let target!: ToyTarget;
  const tcg = new Tcg({
    ...toyHost(RAM),
    tier: 'hot',
    optimisations,
    createTarget: (host) => (target = new ToyTarget(host)),
  });
  const ram = new Uint8Array(tcg.memory.buffer, tcg.ramBase, RAM);
  const call = (at: number): number[] => insn(TOY.CALL, 0, 0, (FUNCTION - at) / 4);
  ram.set([...insn(TOY.ADD, 0, 2), ...insn(TOY.RET)], FUNCTION);
  ram.set([...call(LOOP), ...insn(TOY.SUB, 1, 2), ...insn(TOY.JNZ, 1, 0, -2), ...insn(TOY.HALT)], LOOP);
  ram.set([...call(FIRST_CALL), ...insn(TOY.HALT)], FIRST_CALL);
  const go = (pc: number): number => {
    tcg.pc = pc;
    target.halted = false;
    [0, ROUNDS, 1, 0x9000].forEach((value, k) => target.setReg(k, value));
    while (tcg.run(1000) === EXIT.SLICE);
    expect(target.halted).toBe(true);
    return target.reg(0) | 0;
  };
  for (let n = 0; n < 6; n++) go(FIRST_CALL);
  return { tcg, ram, run: () => go(LOOP) };
}

/** Links of exits, of any generation. */
function links({ i32 }: Tcg): number[] {
  const found: number[] = [];
  for (let at = EXIT_RECORDS.BASE; at < EXIT_RECORDS.BASE + RECORDS * EXIT_RECORDS.SIZE; at += EXIT_RECORDS.SIZE) {
    const link = i32[(at + EXIT_RECORDS.LINK) >> 2];
    if ((i32[(at + EXIT_RECORDS.KIND) >> 2] & 0xffff) === EXIT_KIND.JUMP && link !== 0) found.push(link);
  }
  return found;
}
/** Links of the jump cache's entries, of any generation. */
function cachedLinks({ i32 }: Tcg): number[] {
  const { BASE, ENTRIES, ENTRY_SIZE } = JUMP_CACHE;
  const all = Array.from({ length: ENTRIES }, (_, n) => i32[(BASE + n * ENTRY_SIZE + JUMP_CACHE.LINK) >> 2]);
  return all.filter((link) => link !== 0);
}
const holding = (tcg: Tcg): number =>
  links(tcg).filter((link) => (link ^ tcg.i32[CTL.LINKS >> 2]) >>> LINK.GENERATION_SHIFT === 0).length;

describe('links of exits', () => {
  it('are made where regions lead to regions, and not where the optimisation is off', () => {
    const on = machine();
    const off = machine({ 'region-links': false });
    for (const { run } of [on, off]) expect([run(), run()]).toEqual([ROUNDS, ROUNDS]);
    expect(on.tcg.hot.live).toBeGreaterThan(1);
    expect(holding(on.tcg)).toBeGreaterThan(0);
    expect(links(off.tcg)).toEqual([]);
    expect(on.tcg.retired).toBe(off.tcg.retired);
  });

  it('do not lead to code that has been overwritten', () => {
    const { tcg, ram, run } = machine();
    run();
    run();
    expect(holding(tcg)).toBeGreaterThan(0);
    ram.set(insn(TOY.SUB, 0, 2), FUNCTION);
    tcg.ramWritten(tcg.ramBase + FUNCTION, 4);
    expect(holding(tcg)).toBe(0);
    expect([run(), run()]).toEqual([-ROUNDS, -ROUNDS]);
  });

  it.each([
    ['of all', (tcg: Tcg) => tcg.flushTlb(false)],
    ['of one page', (tcg: Tcg) => tcg.flushTlbPage(0x7000)],
  ] as const)('end with a change of mappings, %s', (_name, change) => {
    const { tcg, run } = machine();
    run();
    run();
    expect(holding(tcg)).toBeGreaterThan(0);
    change(tcg);
    expect(holding(tcg)).toBe(0);
    expect(run()).toBe(ROUNDS);
    expect(holding(tcg)).toBeGreaterThan(0);
  });

  it('of a generation are gone when its number comes again', () => {
    const { tcg, run } = machine();
    tcg.i32[CTL.LINKS >> 2] = (LINK.GENERATIONS - 1) << LINK.GENERATION_SHIFT;
    run();
    run();
    expect(holding(tcg)).toBeGreaterThan(0);
    tcg.flushTlb(true);
    expect(tcg.i32[CTL.LINKS >> 2] >>> LINK.GENERATION_SHIFT).toBe(1);
    expect(links(tcg)).toEqual([]);
    expect(cachedLinks(tcg)).toEqual([]);
    expect(run()).toBe(ROUNDS);
  });

  it('are in the jump cache for what comes from indirect jumps', () => {
    const { tcg, run } = machine();
    const off = machine({ 'region-links': false });
    for (const m of [{ run }, off]) expect([m.run(), m.run()]).toEqual([ROUNDS, ROUNDS]);
    expect(cachedLinks(tcg).length).toBeGreaterThan(0);
    expect(cachedLinks(off.tcg)).toEqual([]);
  });
});

it('entries of the jump cache are gone when the number of their generation comes again', () => {
  const { tcg, run } = machine();
  const words = new Int32Array(tcg.memory.buffer, JUMP_CACHE.BASE, (JUMP_CACHE.ENTRIES * JUMP_CACHE.ENTRY_SIZE) >> 2);
  run();
  const before = tcg.i32[CTL.GENERATION >> 2];
  expect(words.some((word) => word !== 0)).toBe(true);
  for (let n = before; n < JUMP_CACHE.GENERATIONS - 1; n++) tcg.blocks.flushJumpCache();
  expect(words.some((word) => word !== 0)).toBe(true);
  tcg.blocks.flushJumpCache();
  expect(tcg.i32[CTL.GENERATION >> 2]).toBe(1);
  expect(words.every((word) => word === 0)).toBe(true);
  expect(run()).toBe(ROUNDS);
});
