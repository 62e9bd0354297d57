/** Behaviour by the waveforms and tables of the Intel 8254 data sheet (231164-005). */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type I8254, ISA_PIT, MIN_EDGE_NS, nsToTicks, PIT_HZ, ticksToNs } from './index.ts';

interface Setup {
  bus: FakeBus;
  pit: I8254;
  /** Rising edges of IRQ0 so far. */
  edges(): number;
  /** Moves to `tick` ticks after the start. */
  to(tick: number): void;
  out(counter: number): number;
  count(counter: number): number;
}

function setup(): Setup {
  const bus = createFakeBus();
  const pit = bus.add(ISA_PIT);
  pit.gpioOut('irq').connect(bus.irqs.lines[0] as never);
  return {
    bus,
    pit,
    edges: () => bus.irqs.edges[0] as number,
    to: (tick) => bus.clock.advanceTo(ticksToNs(tick)),
    out: (counter) => {
      bus.out8(0x43, 0xe0 | (2 << counter));
      return bus.in8(0x40 + counter) >> 7;
    },
    count: (counter) => {
      bus.out8(0x43, counter << 6);
      return bus.in8(0x40 + counter) | (bus.in8(0x40 + counter) << 8);
    },
  };
}

function program(bus: FakeBus, counter: number, mode: number, count: number, bcd = 0): void {
  bus.out8(0x43, (counter << 6) | 0x30 | (mode << 1) | bcd);
  bus.out8(0x40 + counter, count & 0xff);
  bus.out8(0x40 + counter, count >> 8);
}

describe('ticks', () => {
  it('are exact over a hundred days', () => {
    for (const seconds of [0, 1, 59, 86_400, 8_640_000]) {
      expect(nsToTicks(seconds * 1e9)).toBe(seconds * PIT_HZ);
      expect(ticksToNs(seconds * PIT_HZ)).toBe(seconds * 1e9);
    }
    for (let tick = 0; tick < 100_000; tick += 37) {
      const ns = ticksToNs(tick + 5 * PIT_HZ);
      expect(nsToTicks(ns)).toBe(tick + 5 * PIT_HZ);
      expect(nsToTicks(ns - 1)).toBe(tick + 5 * PIT_HZ - 1);
    }
  });
});

/** A busy host lets any amount of time pass between two reads of the clock; a guest without a tick waits for this one edge. */
describe('a short one-shot on IRQ0', () => {
  it.each([
    [0, 0],
    [0, 1_000_000],
    [4, 0],
    [4, 900],
    [4, 1_000_000],
  ])('mode %i rises once when %i ns pass at each read of the clock', (mode, nsPerRead) => {
    const { bus, edges } = setup();
    bus.out8(0x43, 0x30 | (mode << 1));
    const before = edges();
    bus.clock.nsPerRead = nsPerRead;
    bus.out8(0x40, 2);
    bus.out8(0x40, 0);
    bus.clock.nsPerRead = 0;
    bus.clock.advance(1e9);
    expect(edges() - before).toBe(1);
  });

  it('that is due but not served yet outlives the next count', () => {
    const { bus, edges } = setup();
    program(bus, 0, 4, 2);
    const before = edges();
    bus.clock.nsPerRead = 1e6;
    bus.out8(0x40, 100);
    bus.clock.nsPerRead = 0;
    expect(edges() - before).toBe(1);
    bus.out8(0x40, 0);
    bus.clock.advance(1e9);
    expect(edges() - before).toBe(2);
  });
});

/** OUT at each tick after the count was written; the count is loaded with tick 1. */
describe('waveforms', () => {
  it.each([
    ['mode 0, N = 4', 0, 4, '0000011111'],
    ['mode 2, N = 3', 2, 3, '1110110110'],
    ['mode 3, N = 4', 3, 4, '1110011001'],
    ['mode 3, N = 5', 3, 5, '1111001110'],
    ['mode 4, N = 3', 4, 3, '1111011111'],
  ])('%s', (_name, mode, n, wave) => {
    const s = setup();
    program(s.bus, 0, mode, n);
    let seen = '';
    for (let tick = 0; tick < wave.length; tick++) {
      s.to(tick);
      seen += s.out(0);
    }
    expect(seen).toBe(wave);
  });

  it.each([
    ['mode 0, N = 4', 0, 4, [4, 4, 3, 2, 1, 0, 0xffff, 0xfffe]],
    ['mode 2, N = 3', 2, 3, [3, 3, 2, 1, 3, 2, 1, 3]],
    ['mode 3, N = 4', 3, 4, [4, 4, 2, 4, 2, 4, 2, 4]],
    ['mode 3, N = 5', 3, 5, [4, 4, 2, 0, 4, 2, 4, 2]],
    ['mode 4, N = 3', 4, 3, [3, 3, 2, 1, 0, 0xffff, 0xfffe, 0xfffd]],
  ])('counts of %s', (_name, mode, n, counts) => {
    const s = setup();
    program(s.bus, 0, mode, n);
    expect(counts.map((_, tick) => (s.to(tick), s.count(0)))).toEqual(counts);
  });

  it('count in BCD, and from the largest count', () => {
    const s = setup();
    program(s.bus, 0, 0, 0x1234, 1);
    s.to(1 + 235);
    expect(s.count(0)).toBe(0x0999);
    program(s.bus, 0, 2, 0, 1);
    s.to(236 + 1 + 1);
    expect(s.count(0)).toBe(0x9999);
    program(s.bus, 0, 2, 0);
    s.to(238 + 1 + 1);
    expect(s.count(0)).toBe(0xffff);
  });
});

describe('gate and triggers of counter 2', () => {
  it('mode 0 stops while the gate is low', () => {
    const s = setup();
    s.bus.out8(0x61, 1);
    program(s.bus, 2, 0, 100);
    s.to(11);
    s.bus.out8(0x61, 0);
    s.to(500);
    expect([s.count(2), s.bus.in8(0x61) & 0x20]).toEqual([90, 0]);
    s.bus.out8(0x61, 1);
    s.to(589);
    expect(s.bus.in8(0x61) & 0x20).toBe(0);
    s.to(590);
    expect(s.bus.in8(0x61) & 0x21).toBe(0x21);
  });

  it('modes 1 and 5 wait for a rise, and start anew with each', () => {
    const s = setup();
    program(s.bus, 2, 1, 10);
    expect(s.out(2)).toBe(1);
    s.to(5);
    s.bus.out8(0x61, 1);
    s.to(6);
    expect(s.out(2)).toBe(0);
    s.bus.out8(0x61, 0);
    s.to(10);
    s.bus.out8(0x61, 1);
    s.to(20);
    expect(s.out(2)).toBe(0);
    s.to(21);
    expect(s.out(2)).toBe(1);
    program(s.bus, 2, 5, 3);
    s.bus.out8(0x61, 0);
    s.bus.out8(0x61, 1); // loaded with tick 22, counted down with tick 25
    s.to(24);
    expect(s.out(2)).toBe(1);
    s.to(25);
    expect(s.out(2)).toBe(0);
    s.to(26);
    expect(s.out(2)).toBe(1);
  });

  it('modes 2 and 3 are high while it is low, and reload with its rise', () => {
    const s = setup();
    s.bus.out8(0x61, 1);
    program(s.bus, 2, 3, 10);
    s.to(7);
    expect(s.out(2)).toBe(0);
    s.bus.out8(0x61, 0);
    expect(s.out(2)).toBe(1);
    s.bus.out8(0x61, 1);
    s.to(8);
    expect([s.count(2), s.out(2)]).toEqual([10, 1]);
    s.to(13);
    expect(s.out(2)).toBe(0);
  });
});

describe('programming', () => {
  it('a new count of modes 2 and 3 waits for the end of the cycle', () => {
    const s = setup();
    program(s.bus, 0, 2, 10);
    s.to(4);
    s.bus.out8(0x40, 20);
    s.bus.out8(0x40, 0);
    s.to(10);
    expect(s.count(0)).toBe(1);
    s.to(11);
    expect(s.count(0)).toBe(20);
    s.bus.out8(0x43, 0xe2); // status: null count is 0 again
    expect(s.bus.in8(0x40)).toBe(0xb4);
  });

  it('mode 0 stops at the first byte of a new count', () => {
    const s = setup();
    program(s.bus, 0, 0, 3);
    s.to(10);
    expect(s.out(0)).toBe(1);
    s.bus.out8(0x40, 5);
    expect([s.out(0), s.bus.irqs.levels[0]]).toEqual([0, 0]);
    s.bus.out8(0x40, 0);
    s.to(16);
    expect(s.out(0)).toBe(1);
  });

  it('reads and writes single bytes', () => {
    const s = setup();
    s.bus.out8(0x43, 0x14); // low byte only
    s.bus.out8(0x40, 200);
    s.to(11);
    expect(s.bus.in8(0x40)).toBe(190);
    s.bus.out8(0x43, 0x24); // high byte only
    s.bus.out8(0x40, 2);
    s.to(13);
    expect([s.bus.in8(0x40), s.bus.in8(0x40)]).toEqual([1, 1]);
  });

  it('latches count and status until they are read', () => {
    const s = setup();
    program(s.bus, 0, 2, 1000);
    program(s.bus, 1, 3, 500);
    s.bus.out8(0x43, 0xc0 | 0x06); // both counters, count and status
    s.to(100);
    s.bus.out8(0x43, 0xc0 | 0x02); // ignored: not read yet
    expect([s.bus.in8(0x40), s.bus.in8(0x40) | (s.bus.in8(0x40) << 8)]).toEqual([0xf4, 1000]);
    expect([s.bus.in8(0x41), s.bus.in8(0x41) | (s.bus.in8(0x41) << 8)]).toEqual([0xf6, 500]);
    expect(s.bus.in8(0x40) | (s.bus.in8(0x40) << 8)).toBe(901);
    expect(s.bus.in8(0x43)).toBe(0xff);
  });
});

describe('IRQ0', () => {
  it('comes once per period, on time', () => {
    const s = setup();
    program(s.bus, 0, 2, 11932); // 100 Hz
    s.bus.irqs.clear();
    s.bus.advance(1e9);
    expect(s.edges()).toBe(99); // the hundredth is some us late: 11932 * 100 > PIT_HZ
    s.bus.advance(1e6);
    expect(s.edges()).toBe(100);
    expect(nsToTicks(s.bus.irqs.changes.at(-1)?.time as number)).toBe(1 + 100 * 11932);
  });

  it('comes once in modes 0 and 4, and again for each new count', () => {
    for (const [mode, extra] of [
      [0, 0],
      [4, 1],
    ] as const) {
      const s = setup();
      program(s.bus, 0, mode, 1000);
      s.bus.irqs.clear();
      s.to(1000 + extra);
      expect(s.edges()).toBe(0);
      s.to(1001 + extra);
      expect(s.edges()).toBe(1);
      s.to(200_000);
      expect(s.edges()).toBe(1);
      s.bus.out16(0x3f, 0x0500); // port 0x40 gets 5
      s.bus.out8(0x40, 0);
      s.to(200_010);
      expect(s.edges()).toBe(2);
    }
  });

  it('is not flooded after a long pause, and keeps its phase', () => {
    const s = setup();
    program(s.bus, 0, 2, 1000);
    s.bus.irqs.clear();
    const { edge } = s.pit.state;
    edge.del(); // the clock jumps: nothing fires in between
    s.to(1_000_500);
    edge.mod(s.bus.clock.now());
    s.bus.advance(0);
    expect(s.edges()).toBe(1);
    expect(nsToTicks(edge.deadline)).toBe(1_001_001);
  });

  it('bounds what a tiny count can do', () => {
    const s = setup();
    program(s.bus, 0, 2, 2);
    s.bus.irqs.clear();
    s.bus.advance(100 * MIN_EDGE_NS);
    expect(s.edges()).toBeGreaterThan(50);
    expect(s.edges()).toBeLessThanOrEqual(100 * 1.2);
    program(s.bus, 0, 2, 1);
    s.bus.irqs.clear();
    s.bus.advance(1e6);
    expect(s.edges()).toBe(0); // a count of 1 is illegal in mode 2
  });
});

describe('port 0x61', () => {
  it('toggles its refresh bit every 18 ticks', () => {
    const s = setup();
    const seen = [0, 17, 18, 35, 36].map((tick) => (s.to(tick), s.bus.in8(0x61) & 0x10));
    expect(seen).toEqual([0, 0, 0x10, 0x10, 0]);
  });

  it('reads the same whether it is polled or looked at once', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('wait' as const), ns: fc.oneof(fc.nat(3000), fc.nat(60_000)) }),
      fc.record({
        do: fc.constant('count' as const),
        counter: fc.constantFrom(0, 2, 2),
        mode: fc.nat(5),
        count: fc.nat(90),
      }),
      fc.record({ do: fc.constant('port' as const), value: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const [polled, once] = [setup(), setup()];
        for (const x of steps) {
          for (const { bus } of [polled, once]) {
            if (x.do === 'port') bus.out8(0x61, x.value);
            else if (x.do === 'count') program(bus, x.counter, x.mode, x.count);
            else if (bus === once.bus) bus.advance(x.ns);
            else
              for (let left = x.ns; left > 0; left -= 700) {
                bus.in8(0x61);
                bus.advance(Math.min(left, 700));
              }
          }
        }
        expect(polled.bus.in8(0x61)).toBe(once.bus.in8(0x61));
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps bits 0-3, and says what the speaker plays', () => {
    const s = setup();
    program(s.bus, 2, 3, 1193);
    expect(s.pit.speakerHz).toBe(0);
    s.bus.out8(0x61, 0xff);
    expect([s.bus.in8(0x61) & 0xcf, Math.round(s.pit.speakerHz)]).toEqual([0x0f, 1000]);
  });
});

describe('state', () => {
  it('survives a round trip, and refuses a damaged state', () => {
    const s = setup();
    program(s.bus, 0, 2, 1000);
    program(s.bus, 2, 1, 77);
    s.to(500);
    s.bus.out8(0x40, 1);
    s.bus.out8(0x43, 0xc2);
    checkRoundTrip(s.pit, () => createFakeBus().add(ISA_PIT));
  });

  it('invents no edge after a load', () => {
    for (const mode of [0, 2, 3, 4]) {
      const s = setup();
      program(s.bus, 0, mode, 1000);
      for (const tick of [10, 600, 1001, 1002, 1600]) {
        s.to(tick);
        const before = s.edges();
        s.pit.onPostLoad();
        expect(s.edges()).toBe(before);
      }
    }
  });
});
