import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXIT, Tcg } from './tcg.ts';
import { HANDLER, TOY64 as T, Toy64Target } from './toy64-target.test-support.ts';
import { toyHost } from './toy-host.test-support.ts';

const RAM = 1 << 20;
/** A page in the lower half of the address space, one in the upper, and one whose low half is that of the first. */
const LOW = 0x7f12_0000_1000;
const HIGH = -(2 ** 31) + 0x3000;
const TWIN = 0x5500_0000_1000;
const STACK = 0x7fff_ffff_f000;
const TIERS = ['cold', 'hot'] as const;

class Machine {
  readonly tcg: Tcg;
  readonly target: Toy64Target;
  readonly ram: Uint8Array;
  readonly view: DataView;

  constructor(tier: 'auto' | 'cold' | 'hot') {
    let target: Toy64Target | undefined;
    this.tcg = new Tcg({
      ...toyHost(RAM),
      tier,
      createTarget: (host) => (target = new Toy64Target(host)),
    });
    this.target = target!;
    this.ram = new Uint8Array(this.tcg.memory.buffer, this.tcg.ramBase, RAM);
    this.view = new DataView(this.tcg.memory.buffer, this.tcg.ramBase, RAM);
    this.map(HANDLER, 0x9000, insn(T.HALT));
  }

  /** Map a linear page, with code if given. */
  map(linear: number, physical: number, ...code: readonly number[][]): this {
    this.target.pages.set(linear, physical);
    this.ram.set(code.flat(), physical);
    return this;
  }
  run(at: number): ReturnType<Tcg['run']> {
    this.target.jump(at);
    let reason = this.tcg.run(100);
    while (reason === EXIT.SLICE) reason = this.tcg.run(100);
    return reason;
  }
}
const insn = (op: number, a = 0, b = 0, imm = 0): number[] => [op, a, b, imm & 0xff];

describe.each(TIERS)('64-bit code, tier %s', (tier) => {
  it('calls from one window into another and returns', () => {
    const m = new Machine(tier).map(STACK, 0x8000);
    m.map(LOW, 0x1000, insn(T.CALLR, 1), insn(T.ADDI, 2, 0, -1), insn(T.JNZ, 2, 0, -2), insn(T.HALT));
    m.map(HIGH, 0x2000, insn(T.ADD, 0, 2), insn(T.RET));
    m.target.setReg64(1, BigInt(HIGH));
    m.target.setReg64(2, 1000n);
    m.target.setReg64(3, BigInt(STACK + 0x800));
    expect(m.run(LOW)).toBe(EXIT.HALTED);
    expect(m.target.reg64(0)).toBe(500500n);
    expect(m.target.reg64(3)).toBe(BigInt(STACK + 0x800));
    expect(m.tcg.retired).toBe(1000 * 5 + 1);
    expect(m.tcg.linearPc).toBe(LOW + 12);
    if (tier === 'hot') expect(m.tcg.hot.stats.regions).toBeGreaterThan(0);
  });

  it('keeps code apart that has the same low half of its address', () => {
    const m = new Machine(tier).map(STACK, 0x8000);
    const add = (n: number): number[][] => [
      insn(T.ADDI, 0, 0, n),
      insn(T.MOV, 1, 2),
      insn(T.MOV, 2, 3),
      insn(T.MOV, 3, 1),
      insn(T.JMPR, 1),
    ];
    m.map(LOW, 0x1000, ...add(1)).map(TWIN, 0x2000, ...add(16));
    m.target.setReg64(2, BigInt(TWIN));
    m.target.setReg64(3, BigInt(LOW));
    m.target.jump(LOW);
    m.tcg.run(1000 * 5);
    expect(m.tcg.linearPc).toBe(LOW);
    expect(m.target.reg64(0)).toBe(500n * 17n);
  });

  it('reads and writes where a page ends', () => {
    const m = new Machine(tier).map(LOW, 0x1000, insn(T.LD64, 0, 1, -3), insn(T.ST64, 0, 2, -5), insn(T.HALT));
    // pages that follow one another linearly, not physically
    m.map(HIGH, 0x5000).map(HIGH + 4096, 0x3000);
    m.map(-4096, 0x7000).map(0, 0x4000);
    for (let n = 0; n < 8; n++) m.ram[n < 3 ? 0x5ffd + n : 0x3000 + n - 3] = n + 1;
    m.target.setReg64(1, BigInt(HIGH + 4096));
    for (let n = 0; n < 5; n++) {
      m.target.setReg64(2, 0n);
      m.view.setBigUint64(0x7ff8, 0n, true);
      m.view.setBigUint64(0x4000, 0n, true);
      expect(m.run(LOW)).toBe(EXIT.HALTED);
      expect(m.target.reg64(0)).toBe(0x0807060504030201n);
      expect([...m.ram.subarray(0x7ffb, 0x8000), ...m.ram.subarray(0x4000, 0x4003)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
    expect(m.target.faults).toEqual([]);
  });

  it('faults with the linear number of the page that is missing', () => {
    const m = new Machine(tier).map(LOW, 0x1000, insn(T.LD64, 0, 1, -3), insn(T.JMPR, 2));
    m.map(HIGH, 0x5000).map(TWIN, 0x2000, insn(T.HALT));
    m.target.onDemand.set(HIGH + 4096, 0x6000);
    m.target.setReg64(1, BigInt(HIGH + 4096));
    m.target.setReg64(2, BigInt(HIGH + 8192));
    m.run(LOW);
    expect(m.target.faults).toEqual([HIGH + 4096, HIGH + 8192]);
    expect(m.target.halted).toBe(true);
  });

  it('gives addresses to the target that are not canonical', () => {
    const cases = [
      [insn(T.LD, 0, 1), 1n << 47n, 4],
      [insn(T.ST64, 0, 1), -(1n << 47n) - 8n, 8],
      [insn(T.LD64, 0, 1), (1n << 47n) - 4n, 8],
      [insn(T.RET), 0x1234_5678_9abc_def0n, 8 | 64],
      [insn(T.PUSH), (1n << 63n) + 8n, 8 | 64],
      [insn(T.JMPR, 1), 0x1234_5678_9abc_def0n, 0],
    ] as const;
    for (const [code, address, kind] of cases) {
      const m = new Machine(tier).map(LOW, 0x1000, code, insn(T.TRAP));
      m.map(2 ** 47 - 4096, 0x3000);
      for (let n = 0; n < 4; n++) {
        m.target.setReg64(1, address);
        m.target.setReg64(3, address);
        m.run(LOW);
      }
      const at = BigInt.asUintN(64, code[0] === T.PUSH ? address - 8n : address);
      const half = (v: bigint): number => Number(BigInt.asIntN(32, v));
      expect(m.target.nonCanonical).toEqual(
        Array.from({ length: 4 }, () => ({ lo: half(at), hi: half(at >> 32n), kind })),
      );
      expect(m.target.traps).toBe(0);
      expect(m.target.faults).toEqual([]);
    }
  });

  it('sees another mapping of a page after its flush, and of that page alone', () => {
    const m = new Machine(tier).map(LOW, 0x1000, insn(T.LD64, 0, 1), insn(T.LD64, 2, 3), insn(T.HALT));
    m.map(HIGH, 0x5000).map(HIGH + 2 ** 24, 0x6000); // both in one TLB entry
    m.map(TWIN, 0x2000);
    [0x5000, 0x6000, 0x7000, 0x2000].forEach((at, n) => m.view.setBigUint64(at, BigInt(n + 1), true));
    const read = (a: number, b: number): bigint[] => {
      m.target.setReg64(1, BigInt(a));
      m.target.setReg64(3, BigInt(b));
      m.run(LOW);
      return [m.target.reg64(0), m.target.reg64(2)];
    };
    for (let n = 0; n < 4; n++) expect(read(HIGH, HIGH + 2 ** 24)).toEqual([1n, 2n]);
    expect(read(HIGH, TWIN)).toEqual([1n, 4n]);
    m.target.pages.set(HIGH, 0x7000);
    expect(read(TWIN, HIGH)[1]).toBe(1n); // the TLB still knows the old one
    m.tcg.flushTlbPage(HIGH);
    expect(read(HIGH, TWIN)).toEqual([3n, 4n]);
  });

  it('forgets a page for supervisors alone', () => {
    const m = new Machine(tier).map(HIGH, 0x5000);
    const hits = (): boolean[] => [0, 1].map((user) => m.tcg.mmu.hit(HIGH, 0, user) >= 0);
    for (const user of [0, 1]) m.tcg.access.read8(HIGH, user);
    expect(hits()).toEqual([true, true]);
    m.tcg.mmu.forgetPage(HIGH, 0);
    expect(hits()).toEqual([false, true]);
    m.tcg.access.read8(HIGH, 0);
    expect(hits()).toEqual([true, true]);
  });

  it('sees other code in a page after its flush', () => {
    for (const page of [LOW, HIGH, -4096]) {
      const m = new Machine(tier).map(TWIN, 0x1000, insn(T.JMPR, 1));
      // blocks along the whole page: the jump cache has them in several groups
      for (const at of [0, 0x7f0, 0xff0]) {
        for (const [base, value] of [
          [0x5000, 11],
          [0x6000, 22],
        ])
          m.ram.set([...insn(T.MOVI, 0, 0, value), ...insn(T.HALT)], base + at);
      }
      for (const physical of [0x5000, 0x6000, 0x5000]) {
        m.map(page, physical);
        m.tcg.flushTlbPage(page);
        for (let n = 0; n < 4; n++)
          for (const at of [0, 0x7f0, 0xff0]) {
            m.target.setReg64(1, BigInt(page + at));
            m.run(TWIN);
            expect(m.target.reg64(0)).toBe(physical === 0x5000 ? 11n : 22n);
          }
      }
    }
  });

  it('checks regions over several pages after a flush', () => {
    const m = new Machine(tier).map(STACK, 0x8000);
    m.map(HIGH, 0x1000, insn(T.CALLR, 1), insn(T.ADDI, 2, 0, -1), insn(T.JNZ, 2, 0, -2), insn(T.HALT));
    m.map(HIGH + 8192, 0x2000, insn(T.ADDI, 0, 0, 1), insn(T.RET));
    m.ram.set([...insn(T.ADDI, 0, 0, 2), ...insn(T.RET)], 0x3000);
    const run = (): bigint => {
      m.target.setReg64(0, 0n);
      m.target.setReg64(1, BigInt(HIGH + 8192));
      m.target.setReg64(2, 100n);
      m.target.setReg64(3, BigInt(STACK + 0x800));
      m.run(HIGH);
      return m.target.reg64(0);
    };
    expect([run(), run()]).toEqual([100n, 100n]);
    m.target.pages.set(HIGH + 8192, 0x3000);
    m.tcg.flushTlbPage(HIGH + 8192);
    expect([run(), run()]).toEqual([200n, 200n]);
    m.target.pages.set(HIGH + 8192, 0x2000);
    m.tcg.flushTlb(true);
    expect([run(), run()]).toEqual([100n, 100n]);
  });

  it('looks at regions over global pages again after a flush of everything, at others after any', () => {
    for (const isGlobal of [false, true]) {
      const m = new Machine(tier).map(STACK, 0x8000);
      m.target.walkGlobal = isGlobal;
      m.map(HIGH, 0x1000, insn(T.CALLR, 1), insn(T.ADDI, 2, 0, -1), insn(T.JNZ, 2, 0, -2), insn(T.HALT));
      m.map(HIGH + 8192, 0x2000, insn(T.ADDI, 0, 0, 1), insn(T.RET));
      m.ram.set([...insn(T.ADDI, 0, 0, 2), ...insn(T.RET)], 0x3000);
      const run = (): bigint => {
        m.target.setReg64(0, 0n);
        m.target.setReg64(1, BigInt(HIGH + 8192));
        m.target.setReg64(2, 100n);
        m.target.setReg64(3, BigInt(STACK + 0x800));
        m.run(HIGH);
        return m.target.reg64(0);
      };
      expect([run(), run(), run()]).toEqual([100n, 100n, 100n]);
      m.tcg.flushTlb(false);
      expect([run(), run()]).toEqual([100n, 100n]);
      m.target.pages.set(HIGH + 8192, 0x3000);
      m.tcg.flushTlb(false);
      expect([run(), run()]).toEqual(isGlobal ? [100n, 100n] : [200n, 200n]);
      m.tcg.flushTlb(true);
      expect([run(), run()]).toEqual([200n, 200n]);
    }
  });

  it('stops at breakpoints and watched bytes in the upper half', () => {
    const m = new Machine(tier).map(LOW, 0x1000, insn(T.JMPR, 1));
    m.map(HIGH, 0x2000, insn(T.ST8, 0, 2, 4), insn(T.MOVI, 0, 0, 5), insn(T.HALT)).map(-4096, 0x3000);
    m.target.setReg64(1, BigInt(HIGH));
    m.target.setReg64(2, -4096n);
    m.tcg.setBreakpoints([HIGH + 4]);
    expect(m.run(LOW)).toBe(EXIT.DEBUG);
    expect(m.tcg.linearPc).toBe(HIGH + 4);
    m.tcg.setBreakpoints([]);
    m.tcg.setWatches([{ address: -4092, length: 1, read: false, write: true }]);
    expect(m.run(LOW)).toBe(EXIT.DEBUG);
    expect(m.tcg.debug.hit).toEqual({ address: -4092, write: true });
  });

  it('notices code that is overwritten through another address', () => {
    const m = new Machine(tier)
      .map(LOW, 0x1000, insn(T.ST, 1, 2, 4), insn(T.MOVI, 0, 0, 1), insn(T.HALT))
      .map(HIGH, 0x1000);
    m.target.setReg64(2, BigInt(HIGH));
    const write = (n: number): void =>
      m.target.setReg64(1, BigInt(new DataView(Uint8Array.from(insn(T.MOVI, 0, 0, n)).buffer).getUint32(0, true)));
    for (let n = 0; n < 20; n++) {
      write(n);
      m.run(LOW);
      expect(m.target.reg64(0)).toBe(BigInt(n));
    }
  });
});

it('gives the same state in both tiers for random programs', () => {
  const op = fc.constantFrom(
    T.ADD,
    T.SUB,
    T.MUL,
    T.XOR,
    T.MOVI,
    T.ADDI,
    T.SHL,
    T.MOV,
    T.LD,
    T.LD8,
    T.LD64,
    T.ST,
    T.ST8,
    T.ST64,
    T.PUSH,
    T.JNZ,
    T.JMP,
    T.TRAP,
  );
  const program = fc.array(fc.tuple(op, fc.nat(2), fc.nat(3), fc.nat(255)), { minLength: 2, maxLength: 40 });
  const start = fc.constantFrom(0n, BigInt(HIGH), BigInt(HIGH + 4090), BigInt(STACK + 0x400), (1n << 47n) - 3n, 5n);
  let finished = 0;
  fc.assert(
    fc.property(program, fc.array(start, { minLength: 3, maxLength: 3 }), (insns, regs) => {
      const results = TIERS.map((tier) => {
        const m = new Machine(tier);
        const code = insns.map(([o, a, b, imm], n) => [
          o,
          a,
          b,
          o === T.JNZ || o === T.JMP ? ((imm % insns.length) - n) & 0xff : imm,
        ]);
        m.map(LOW, 0x1000, ...code, insn(T.HALT))
          .map(STACK, 0x8000)
          .map(HIGH, 0x5000);
        m.target.onDemand
          .set(HIGH + 4096, 0x3000)
          .set(0, 0x4000)
          .set(-4096, 0x7000);
        m.target.jump(LOW);
        [...regs, BigInt(STACK + 0x800)].forEach((v, n) => m.target.setReg64(n, v));
        for (let n = 0; n < 40 && !m.target.halted; n++) m.tcg.run(50);
        return m.target.halted
          ? {
              regs: [0, 1, 2, 3].map((n) => m.target.reg64(n)),
              ram: m.ram.slice(0x1000, 0x9000).join(),
              traps: m.target.traps,
              retired: m.tcg.retired,
              faults: m.target.faults,
              nonCanonical: m.target.nonCanonical,
            }
          : null;
      });
      if (results[0] !== null) finished++;
      expect(results[1]).toEqual(results[0]);
    }),
    { numRuns: 60, seed: 1 },
  );
  expect(finished).toBeGreaterThan(30);
});
