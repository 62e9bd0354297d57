/** Behaviour by the IBM PS/2 Hardware Interface Technical Reference, and what operating systems probe. */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import {
  BYTE_GAP_NS,
  I8042,
  type KeyboardController,
  KEY_QUEUE_SIZE,
  KEYS,
  MAX_PENDING_MOVEMENT,
  MOUSE_QUEUE_SIZE,
} from './index.ts';

interface Setup {
  bus: FakeBus;
  kbc: KeyboardController;
  command(...bytes: number[]): void;
  data(byte: number): void;
  /** All that waits, with the time that it takes. */
  drain(limit?: number): number[];
  /** Sends a byte to the mouse. */
  aux(byte: number): void;
  irq(line: number): number;
}

function setup(ctr = 0x47): Setup {
  const bus = createFakeBus();
  const kbc = bus.add(I8042);
  const s: Setup = {
    bus,
    kbc,
    command: (...bytes) => bytes.forEach((byte, i) => bus.out8(i === 0 ? 0x64 : 0x60, byte)),
    data: (byte) => bus.out8(0x60, byte),
    drain: (limit = 1000) => {
      const bytes: number[] = [];
      for (let i = 0; i < limit; i++) {
        bus.advance(BYTE_GAP_NS);
        if ((bus.in8(0x64) & 1) === 0) break;
        bytes.push(bus.in8(0x60));
      }
      return bytes;
    },
    aux: (byte) => {
      bus.out8(0x64, 0xd4);
      bus.out8(0x60, byte);
    },
    irq: (line) => bus.irqs.levels[line] as number,
  };
  s.command(0x60, ctr);
  return s;
}

describe('controller', () => {
  it('passes the tests that firmware and systems make', () => {
    const s = setup();
    const ask = (command: number): number => {
      s.command(command);
      expect(s.bus.in8(0x64) & 1).toBe(1);
      return s.bus.in8(0x60);
    };
    expect([0xaa, 0xab, 0xa9, 0xa4, 0xc0, 0xe0, 0x20].map(ask)).toEqual([0x55, 0x00, 0x00, 0xf1, 0x80, 0x00, 0x47]);
    expect(s.bus.in8(0x64)).toBe(0x1c); // system flag, last write was a command, not locked
    s.command(0xa7);
    expect(ask(0x20)).toBe(0x67);
    s.command(0xa8);
    s.command(0xad);
    expect(ask(0x20)).toBe(0x57);
    s.command(0xae);
    s.command(0x65, 0x99); // RAM byte 5
    expect([ask(0x25), ask(0x20)]).toEqual([0x99, 0x47]);
    expect(s.bus.in8(0x64) & 8).toBe(8);
    s.data(0xf4);
    expect(s.bus.in8(0x64) & 8).toBe(0);
  });

  it('loops bytes through its output buffer, with the right interrupt', () => {
    const s = setup();
    s.command(0xd3, 0x5a);
    expect([s.irq(1), s.irq(12), s.bus.in8(0x64) & 0x21, s.bus.in8(0x60), s.irq(12)]).toEqual([0, 1, 0x21, 0x5a, 0]);
    s.command(0xd2, 0xa5);
    expect([s.irq(1), s.irq(12), s.bus.in8(0x64) & 0x21, s.bus.in8(0x60), s.irq(1)]).toEqual([1, 0, 0x01, 0xa5, 0]);
    s.command(0x60, 0x44); // interrupts off
    s.command(0xd2, 0x01);
    expect([s.irq(1), s.bus.in8(0x60), s.bus.in8(0x60)]).toEqual([0, 1, 1]); // an empty buffer shows its last byte
  });

  it('drives A20 and asks for reset', () => {
    const s = setup();
    const a20 = s.kbc.gpioOut('a20');
    expect(a20.level).toBe(1);
    s.command(0xdd);
    expect(a20.level).toBe(0);
    s.command(0xd1, 0xdf);
    expect(a20.level).toBe(1);
    s.command(0xd0);
    expect(s.bus.in8(0x60) & 0x03).toBe(0x03);
    expect(s.bus.resets).toEqual([]);
    s.command(0xff); // pulses nothing
    s.command(0xfe);
    s.command(0xd1, 0xde);
    expect(s.bus.resets).toEqual(['keyboard controller', 'keyboard controller']);
  });

  it('lets a gap between device bytes, so that a second read gives the same byte', () => {
    const s = setup();
    s.kbc.pressKey('a', true);
    s.kbc.pressKey('b', true);
    expect([s.irq(1), s.bus.in8(0x60), s.irq(1), s.bus.in8(0x60), s.bus.in8(0x64) & 1]).toEqual([1, 0x1e, 0, 0x1e, 0]);
    s.bus.advance(BYTE_GAP_NS - 1);
    expect(s.irq(1)).toBe(0);
    s.bus.advance(1);
    expect([s.irq(1), s.bus.in8(0x60)]).toEqual([1, 0x30]);
  });
});

describe('keyboard', () => {
  it('answers reset, identify, echo, and refuses what it does not know', () => {
    const s = setup(0x07); // no translation
    const ask = (...bytes: number[]): number[] => (bytes.forEach((byte) => s.data(byte)), s.drain());
    expect(ask(0xff)).toEqual([0xfa, 0xaa]);
    expect(ask(0xf2)).toEqual([0xfa, 0xab, 0x83]);
    expect(ask(0xee)).toEqual([0xee]);
    expect(ask(0x12)).toEqual([0xfe]);
    expect(ask(0xfe)).toEqual([0xfe]); // the last byte again
    expect(ask(0xed, 0x05)).toEqual([0xfa, 0xfa]);
    expect(s.kbc.leds).toBe(5);
    expect(ask(0xed, 0xf4)).toEqual([0xfa, 0xfa]); // a command in place of an argument
    expect(s.kbc.leds).toBe(5);
    expect(ask(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x02]);
    expect(ask(0xf0, 0x04)).toEqual([0xfa, 0xfe]);
    expect(ask(0xf3, 0x00)).toEqual([0xfa, 0xfa]);
    expect(ask(0xfb, 0x12)).toEqual([0xfa, 0xfa]);
    expect(ask(0xf6)).toEqual([0xfa]);
  });

  it('identifies itself as AB 41 through translation', () => {
    const s = setup();
    s.data(0xf2);
    expect(s.drain()).toEqual([0xfa, 0xab, 0x41]);
  });

  it.each([
    ['a', [0x1e, 0x9e], [0x1c, 0xf0, 0x1c], [0x1c, 0xf0, 0x1c]],
    ['Enter', [0x1c, 0x9c], [0x5a, 0xf0, 0x5a], [0x5a, 0xf0, 0x5a]],
    ['f7', [0x41, 0xc1], [0x83, 0xf0, 0x83], [0x37, 0xf0, 0x37]],
    ['ArrowUp', [0xe0, 0x48, 0xe0, 0xc8], [0xe0, 0x75, 0xe0, 0xf0, 0x75], [0x63, 0xf0, 0x63]],
    ['ctrl_r', [0xe0, 0x1d, 0xe0, 0x9d], [0xe0, 0x14, 0xe0, 0xf0, 0x14], [0x58, 0xf0, 0x58]],
    [
      'print',
      [0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa],
      [0xe0, 0x12, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12],
      [0x57, 0xf0, 0x57],
    ],
    [
      'pause',
      [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5],
      [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77],
      [0x62, 0xf0, 0x62],
    ],
  ])('sends %s in each set', (key, set1, set2, set3) => {
    const s = setup();
    const tap = (): number[] => {
      s.kbc.pressKey(key, true);
      s.kbc.pressKey(key, false);
      return s.drain();
    };
    expect(tap()).toEqual(set1); // set 2, translated
    s.command(0x60, 0x07);
    expect(tap()).toEqual(set2);
    for (const [set, bytes] of [
      [1, set1],
      [3, set3],
    ] as const) {
      s.data(0xf0);
      s.data(set);
      s.drain();
      expect(tap()).toEqual(bytes);
    }
  });

  it('sends each key as itself', () => {
    for (const set of [1, 2, 3]) {
      const seen = new Map<string, string>();
      const s = setup(0x07);
      s.data(0xf0);
      s.data(set);
      s.drain();
      for (const key of KEYS) {
        expect(s.kbc.pressKey(key.code, true)).toBe(true);
        const bytes = s.drain().join();
        expect(bytes).not.toBe('');
        expect(seen.get(bytes)).toBeUndefined();
        seen.set(bytes, key.name);
        s.kbc.pressKey(key.name, false);
        s.drain();
      }
    }
    expect(setup().kbc.pressKey('constructor', true)).toBe(false);
  });

  it('repeats the last key that is held, at its rate', () => {
    const s = setup();
    s.kbc.pressKey('a', true);
    s.kbc.pressKey('a', true); // a repetition by the host is none
    expect(s.drain()).toEqual([0x1e]);
    s.bus.advance(500e6);
    expect(s.drain()).toEqual([0x1e]);
    s.bus.advance(92e6); // 1/10.9 s
    expect(s.drain()).toEqual([0x1e]);
    s.kbc.pressKey('a', false);
    s.bus.advance(5e9);
    expect(s.drain()).toEqual([0x9e]);
    s.data(0xf3);
    s.data(0x00); // 250 ms, 30 a second
    s.drain();
    s.kbc.pressKey('b', true);
    s.drain();
    let count = 0;
    for (let i = 0; i < 1000; i++) {
      s.bus.advance(1e6);
      if (s.bus.in8(0x64) & 1) count += s.bus.in8(0x60) === 0x30 ? 1 : 0;
    }
    expect(count).toBe(23);
  });

  it('is silent while disabled, or its clock is held', () => {
    const s = setup();
    s.data(0xf5);
    s.drain();
    expect(s.kbc.pressKey('a', true)).toBe(false);
    expect(s.drain()).toEqual([]);
    s.data(0xf4);
    s.drain();
    s.command(0xad);
    s.kbc.pressKey('b', true);
    expect(s.drain()).toEqual([]);
    s.command(0xae);
    expect(s.drain()).toEqual([0x30]);
  });

  it('bounds its queue, and always has room for releases', () => {
    const s = setup();
    s.command(0xad);
    let taken = 0;
    for (let i = 0; i < 20; i++) {
      for (const key of KEYS.slice(0, 10)) {
        if (s.kbc.pressKey(key.name, true)) taken++;
        s.kbc.pressKey(key.name, false);
      }
    }
    expect(taken).toBeLessThan(KEY_QUEUE_SIZE / 2);
    expect(s.kbc.state.keyboard.keys.count).toBeLessThanOrEqual(KEY_QUEUE_SIZE);
    s.command(0xae);
    const codes = s.drain();
    expect(codes.filter((code) => code < 0x80).length).toBe(taken);
  });
});

describe('mouse', () => {
  const knock = (s: Setup, ...rates: number[]): void => {
    for (const rate of rates) {
      s.aux(0xf3);
      s.aux(rate);
    }
    s.drain();
  };

  it('answers reset, identify, status, and refuses what it does not know', () => {
    const s = setup();
    const ask = (...bytes: number[]): number[] => (bytes.forEach((byte) => s.aux(byte)), s.drain());
    expect(ask(0xff)).toEqual([0xfa, 0xaa, 0x00]);
    expect(ask(0xf2)).toEqual([0xfa, 0x00]);
    expect(ask(0xe8, 0x03, 0xe7, 0xf3, 0x28, 0xf4, 0xe9)).toEqual([
      0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x30, 0x03, 0x28,
    ]);
    expect(ask(0xe8, 0x04)).toEqual([0xfa, 0xfe]);
    expect(ask(0x01)).toEqual([0xfe]);
    expect(ask(0xee, 0x55, 0xec)).toEqual([0xfa, 0x55, 0xfa]);
    expect(ask(0xf0, 0xeb)).toEqual([0xfa, 0xfa, 0x08, 0, 0]);
    expect([s.bus.irqs.levels[12], s.bus.in8(0x64) & 0x20]).toEqual([0, 0]);
  });

  it('reports movement and buttons by IRQ12', () => {
    const s = setup();
    s.kbc.mouseMove(50, 50, 0, 0);
    expect(s.drain()).toEqual([]); // not enabled
    s.aux(0xf4);
    expect(s.drain()).toEqual([0xfa]);
    s.kbc.mouseMove(5, 3, 0, 1);
    expect([s.irq(12), s.irq(1), s.bus.in8(0x64) & 0x21]).toEqual([1, 0, 0x21]);
    expect(s.drain()).toEqual([0x29, 5, 0xfd]);
    s.kbc.mouseMove(-1, -2, 9, 4);
    expect(s.drain()).toEqual([0x1c, 0xff, 2]); // no wheel yet
    s.kbc.mouseMove(300, 0, 0, 4);
    expect(s.drain()).toEqual([0x0c, 255, 0, 0x0c, 45, 0]);
    s.kbc.mouseMove(0, 0, 0, 4);
    expect(s.drain()).toEqual([]);
  });

  it('has a wheel after its knock', () => {
    const s = setup();
    knock(s, 200, 100, 80);
    s.aux(0xf2);
    s.aux(0xf4);
    expect(s.drain()).toEqual([0xfa, 0x03, 0xfa]);
    s.kbc.mouseMove(0, 0, -1, 0);
    expect(s.drain()).toEqual([0x08, 0, 0, 0xff]);
    s.aux(0xff);
    s.drain();
    knock(s, 200, 200, 80); // five buttons: not this one
    s.aux(0xf2);
    expect(s.drain()).toEqual([0xfa, 0x00]);
  });

  it('sums up what the guest does not take, and bounds it', () => {
    const s = setup();
    s.aux(0xf4);
    s.drain();
    for (let i = 0; i < 10_000; i++) s.kbc.mouseMove(100, NaN, 0, 0);
    expect(s.kbc.state.mouse.packets.count).toBeLessThanOrEqual(MOUSE_QUEUE_SIZE);
    expect(s.kbc.state.mouse.dx).toBeLessThanOrEqual(MAX_PENDING_MOVEMENT);
    const bytes = s.drain();
    expect(bytes.length % 3).toBe(0);
    expect(s.kbc.state.mouse.dx).toBe(0);
    for (const value of [Infinity, -Infinity, NaN, 1e300]) s.kbc.mouseMove(value, value, value, value);
    expect(Number.isInteger(s.kbc.state.mouse.dx)).toBe(true);
  });
});

describe('state', () => {
  it('survives a round trip, and refuses a damaged state', () => {
    const s = setup();
    s.aux(0xf4);
    for (const key of ['a', 'shift', 'ArrowUp', 'pause']) s.kbc.pressKey(key, true);
    s.kbc.mouseMove(1000, 5, 0, 3);
    s.bus.in8(0x60);
    s.command(0xd1);
    checkRoundTrip(s.kbc, () => createFakeBus().add(I8042));
  });

  it('reset leaves the fingers where they are', () => {
    const s = setup();
    s.kbc.pressKey('a', true);
    s.kbc.reset();
    expect([s.bus.in8(0x64) & 1, s.kbc.pressKey('a', false)]).toEqual([0, true]);
    expect(s.drain()).toEqual([0x9e]);
  });
});
