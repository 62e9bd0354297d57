/** Random programming; and each counter against a model that really counts, tick by tick. */
import { createFakeBus, fuzzDevice, Random } from '@emkit/device-testbed';
import { expect, it } from 'vitest';
import {
  countAt,
  type CounterState,
  fromBcd,
  loadCount,
  makeCounter,
  nextRise,
  outputAt,
  setGate,
  setMode,
  toBcd,
} from './counter.ts';
import { ISA_PIT, MIN_EDGE_NS } from './index.ts';

it.each([1, 2, 3])('holds its invariants (seed %d)', (seed) => {
  const bus = createFakeBus();
  const pit = bus.add(ISA_PIT);
  pit.gpioOut('irq').connect(bus.irqs.lines[0] as never);
  let edges = 0;
  let time = 0;
  fuzzDevice({
    bus,
    seed,
    operations: 20_000,
    ports: [0x40, 0x41, 0x42, 0x43, 0x61],
    maxAdvance: 5_000_000,
    invariant: () => {
      const now = bus.clock.now();
      const made = (bus.irqs.edges[0] as number) - edges;
      if (made > (now - time) / (MIN_EDGE_NS * 0.8) + 3) return `${made} interrupts in ${now - time} ns`;
      edges = bus.irqs.edges[0] as number;
      time = now;
      const { deadline } = pit.state.edge;
      if (deadline >= 0 && deadline <= now) return 'the timer is armed in the past';
      for (const c of pit.state.counters) if (c.count < 1 || c.count > 0x10000) return `count ${c.count}`;
      return null;
    },
  });
  expect(edges).toBeGreaterThan(10);
});

/** A counting element as in the data sheet: it is loaded, and decremented by one or two with each clock. */
class Model {
  value = 0;
  reload = 0;
  out: number;
  isCounting = false;
  readonly mode: number;
  readonly bcd: boolean;
  constructor(mode: number, bcd: boolean) {
    this.mode = mode;
    this.bcd = bcd;
    this.out = mode === 0 ? 0 : 1;
  }
  /** One clock after the load. */
  clock(): void {
    const wrap = this.bcd ? 10_000 : 0x10000;
    switch (this.mode) {
      case 0:
        this.value = (this.value - 1 + wrap) % wrap;
        if (this.value === 0) this.out = 1;
        return;
      case 2:
        this.value -= 1;
        if (this.value === 0) this.value = this.reload;
        this.out = this.value === 1 ? 0 : 1;
        return;
      case 3:
        // an odd count stays one clock longer while the output is high
        if (this.value === 2 && !(this.reload % 2 === 1 && this.out === 1)) {
          this.out ^= 1;
          this.value = this.reload & ~1;
        } else if (this.value === 0) {
          this.out ^= 1;
          this.value = this.reload & ~1;
        } else {
          this.value -= 2;
        }
        return;
      default:
        this.value = (this.value - 1 + wrap) % wrap;
        this.out = this.value === 0 ? 0 : 1;
    }
  }
  load(count: number): void {
    this.reload = count;
    this.value = this.mode === 3 ? count & ~1 : count;
    if (this.mode === 4) this.out = 1;
  }
}

it.each([0, 2, 3, 4])('mode %d agrees with a model that counts', (mode) => {
  const random = new Random(mode + 1);
  for (let run = 0; run < 60; run++) {
    const bcd = random.below(3) === 0;
    const start = random.below(1000);
    const n = 3 + random.below(40);
    const c: CounterState = makeCounter();
    setMode(c, mode, 3, bcd);
    loadCount(c, bcd ? toBcd(n) : n, start);
    const model = new Model(mode, bcd);
    model.load(n);
    let previous = outputAt(c, start);
    let rise = nextRise(c, start);
    for (let tick = start + 1; tick < start + 200; tick++) {
      if (tick > start + 1) model.clock();
      const wrap = bcd ? 10_000 : 0x10000;
      const counted = countAt(c, tick);
      expect([tick - start, bcd ? fromBcd(counted) : counted, outputAt(c, tick)]).toEqual([
        tick - start,
        model.value % wrap,
        model.out,
      ]);
      if (model.out === 1 && previous === 0) {
        expect(rise).toBe(tick);
        rise = nextRise(c, tick);
      }
      previous = model.out;
    }
  }
});

it('nextRise is the first tick at which the output rises, also while counts change and the gate moves', () => {
  const random = new Random(7);
  const c = makeCounter();
  let tick = 0;
  let rises = 0;
  for (let i = 0; i < 3000; i++) {
    const action = random.below(8);
    if (action === 0) setMode(c, random.below(6), 3, false);
    else if (action < 4) loadCount(c, 2 + random.below(30), tick);
    else if (action === 4) setGate(c, random.below(4) !== 0, tick);
    const rise = nextRise(c, tick);
    const until = tick + 1 + random.below(70);
    let found = -1;
    for (let t = tick + 1; t <= until && found < 0; t++)
      if (outputAt({ ...c }, t) === 1 && outputAt({ ...c }, t - 1) === 0) found = t;
    if (rise >= 0 && rise <= until) {
      expect(found).toBe(rise);
      rises++;
      tick = rise;
    } else {
      expect(found).toBe(-1);
      tick = until;
    }
  }
  expect(rises).toBeGreaterThan(300);
});
