/** Behaviour by the Intel 8259A data sheet (231468-003). */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { I8259, type I8259Pair } from './index.ts';

interface Setup {
  bus: FakeBus;
  pic: I8259Pair;
  irq(line: number, level: number): void;
  /** Vectors of all that is requested, without ending any. */
  ack(): number | null;
}

/** Vectors 0x20 and 0x28, as protected-mode systems set them. */
function setup(icw4 = 0x01): Setup {
  const bus = createFakeBus();
  const pic = bus.add(I8259);
  for (const [port, base, cascade] of [
    [0x20, 0x20, 4],
    [0xa0, 0x28, 2],
  ] as const) {
    bus.out8(port, 0x11);
    bus.out8(port + 1, base);
    bus.out8(port + 1, cascade);
    bus.out8(port + 1, port === 0x20 ? icw4 : 0x01);
    bus.out8(port + 1, 0);
  }
  return {
    bus,
    pic,
    irq: (line, level) => pic.gpioIn('', line).set(level),
    ack: () => (pic.isRequesting ? pic.acknowledge() : null),
  };
}

const isr = (bus: FakeBus, port = 0x20): number => {
  bus.out8(port, 0x0b);
  return bus.in8(port);
};
const irr = (bus: FakeBus, port = 0x20): number => {
  bus.out8(port, 0x0a);
  return bus.in8(port);
};

describe('fully nested mode', () => {
  it('serves edges by priority, and nests', () => {
    const { bus, irq, ack } = setup();
    irq(5, 1);
    irq(3, 1);
    expect(irr(bus)).toBe(0x28);
    expect(ack()).toBe(0x23);
    expect([isr(bus), irr(bus), ack()]).toEqual([0x08, 0x20, null]);
    irq(0, 1);
    expect(ack()).toBe(0x20);
    bus.out8(0x20, 0x20);
    expect([isr(bus), ack()]).toEqual([0x08, null]);
    bus.out8(0x20, 0x20);
    expect(ack()).toBe(0x25);
    bus.out8(0x20, 0x65); // specific
    expect([isr(bus), irr(bus), ack()]).toEqual([0, 0, null]);
  });

  it('asks again only after a new edge', () => {
    const { bus, irq, ack } = setup();
    irq(4, 1);
    expect(ack()).toBe(0x24);
    bus.out8(0x20, 0x20);
    irq(4, 1);
    expect(ack()).toBeNull();
    irq(4, 0);
    irq(4, 1);
    irq(4, 0); // stays latched
    expect(ack()).toBe(0x24);
  });

  it('keeps masked requests', () => {
    const { bus, irq, ack } = setup();
    bus.out8(0x21, 0xff);
    irq(1, 1);
    expect([ack(), bus.in8(0x21), irr(bus)]).toEqual([null, 0xff, 0x02]);
    bus.out8(0x21, 0xfd);
    expect(ack()).toBe(0x21);
  });

  it('is silent until it has been initialized', () => {
    const bus = createFakeBus();
    const pic = bus.add(I8259);
    pic.gpioIn('', 0).set(1);
    expect(pic.isRequesting).toBe(false);
    bus.out8(0x20, 0x11);
    bus.out8(0x21, 0x20);
    bus.out8(0x21, 0x04);
    expect(pic.isRequesting).toBe(false);
    bus.out8(0x21, 0x01);
    expect([pic.isRequesting, bus.in8(0x21)]).toEqual([false, 0]); // ICW1 forgot the edge and the mask
  });
});

describe('slave', () => {
  it('comes in at IR2, and needs an end at both', () => {
    const { bus, irq, ack } = setup();
    irq(12, 1);
    irq(14, 1);
    irq(3, 1);
    expect(ack()).toBe(0x2c);
    expect([isr(bus), isr(bus, 0xa0), ack()]).toEqual([0x04, 0x10, null]);
    bus.out8(0xa0, 0x20);
    expect(ack()).toBeNull(); // the master is not done with IR2
    bus.out8(0x20, 0x20);
    expect(ack()).toBe(0x2e);
    bus.out8(0xa0, 0x20);
    bus.out8(0x20, 0x20);
    expect(ack()).toBe(0x23);
  });

  it('nests within itself in special fully nested mode only', () => {
    for (const [icw4, expected] of [
      [0x01, null],
      [0x11, 0x28],
    ] as const) {
      const { irq, ack } = setup(icw4);
      irq(12, 1);
      expect(ack()).toBe(0x2c);
      irq(8, 1);
      expect(ack()).toBe(expected);
    }
  });
});

describe('level-triggered inputs', () => {
  it('ask for as long as they are on', () => {
    const { bus, pic, irq, ack } = setup();
    pic.gpioIn('elcr', 11).set(1);
    irq(11, 1);
    for (let i = 0; i < 3; i++) {
      expect(ack()).toBe(0x2b);
      bus.out8(0xa0, 0x20);
      bus.out8(0x20, 0x20);
    }
    expect(irr(bus, 0xa0)).toBe(0x08);
    irq(11, 0);
    expect(irr(bus, 0xa0)).toBe(0);
  });

  it('gone before the acknowledge: spurious, and nothing is in service at that chip', () => {
    const { bus, pic, irq } = setup();
    pic.gpioIn('elcr', 11).set(1);
    pic.gpioIn('elcr', 5).set(1);
    irq(5, 1);
    irq(5, 0);
    expect([pic.isRequesting, pic.acknowledge(), isr(bus)]).toEqual([false, 0x27, 0]); // IRQ7
    irq(11, 1);
    irq(11, 0);
    expect([pic.isRequesting, pic.acknowledge(), isr(bus, 0xa0), isr(bus)]).toEqual([true, 0x2f, 0, 0x04]); // IRQ15: end at the master only
  });

  it('LTIM makes a whole chip so', () => {
    const { bus, irq, ack } = setup();
    irq(1, 1);
    bus.out8(0x20, 0x19);
    for (const value of [0x40, 4, 1]) bus.out8(0x21, value);
    expect(ack()).toBe(0x41);
  });
});

describe('modes', () => {
  it('automatic end, with rotation', () => {
    const { bus, irq, ack } = setup(0x03);
    bus.out8(0x20, 0x80); // rotate in AEOI mode
    irq(1, 1);
    expect([ack(), isr(bus)]).toEqual([0x21, 0]);
    irq(0, 1);
    irq(3, 1);
    expect(ack()).toBe(0x23); // 1 has become the lowest, 2 the highest
    bus.out8(0x20, 0x00);
    expect(ack()).toBe(0x20);
  });

  it('rotation on end, set priority', () => {
    const { bus, irq, ack } = setup();
    irq(4, 1);
    ack();
    bus.out8(0x20, 0xa0); // rotate on non-specific end: 4 is the lowest
    irq(1, 1);
    irq(5, 1);
    expect(ack()).toBe(0x25);
    bus.out8(0x20, 0xe5); // rotate on specific end of 5
    expect(ack()).toBe(0x21);
    bus.out8(0x20, 0x20);
    bus.out8(0x20, 0xc6); // 6 is the lowest, 7 the highest
    irq(1, 0);
    irq(1, 1);
    irq(7, 1);
    expect(ack()).toBe(0x27);
  });

  it('special mask lets lower levels in', () => {
    const { bus, irq, ack } = setup();
    irq(2 + 1, 1);
    expect(ack()).toBe(0x23);
    irq(6, 1);
    expect(ack()).toBeNull();
    bus.out8(0x21, 0x08);
    expect(ack()).toBeNull();
    bus.out8(0x20, 0x68);
    expect(ack()).toBe(0x26);
    bus.out8(0x20, 0x20); // non-specific: ends 6, not the masked 3
    expect(isr(bus)).toBe(0x08);
    bus.out8(0x20, 0x48);
    irq(7, 1);
    expect(ack()).toBeNull();
  });

  it('poll is an acknowledge', () => {
    const { bus, irq, pic } = setup();
    bus.out8(0x20, 0x0c);
    expect(bus.in8(0x20)).toBe(0);
    irq(6, 1);
    bus.out8(0x20, 0x0c);
    expect(bus.in8(0x20)).toBe(0x86);
    expect([isr(bus), pic.isRequesting]).toEqual([0x40, false]);
    irq(9, 1);
    bus.out8(0xa0, 0x0c);
    expect([bus.in8(0xa0), isr(bus, 0xa0)]).toEqual([0x81, 0x02]);
  });
});

describe('board', () => {
  it('reset forgets all but the levels of inputs and ELCR', () => {
    const { pic, irq } = setup();
    pic.gpioIn('elcr', 10).set(1);
    irq(10, 1);
    irq(3, 1);
    pic.reset();
    expect(pic.state.slave).toMatchObject({ lines: 4, irr: 4, elcr: 4, imr: 0xff, isr: 0 });
    expect(pic.state.master).toMatchObject({ lines: 8, irr: 0 });
  });

  it('survives a round trip, and refuses a damaged state', () => {
    const { bus, pic, irq, ack } = setup(0x11);
    for (const line of [3, 9, 14]) irq(line, 1);
    ack();
    bus.out8(0xa0, 0x0c);
    checkRoundTrip(pic, () => createFakeBus().add(I8259));
  });

  it('invents no edge when lines are driven again after a load', () => {
    const { bus, pic, irq, ack } = setup();
    irq(4, 1);
    ack();
    bus.out8(0x20, 0x20);
    pic.onPostLoad();
    irq(4, 1);
    expect([ack(), irr(bus)]).toEqual([null, 0]);
  });

  it('describes itself', () => {
    expect(setup().pic.describe()).toContain('pic1: irr=00 imr=00 isr=00 base=28');
  });
});
