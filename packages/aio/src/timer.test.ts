import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AioContext, AioError, ManualHost } from './index.ts';
import type { ClockType, Timer } from './index.ts';
import { MAX_TIMER_CALLBACKS_PER_POLL } from './limits.ts';

function setup() {
  const host = new ManualHost();
  const context = new AioContext({ host });
  const log: string[] = [];
  const timer = (name: string, clock: ClockType = 'virtual'): Timer =>
    context.timer(clock, () => log.push(`${name}@${context.now(clock)}`), name);
  return { host, context, log, timer };
}

describe('timers', () => {
  it('fire in order of expiry, equal ones in order of arming', () => {
    const { host, context, log, timer } = setup();
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => timer(name)) as [Timer, Timer, Timer, Timer];
    c.mod(20);
    a.mod(10);
    d.mod(10);
    b.mod(10);
    a.mod(10); // armed again: now behind d and b
    expect(context.timers('virtual').map((t) => t.name)).toEqual(['d', 'b', 'a', 'c']);
    host.advance(9);
    expect(context.poll()).toBe(false);
    host.advance(11);
    expect(context.poll()).toBe(true);
    expect(log).toEqual(['d@20', 'b@20', 'a@20', 'c@20']);
    expect(context.poll()).toBe(false);
  });

  it('report expiry in the form of a saved state, and the next deadline', () => {
    const { context, timer } = setup();
    const a = timer('a');
    expect([a.pending, a.expireNs, context.nextDeadlineNs('virtual')]).toEqual([false, -1, Infinity]);
    a.mod(100.2);
    expect([a.pending, a.expireNs, context.nextDeadlineNs('virtual'), context.nextDeadlineNs('host')]).toEqual([
      true,
      101,
      101,
      Infinity,
    ]);
    a.modAnticipate(200);
    expect(a.expireNs).toBe(101);
    a.modAnticipate(50);
    expect(a.expireNs).toBe(50);
    a.mod(-5);
    expect(a.expireNs).toBe(0);
    a.del();
    a.del();
    expect([a.pending, a.expireNs, context.nextDeadlineNs('virtual')]).toEqual([false, -1, Infinity]);
    for (const ns of [NaN, Infinity, 2 ** 53]) expect(() => a.mod(ns)).toThrow(AioError);
    expect(a.pending).toBe(false);
  });

  it('keep their average rate when polls come late', () => {
    const { host, context } = setup();
    let ticks = 0;
    const period = 1_000_000;
    const tick = context.timer('virtual', () => {
      ticks++;
      tick.mod((nextTick += period));
    });
    let nextTick = period;
    tick.mod(nextTick);
    for (let i = 0; i < 100; i++) {
      host.advance(3_700_000);
      context.poll();
    }
    expect(ticks).toBe(370);
  });

  it('do not fire on a stopped clock, and do not lose their time', () => {
    const { host, context, log, timer } = setup();
    timer('v').mod(100);
    timer('r', 'realtime').mod(100);
    host.advance(60);
    context.clocks.stop();
    host.advance(1000);
    context.poll();
    expect(log).toEqual(['r@1060']);
    context.clocks.start();
    host.advance(39);
    expect(context.poll()).toBe(false);
    host.advance(1);
    context.poll();
    expect(log).toEqual(['r@1060', 'v@100']);
  });

  it('may be deleted and moved from callbacks, and re-armed in the past without hanging the poll', () => {
    const { host, context, log, timer } = setup();
    const victim = timer('victim');
    const moved = timer('moved');
    context
      .timer('virtual', () => {
        victim.del();
        moved.mod(500);
      })
      .mod(1);
    victim.mod(2);
    moved.mod(3);
    let runs = 0;
    const storm = context.timer('virtual', () => {
      runs++;
      storm.mod(0);
    });
    storm.mod(4);
    host.advance(10);
    expect(context.poll()).toBe(true);
    expect(runs).toBe(MAX_TIMER_CALLBACKS_PER_POLL - 1);
    storm.del();
    host.advance(490);
    context.poll();
    expect(log).toEqual(['moved@500']);
  });

  it('tell when the first deadline becomes earlier, and only then', () => {
    const { context, timer } = setup();
    const moved: ClockType[] = [];
    context.onDeadlineMoved = (clock) => moved.push(clock);
    const a = timer('a');
    const b = timer('b', 'realtime');
    a.mod(100);
    a.mod(200);
    timer('c').mod(300);
    b.mod(10);
    a.mod(150);
    expect(moved).toEqual(['virtual', 'realtime', 'virtual']);
  });

  it('property: random programs of mod, del and advance fire as a sorted list does', () => {
    type Step = { op: 'mod' | 'del' | 'advance'; which: number; ns: number };
    const step: fc.Arbitrary<Step> = fc.record({
      op: fc.constantFrom('mod', 'mod', 'del', 'advance'),
      which: fc.nat(7),
      ns: fc.nat(40),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { host, context, log } = setup();
        const expected: string[] = [];
        // The model: expiry and arming number per timer; timer 0 re-arms itself once when it fires at an odd time.
        let model: { which: number; expiry: number; armed: number }[] = [];
        let armings = 0;
        const arm = (which: number, expiry: number): void => {
          model = model.filter((entry) => entry.which !== which);
          model.push({ which, expiry, armed: ++armings });
        };
        const timers = Array.from({ length: 8 }, (_, which): Timer =>
          context.timer('virtual', () => {
            log.push(`${which}`);
            if (which === 0 && context.now('virtual') % 2 === 1) (timers[0] as Timer).mod(context.now('virtual') + 1);
          }),
        );
        for (const { op, which, ns } of steps) {
          const now = context.now('virtual');
          if (op === 'mod') {
            (timers[which] as Timer).mod(now + ns - 5);
            arm(which, Math.max(0, now + ns - 5));
          } else if (op === 'del') {
            (timers[which] as Timer).del();
            model = model.filter((entry) => entry.which !== which);
          } else {
            host.advance(ns);
            context.poll();
            for (;;) {
              model.sort((a, b) => a.expiry - b.expiry || a.armed - b.armed);
              const first = model[0];
              if (first === undefined || first.expiry > now + ns) break;
              model.shift();
              expected.push(`${first.which}`);
              if (first.which === 0 && (now + ns) % 2 === 1) arm(0, now + ns + 1);
            }
          }
          expect(log).toEqual(expected);
          expect(context.nextDeadlineNs('virtual')).toBe(Math.min(Infinity, ...model.map((entry) => entry.expiry)));
          expect(context.timers('virtual').length).toBe(model.length);
        }
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});
