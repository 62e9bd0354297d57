import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuestClock, MAX_LAG_NS } from './guest-clock.ts';

const MS = 1_000_000;

function setUp(): { clock: GuestClock; pass(ns: number): void; compile(ns: number): void } {
  let real = 0;
  let overhead = 0;
  return {
    clock: new GuestClock({ real: () => real, overhead: () => overhead }),
    pass: (ns) => void (real += ns),
    compile: (ns) => {
      real += ns;
      overhead += ns;
    },
  };
}

describe('the guest clock', () => {
  it('is real time while guest code runs and nothing was lost', () => {
    const { clock, pass } = setUp();
    clock.enter(Infinity);
    pass(5 * MS);
    expect(clock.now()).toBe(5 * MS);
  });
  it('stands still outside the guest and while code is compiled', () => {
    const { clock, pass, compile } = setUp();
    clock.enter(Infinity);
    pass(MS);
    compile(10 * MS);
    expect(clock.now()).toBe(MS);
    clock.leave();
    pass(3 * MS);
    expect(clock.now()).toBe(MS);
  });
  it('does not pass a deadline before it is served, so that no tick is lost', () => {
    const { clock, pass } = setUp();
    let deadline = 4 * MS;
    let ticks = 0;
    clock.enter(deadline);
    pass(41 * MS); // the host was busy
    while (clock.now() >= deadline) {
      expect(clock.now()).toBe(deadline);
      ticks++;
      deadline += 4 * MS;
      clock.leave();
      clock.enter(deadline - clock.now());
      pass(4 * MS);
      if (ticks === 20) break;
    }
    expect(ticks).toBe(20);
  });
  it('makes up for it a quarter faster, and at once when idle', () => {
    const { clock, pass } = setUp();
    clock.enter(Infinity);
    clock.leave();
    pass(100 * MS);
    clock.enter(Infinity);
    pass(40 * MS);
    expect(clock.now()).toBe(50 * MS);
    clock.leave();
    clock.idle(Infinity);
    expect(clock.now()).toBe(140 * MS);
  });
  it('when idle goes up to the next deadline, which may move nearer', () => {
    const { clock, pass } = setUp();
    clock.idle(4 * MS);
    pass(2 * MS);
    expect(clock.now()).toBe(2 * MS);
    clock.setDeadline(MS);
    pass(5 * MS);
    expect(clock.now()).toBe(3 * MS);
  });
  it('gives up what it can not make up', () => {
    const { clock, pass } = setUp();
    clock.enter(0);
    pass(MAX_LAG_NS + 7 * MS);
    clock.leave();
    clock.enter(Infinity);
    expect(clock.now()).toBe(7 * MS);
  });
  it('never goes back, never ahead of real time, in whole ns', () => {
    const step = fc.record({
      what: fc.constantFrom('enter', 'leave', 'idle', 'deadline', 'pass', 'compile'),
      ns: fc.integer({ min: -1000, max: 10 * MS }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { clock, pass, compile } = setUp();
        let real = 0;
        let last = 0;
        let running = false;
        for (const { what, ns } of steps) {
          const length = Math.abs(ns);
          if (what === 'pass' || (what === 'compile' && running)) real += length;
          if (what === 'enter') clock.enter(ns);
          else if (what === 'leave') clock.leave();
          else if (what === 'idle') clock.idle(ns);
          else if (what === 'deadline') clock.setDeadline(ns);
          else if (what === 'pass') pass(length);
          else if (running) compile(length);
          if (what === 'enter') running = true;
          if (what === 'leave' || what === 'idle') running = false;
          const now = clock.now();
          expect(Number.isInteger(now) && now >= last && now <= real).toBe(true);
          last = now;
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
