/** Regions that another thread compiles: they come when they come, and the guest sees no difference. */
import { chooseOptimisations } from '@emkit/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { serveCompiler } from './compile-service.ts';
import type { CompileChannel } from './compile-service.ts';
import { decodeJobs, encodeJobs } from './region-job.ts';
import type { JobBlock, RegionJob } from './region-job.ts';
import { EXIT, Tcg } from './tcg.ts';
import { TOY, ToyTarget } from './toy-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];

/** Answers the n-th message at the `delays[n]`-th look at the channel after it. */
class LateChannel implements CompileChannel {
  readonly #answer: (message: unknown) => unknown;
  readonly #delays: readonly number[];
  readonly #waiting: { message: unknown; looks: number }[] = [];
  posted = 0;

  constructor(answer: (message: unknown) => unknown, delays: readonly number[]) {
    this.#answer = answer;
    this.#delays = delays;
  }
  post(message: unknown): void {
    // as a real channel: nothing is shared
    this.#waiting.push({
      message: structuredClone(message),
      looks: this.#delays[this.posted++ % this.#delays.length] ?? 0,
    });
  }
  receive(): unknown {
    const [first] = this.#waiting;
    if (first === undefined || first.looks-- > 0) return undefined;
    this.#waiting.shift();
    return this.#answer(first.message);
  }
}

function late(delays: readonly number[]): { tcg: Tcg; target: ToyTarget; ram: Uint8Array; channel: LateChannel } {
  const made: { target?: ToyTarget } = {};
  let serve: ((message: unknown) => unknown) | undefined;
  const channel = new LateChannel(
    (message) => (serve ??= serveCompiler(made.target!, chooseOptimisations()))(message),
    delays,
  );
  const tcg = new Tcg({
    ...toyHost(RAM),
    tier: 'hot',
    compileChannel: channel,
    createTarget: (host) => (made.target = new ToyTarget(host)),
  });
  return { tcg, target: made.target!, ram: new Uint8Array(tcg.memory.buffer, tcg.ramBase, RAM), channel };
}

const LOOP = [
  ...insn(TOY.MOVI, 0, 0, 0),
  ...insn(TOY.MOVI, 1, 0, 200),
  ...insn(TOY.MOVI, 2, 0, 1),
  ...insn(TOY.ADD, 0, 1), // 0x100c: loop
  ...insn(TOY.CALL, 0, 0, 4),
  ...insn(TOY.SUB, 1, 2),
  ...insn(TOY.JNZ, 1, 0, -3),
  ...insn(TOY.HALT),
  ...insn(TOY.XOR, 3, 0, 0), // 0x1020: function
  ...insn(TOY.RET),
];

function run({ tcg, target, ram }: ReturnType<typeof late>, program: readonly number[]): void {
  ram.set(program, 0x1000);
  target.halted = false;
  target.setReg(3, 0x9000);
  tcg.pc = 0x1000;
  for (let n = 0; n < 2000 && !target.halted; n++) tcg.run(50);
}

describe('jobs', () => {
  const int = fc.integer({ min: -0x80000000, max: 0x7fffffff });
  const block: fc.Arbitrary<JobBlock> = fc.record({
    ...{ pc: int, csBase: int, flags: int, bytes: fc.nat(4096), at: fc.nat(100_000), available: fc.nat(4096) },
    ...{ second: fc.integer({ min: -1, max: 100_000 }), fn: int, targets: fc.array(int, { maxLength: 32 }) },
    ...{ isReturn: fc.boolean(), isVolatile: fc.boolean(), coldFirst: fc.boolean() },
  });
  const job: fc.Arbitrary<RegionJob> = fc.record({
    ...{ blocks: fc.array(block, { minLength: 1, maxLength: 8 }), entries: fc.array(fc.nat(7), { maxLength: 8 }) },
    ...{ group: fc.boolean(), movable: fc.boolean(), firstRecord: fc.nat(0x8_0000), maxRecords: fc.nat(2000) },
  });
  it('are the same behind the channel', () => {
    fc.assert(
      fc.property(fc.array(job, { maxLength: 4 }), (jobs) => {
        expect(decodeJobs(encodeJobs(jobs))).toEqual(jobs);
      }),
    );
  });
});

describe('regions that come late', () => {
  it('are entered when they are there, and the result is that of other tiers', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(12), { minLength: 1, maxLength: 6 }), (delays) => {
        const machine = late(delays);
        for (let n = 0; n < 3; n++) {
          run(machine, LOOP);
          expect([machine.target.halted, machine.target.reg(0)]).toEqual([true, (200 * 201) / 2]);
        }
        expect(machine.tcg.hot.stats.regions).toBeGreaterThan(0);
        expect(machine.channel.posted).toBeGreaterThan(0);
      }),
      { numRuns: 20 },
    );
  });

  it('are not entered when their code has changed meanwhile', () => {
    const machine = late([5]);
    const { tcg, target, ram } = machine;
    ram.set(LOOP, 0x1000);
    target.setReg(3, 0x9000);
    tcg.pc = 0x1000;
    for (let n = 0; n < 100 && machine.channel.posted === 0; n++) tcg.run(50);
    // the loop adds twice from now on
    ram.set([...LOOP.slice(0, 16), ...insn(TOY.ADD, 0, 1), ...LOOP.slice(20)], 0x1000);
    tcg.ramWritten(tcg.ramBase + 0x1000, LOOP.length);
    const [sum, left] = [target.reg(0), target.reg(1)];
    for (let n = 0; n < 2000 && !target.halted; n++) tcg.run(50);
    expect(target.halted).toBe(true);
    expect(tcg.hot.stats.late).toBeGreaterThan(0);
    // between 1 and 2 additions for what was left of the first round
    expect(target.reg(0) - sum).toBeGreaterThanOrEqual((left - 1) * left - left);
  });

  it('are forgotten when all blocks are', () => {
    const machine = late([8]);
    const { tcg, target, ram } = machine;
    ram.set(LOOP, 0x1000);
    target.setReg(3, 0x9000);
    tcg.pc = 0x1000;
    for (let n = 0; n < 100 && machine.channel.posted === 0; n++) tcg.run(50);
    tcg.blocks.flush();
    for (let n = 0; n < 2000 && !target.halted; n++) tcg.run(50);
    expect([target.halted, target.reg(0)]).toEqual([true, (200 * 201) / 2]);
    expect(tcg.hot.stats.late).toBeGreaterThan(0);
  });

  it('a thread that has died is no silence', () => {
    let target: ToyTarget | undefined;
    const dead = new Tcg({
      ...toyHost(RAM),
      tier: 'hot',
      createTarget: (host) => (target = new ToyTarget(host)),
      compileChannel: {
        post: () => undefined,
        receive: () => {
          throw new Error('the thread that compiles has ended');
        },
      },
    });
    new Uint8Array(dead.memory.buffer, dead.ramBase, RAM).set(LOOP, 0x1000);
    target!.setReg(3, 0x9000);
    dead.pc = 0x1000;
    expect(() => {
      for (let n = 0; n < 2000; n++) if (dead.run(50) !== EXIT.SLICE) break;
    }).toThrow('the thread that compiles has ended');
  });
});
