/** Code that is mapped at more than one address: translated and compiled once. */
import { isPlace } from '@emkit/codegen';
import type { OptimisationChoice } from '@emkit/ir';
import { describe, expect, it } from 'vitest';
import { TcgProfile } from './profile.ts';
import { EXIT, Tcg } from './tcg.ts';
import { TOY64 as T, Toy64Target } from './toy64-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
const HERE = 0x5500_1000_0000;
const THERE = 0x7f12_3000_3000;
const STACK = 0x7fff_ffff_f000;
const ROUNDS = 40;

const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];

class Machine {
  readonly tcg: Tcg;
  readonly target: Toy64Target;
  readonly ram: Uint8Array;

  constructor(optimisations: OptimisationChoice = {}, profile?: TcgProfile) {
    let target: Toy64Target | undefined;
    this.tcg = new Tcg({
      ...toyHost(RAM),
      tier: 'hot',
      optimisations,
      ...(profile === undefined ? {} : { profile }),
      createTarget: (host) => (target = new Toy64Target(host)),
    });
    this.target = target!;
    this.ram = new Uint8Array(this.tcg.memory.buffer, this.tcg.ramBase, RAM);
    // a loop that calls the function in the next page and stops
    const loop = [insn(T.CALLR, 1), insn(T.ADDI, 2, 0, -1), insn(T.JNZ, 2, 0, -2), insn(T.HALT)];
    this.ram.set(loop.flat(), 0x1000);
    this.function(0x2000, 1);
    this.function(0x4000, 5);
    this.target.pages.set(STACK, 0x8000);
  }

  /** Adds a number to register 0. */
  function(physical: number, n: number): void {
    this.ram.set([insn(T.ADDI, 0, 0, n), insn(T.RET)].flat(), physical);
  }
  map(linear: number, first: number, second: number): this {
    this.target.pages.set(linear, first).set(linear + 4096, second);
    return this;
  }
  /** Register 0 after the loop, where it is mapped. */
  run(linear: number): bigint {
    const { target, tcg } = this;
    target.setReg64(0, 0n);
    target.setReg64(1, BigInt(linear + 4096));
    target.setReg64(2, BigInt(ROUNDS));
    target.setReg64(3, BigInt(STACK + 0x800));
    target.jump(linear);
    while (tcg.run(100) === EXIT.SLICE);
    expect(tcg.linearPc).toBe(linear + 12);
    expect(target.reg64(3)).toBe(BigInt(STACK + 0x800));
    return target.reg64(0);
  }
  get made(): { translated: number; regions: number; moved: number } {
    const { regions, moved } = this.tcg.hot.stats;
    return { translated: this.tcg.blocks.stats.translated, regions, moved };
  }
}

describe('code that is mapped elsewhere too', () => {
  it('is neither translated nor compiled again', () => {
    const m = new Machine().map(HERE, 0x1000, 0x2000).map(THERE, 0x1000, 0x2000);
    for (let n = 0; n < 3; n++) expect(m.run(HERE)).toBe(BigInt(ROUNDS));
    const { regions, translated } = m.made;
    expect(regions).toBeGreaterThan(0);
    for (let n = 0; n < 3; n++) expect(m.run(THERE)).toBe(BigInt(ROUNDS));
    expect(m.made).toMatchObject({ regions, translated });
    expect(m.made.moved).toBeGreaterThan(0);
    // both go on side by side
    expect([m.run(HERE), m.run(THERE)]).toEqual([BigInt(ROUNDS), BigInt(ROUNDS)]);
    expect(m.made.regions).toBe(regions);
  });

  it('is both with the optimisation off', () => {
    const m = new Machine({ 'moved-code': false }).map(HERE, 0x1000, 0x2000).map(THERE, 0x1000, 0x2000);
    for (let n = 0; n < 3; n++) m.run(HERE);
    const { regions, translated } = m.made;
    for (let n = 0; n < 3; n++) expect(m.run(THERE)).toBe(BigInt(ROUNDS));
    expect(m.made.regions).toBeGreaterThan(regions);
    expect(m.made.translated).toBeGreaterThan(translated);
    expect(m.made.moved).toBe(0);
  });

  it('has regions of its own where other code follows it', () => {
    const m = new Machine().map(HERE, 0x1000, 0x2000).map(THERE, 0x1000, 0x4000);
    for (let n = 0; n < 3; n++) expect(m.run(HERE)).toBe(BigInt(ROUNDS));
    for (let n = 0; n < 3; n++) expect(m.run(THERE)).toBe(BigInt(5 * ROUNDS));
    for (let n = 0; n < 20; n++) expect([m.run(HERE), m.run(THERE)]).toEqual([BigInt(ROUNDS), BigInt(5 * ROUNDS)]);
  });

  it('waits for a page that is not there yet', () => {
    const m = new Machine().map(HERE, 0x1000, 0x2000).map(THERE, 0x1000, 0x2000);
    for (let n = 0; n < 3; n++) m.run(HERE);
    const { regions } = m.made;
    m.target.pages.delete(THERE + 4096);
    m.target.onDemand.set(THERE + 4096, 0x2000);
    for (let n = 0; n < 20; n++) expect(m.run(THERE)).toBe(BigInt(ROUNDS));
    expect(m.target.faults).toEqual([THERE + 4096]);
    expect(m.made.regions).toBe(regions);
    expect(m.made.moved).toBeGreaterThan(0);
    // the same where it was compiled: the region stays while the page is away
    m.target.pages.delete(HERE + 4096);
    m.target.onDemand.set(HERE + 4096, 0x2000);
    m.tcg.flushTlb(true);
    for (let n = 0; n < 20; n++) expect(m.run(HERE)).toBe(BigInt(ROUNDS));
    expect(m.made.regions).toBe(regions);
  });

  it('waits, and a profile counts the runs that there were', () => {
    const profile = new TcgProfile({ intervalMs: 0, callers: () => [], helperName: String });
    const m = new Machine({}, profile).map(HERE, 0x1000, 0x2000).map(THERE, 0x1000, 0x2000);
    for (let n = 0; n < 3; n++) m.run(HERE);
    // the first block runs once each time before the page is there, and asks again after a while
    for (let n = 0; n < 250; n++) {
      m.target.pages.delete(THERE + 4096);
      m.target.onDemand.set(THERE + 4096, 0x2000);
      m.tcg.flushTlb(true);
      m.run(THERE);
    }
    for (const { executions } of profile.data().coldBlocks) expect(executions).toBeLessThan(100_000);
  });

  it('goes everywhere when it is rewritten', () => {
    const m = new Machine().map(HERE, 0x1000, 0x2000).map(THERE, 0x1000, 0x2000);
    for (let n = 0; n < 3; n++) m.run(HERE);
    for (let n = 0; n < 3; n++) m.run(THERE);
    m.function(0x2000, 3);
    m.tcg.ramWritten(m.tcg.ramBase + 0x2000, 8);
    expect(m.tcg.hot.live).toBe(0);
    expect([m.run(HERE), m.run(THERE)]).toEqual([BigInt(3 * ROUNDS), BigInt(3 * ROUNDS)]);
  });

  it('runs at many places in turn', () => {
    const m = new Machine();
    for (let n = 0; n < 12; n++) m.map(HERE + n * 0x10_0000, 0x1000, 0x2000);
    for (let n = 0; n < 36; n++) expect(m.run(HERE + (n % 12) * 0x10_0000)).toBe(BigInt(ROUNDS));
    expect(m.tcg.hot.live).toBeLessThan(36);
  });
});

it('nothing is moved near to another window, to the end of user addresses, or to those of the system', () => {
  const at = (linear: number): boolean => isPlace(linear | 0, Math.floor(linear / 2 ** 32));
  expect([at(0x1000_0000), at(HERE), at(THERE)]).toEqual([true, true, true]);
  const not = [0, 0x40_0000, 2 ** 32 - 2 ** 20, 2 ** 33 + 0x100, 2 ** 47 - 2 ** 20, -(2 ** 31)];
  expect(not.map(at)).toEqual(not.map(() => false));
});
