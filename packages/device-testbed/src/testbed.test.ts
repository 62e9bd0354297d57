/** The testbed must be able to fail: each check is shown a planted fault. */
import { MemoryRegion } from '@emkit/memory';
import { defineVmState, field, type StateSection } from '@emkit/qdev';
import { describe, expect, it } from 'vitest';
import {
  checkRoundTrip,
  createFakeBus,
  fuzzDevice,
  IrqRecorder,
  MAX_RECORDED_CHANGES,
  MAX_TIMER_FIRES,
  MockClock,
  Random,
} from './index.ts';

describe('MockClock', () => {
  it('fires timers at their time, in order of deadline, then of arming', () => {
    const clock = new MockClock();
    const log: string[] = [];
    const timer = (name: string) => clock.createTimer(() => log.push(`${name}@${clock.now()}`));
    const [a, b, c] = [timer('a'), timer('b'), timer('c')];
    b.mod(10);
    a.mod(10);
    c.mod(5);
    c.del();
    clock.advance(9);
    expect(log).toEqual([]);
    clock.advance(100);
    expect(log).toEqual(['b@10', 'a@10']);
    expect([clock.now(), a.deadline, clock.pending]).toEqual([109, -1, 0]);
    a.mod(3); // already past: fires at once, at the present time
    clock.advance(0);
    expect(log[2]).toBe('a@109');
    expect(() => a.mod(Number.NaN)).toThrow(RangeError);
  });

  it('stops a timer that never lets time pass', () => {
    const clock = new MockClock();
    const timer = clock.createTimer(() => timer.mod(clock.now()));
    timer.mod(1);
    expect(() => clock.advance(1)).toThrow(`more than ${MAX_TIMER_FIRES} timers`);
  });
});

describe('IrqRecorder', () => {
  it('records real changes only, and forgets the oldest', () => {
    const recorder = new IrqRecorder('x', 1, new MockClock());
    const line = recorder.lines[0] as { set(level: number): void };
    line.set(0);
    line.set(1);
    line.set(1);
    expect([recorder.changes.length, recorder.edges[0]]).toEqual([1, 1]);
    for (let i = 0; i < MAX_RECORDED_CHANGES + 5; i++) line.set(i & 1);
    expect(recorder.changes.length).toBe(MAX_RECORDED_CHANGES);
  });
});

describe('fuzzDevice', () => {
  const board = (read: () => number) => {
    const bus = createFakeBus();
    bus.ioRoot.add(
      0x10,
      MemoryRegion.io('dev', 4, {
        read,
        write: (_o, v) => {
          if (v === 0x80) throw new Error('planted');
        },
      }),
    );
    return bus;
  };

  it('reports an exception with seed, step and history', () => {
    expect(() => fuzzDevice({ bus: board(() => 0), seed: 1, operations: 5000, ports: [0x10] })).toThrow(
      /^seed 1, step \d+: Error: planted[\s\S]*last operations:/,
    );
  });

  it('reports a broken invariant and a value that is not a number', () => {
    let reads = 0;
    expect(() =>
      fuzzDevice({
        bus: board(() => ++reads),
        seed: 2,
        operations: 100,
        ports: [0x10],
        invariant: () => (reads > 3 ? 'too many reads' : null),
      }),
    ).toThrow('too many reads');
    const memoryBoard = createFakeBus();
    memoryBoard.memoryRoot.add(
      0x200000,
      MemoryRegion.rom('short', {
        name: 'x',
        size: 16,
        bytes: new Uint8Array(0),
        view: new DataView(new ArrayBuffer(16)),
        dirty: { mark: () => {} },
      } as never),
    );
    expect(() => fuzzDevice({ bus: memoryBoard, seed: 3, operations: 100, mmio: [0x200000] })).toThrow(
      'not an unsigned 8-bit value',
    );
  });

  it('does the same for the same seed', () => {
    const run = (seed: number): number[] => {
      const values: number[] = [];
      const bus = createFakeBus();
      bus.ioRoot.add(0x10, MemoryRegion.io('dev', 4, { read: () => 0, write: (_o, v) => void values.push(v) }));
      fuzzDevice({ bus, seed, operations: 200, ports: [0x10, 0x11] });
      return values;
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
    expect(new Random(1).u32()).not.toBe(new Random(2).u32());
  });
});

describe('checkRoundTrip', () => {
  const section = (
    fields: Parameters<typeof defineVmState>[0]['fields'],
    state: object,
    onPostLoad: () => void = () => {},
  ): StateSection => ({
    id: 'x',
    vmstate: defineVmState({ name: 'x', version: 1, fields }),
    state,
    onPostLoad,
  });

  it('passes what keeps its state', () => {
    checkRoundTrip(section([field.u8('a' as never)], { a: 5 }), () => section([field.u8('a' as never)], { a: 0 }));
  });

  it('catches a post-load that changes the state', () => {
    const fresh = (): StateSection => {
      const state = { a: 0 };
      return section([field.u8('a' as never)], state, () => void (state.a = 1));
    };
    expect(() => checkRoundTrip(section([field.u8('a' as never)], { a: 5 }), fresh)).toThrow(
      'state after a round trip differs',
    );
  });

  it('catches a device that throws on a state that its description allows', () => {
    const fresh = (): StateSection => {
      const state = { a: 0 };
      return section([field.u8('a' as never)], state, () => {
        if (state.a > 200) throw new TypeError('planted');
      });
    };
    expect(() => checkRoundTrip(section([field.u8('a' as never)], { a: 5 }), fresh, { mutations: 2000 })).toThrow(
      'planted',
    );
  });
});
