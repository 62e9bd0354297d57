/** A profile's numbers are those of the program that ran, in either tier, and across regions and blocks that go. */
import { describe, expect, it } from 'vitest';
import { TcgProfile } from './profile.ts';
import type { ProfileData } from './profile.ts';
import { EXIT, Tcg } from './tcg.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];
const LOOP = 0x100c;
const ROUNDS = 200;
const PROGRAM = [
  ...insn(TOY.MOVI, 0, 0, 0),
  ...insn(TOY.MOVI, 1, 0, ROUNDS),
  ...insn(TOY.MOVI, 2, 0, 1),
  ...insn(TOY.ADD, 0, 1), // LOOP
  ...insn(TOY.ST, 0, 3, 8),
  ...insn(TOY.SUB, 1, 2),
  ...insn(TOY.JNZ, 1, 0, -3),
  ...insn(TOY.TRAP),
  ...insn(TOY.HALT),
];

function machine(tier: 'cold' | 'hot'): { tcg: Tcg; profile: TcgProfile; start: () => void } {
  // every reading is later than the one before: a browser's clock may stand still for a whole slice
  let clock = 0;
  const profile = new TcgProfile({
    intervalMs: 0,
    callers: () => [0x42],
    helperName: (id) => `h${id}`,
    now: () => (clock += 0.01),
  });
  let target: ToyTarget | undefined;
  const tcg = new Tcg({
    ...toyHost(RAM),
    tier,
    createTarget: (host) => (target = new ToyTarget(host)),
    profile,
  });
  new Uint8Array(tcg.memory.buffer, tcg.ramBase, RAM).set(PROGRAM, 0x1000);
  const start = (): void => {
    target!.halted = false;
    tcg.pc = 0x1000;
    target!.setReg(3, 0x9000);
    while (profile.run(100) === EXIT.SLICE);
    expect(target!.halted).toBe(true);
  };
  return { tcg, profile, start };
}

const runsAt = (data: ProfileData, address: number): number =>
  data.coldBlocks.filter((b) => b.address === address).reduce((sum, b) => sum + b.executions, 0);

describe('profile', () => {
  it('counts the runs of cold blocks, calls out and helpers', () => {
    const { tcg, profile, start } = machine('cold');
    start();
    const data = profile.data();
    // the first round is in the block that begins the program
    expect(runsAt(data, 0x1000)).toBe(1);
    expect(runsAt(data, LOOP)).toBe(ROUNDS - 1);
    expect(data.retired).toBe(tcg.retired);
    expect([...data.helpers].map(([name, { count }]) => `${name} ${count}`)).toEqual(['h0 1', 'h1 1']);
    expect(data.slow.store.count).toBe(1); // the TLB is filled once
    expect(data.slow.load.count).toBe(0);
    expect(data.regions).toEqual([]);
    expect(data.coldBlocks.find((b) => b.coldOnly)?.address).toBe(LOOP + 16);
    expect(data.ms.run).toBeGreaterThanOrEqual(data.ms.generated + data.ms.calls);
    // asked twice, it says the same
    expect(profile.data().coldBlocks).toEqual(data.coldBlocks);
  });

  it('counts what regions do by their exits, and goes on when they are dropped or all is flushed', () => {
    const { tcg, profile, start } = machine('hot');
    for (let n = 0; n < 3; n++) {
      start();
      if (n === 0) tcg.blocks.invalidate([...tcg.blocks.alive].find((tb) => tb.region !== null)!);
      if (n === 1) tcg.blocks.flush();
    }
    const data = profile.data();
    // the second time the program's first block is hot too, and the loop is in its region
    expect(data.regions.map((r) => [r.address, r.compilations, r.dropped])).toEqual([
      [LOOP, 2, 1],
      [0x1000, 1, 1],
    ]);
    for (const { entries, exits } of data.regions) expect([...exits.values()].reduce((a, b) => a + b, 0)).toBe(entries);
    const all = (kind: string): number => data.regions.reduce((sum, { exits }) => sum + (exits.get(kind) ?? 0), 0);
    expect(all('budget')).toBeGreaterThan(3);
    // each run of the loop ends on the way to the instruction that only the cold tier has
    expect(all('jump') + all('cold')).toBeGreaterThanOrEqual(3);
    // compiled at the end of the first slice: 7 of its 100 instructions are the first block's, 4 a round of the loop
    expect(runsAt(data, LOOP)).toBe(3 * 24);
    expect(data.leaves.get('promote')).toBeGreaterThanOrEqual(3);
  });

  it('samples place, tier and stack, and its samples stand for all the time it knows of', () => {
    const { profile, start } = machine('hot');
    for (let n = 0; n < 20; n++) start();
    const data = profile.data();
    const hot = data.samples.filter((s) => s.kind === 'hot');
    expect(hot.map((s) => s.stack)).toContainEqual([LOOP, 0x42]);
    expect(data.samples.find((s) => s.kind === 'helper h1')?.stack[0]).toBe(LOOP + 16);
    const total = data.samples.reduce((sum, s) => sum + s.ms, 0);
    expect(total).toBeCloseTo(data.ms.run, 3);
  });

  it('counts devices that regions call like the other helpers', () => {
    const { tcg, profile, start } = machine('hot');
    start();
    tcg.pc = LOOP;
    const call = profile.device((id, a) => id + a);
    expect([call(3, 4, 0, 0, 0), call(3, 5, 0, 0, 0)]).toEqual([7, 8]);
    const data = profile.data();
    expect(data.helpers.get('h3')?.count).toBe(2);
    expect(data.samples.find((s) => s.kind === 'helper h3')?.stack[0]).toBe(LOOP);
  });

  it('belongs to one processor', () => {
    const { profile, tcg } = machine('cold');
    expect(() => profile.attach(tcg)).toThrow(/one processor/);
  });
});
