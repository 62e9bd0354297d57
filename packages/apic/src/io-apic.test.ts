/** Behaviour by the Intel 82093AA data sheet (290566-001). */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { IO_APIC, IO_APIC_PINS, type IoApic, LOCAL_APIC, type LocalApic } from './index.ts';

const BASE = 0xfec00000;
const LOCAL = 0xfee00000;

interface Setup {
  bus: FakeBus;
  io: IoApic;
  local: LocalApic;
  get(reg: number): number;
  put(reg: number, value: number): void;
  entry(pin: number, low: number, high?: number): void;
  pin(pin: number, level: number): void;
  ack(): number | null;
  eoi(): void;
}

function setup(): Setup {
  const bus = createFakeBus();
  const local = bus.add(LOCAL_APIC);
  const io = bus.add(IO_APIC);
  io.connect(local);
  bus.memory.write32(LOCAL + 0xf0, 0x1ff);
  const put = (reg: number, value: number): void => {
    bus.memory.write32(BASE, reg);
    bus.memory.write32(BASE + 0x10, value);
  };
  return {
    bus,
    io,
    local,
    put,
    get: (reg) => {
      bus.memory.write32(BASE, reg);
      return bus.memory.read32(BASE + 0x10);
    },
    entry: (pin, low, high = 0) => {
      put(0x11 + 2 * pin, high);
      put(0x10 + 2 * pin, low);
    },
    pin: (pin, level) => io.gpioIn('', pin).set(level),
    ack: () => (local.isRequesting ? local.acknowledge() : null),
    eoi: () => void bus.memory.write32(LOCAL + 0xb0, 0),
  };
}

describe('registers', () => {
  it('have their values', () => {
    const s = setup();
    expect([s.get(0), s.get(1), s.get(2), s.get(3), s.get(0x10), s.get(0x11), s.get(0x3e), s.get(0x40)]).toEqual([
      0, 0x00170011, 0, 0, 0x10000, 0, 0x10000, 0,
    ]);
    s.put(0, 0xffffffff);
    s.put(1, 0);
    s.entry(5, 0xffffffff, 0xffffffff);
    expect([s.get(0), s.get(2), s.get(1), s.get(0x1a), s.get(0x1b), s.bus.memory.read32(BASE)]).toEqual([
      0x0f000000, 0x0f000000, 0x00170011, 0x1afff, 0xff000000, 0x1b,
    ]);
  });
});

describe('edge-triggered inputs', () => {
  it('send one message an edge, none while masked', () => {
    const s = setup();
    s.pin(4, 1);
    s.pin(4, 0);
    s.entry(4, 0x34);
    expect(s.ack()).toBeNull(); // an edge on a masked input is lost
    s.pin(4, 1);
    expect(s.ack()).toBe(0x34);
    s.eoi();
    s.pin(4, 1);
    expect(s.ack()).toBeNull();
    s.pin(4, 0);
    s.pin(4, 1);
    expect(s.ack()).toBe(0x34);
  });

  it('go by physical and logical destination', () => {
    const s = setup();
    s.bus.memory.write32(LOCAL + 0xd0, 0x01000000);
    for (const [low, high, expected] of [
      [0x41, 0, 0x41],
      [0x42, 0x01000000, null],
      [0x843, 0x01000000, 0x43],
      [0x944, 0x03000000, 0x44],
      [0x845, 0x02000000, null],
      [0x46, 0xff000000, 0x46],
    ] as const) {
      s.entry(1, low, high);
      s.pin(1, 1);
      s.pin(1, 0);
      expect(s.ack()).toBe(expected);
      s.eoi();
    }
  });

  it('deliver NMI, SMI, INIT and ExtINT', () => {
    const s = setup();
    const seen: string[] = [];
    for (const name of ['nmi', 'smi', 'init'])
      s.local.gpioOut(name).connect((level) => void (level && seen.push(name)));
    for (const mode of [0x200, 0x400, 0x500]) {
      s.entry(2, mode);
      s.pin(2, 1);
      s.pin(2, 0);
    }
    expect(seen).toEqual(['smi', 'nmi', 'init']);
    s.local.onExtInt = () => 0x77;
    s.entry(0, 0x700);
    s.pin(0, 1);
    expect([s.ack(), s.ack()]).toEqual([0x77, null]);
  });
});

describe('level-triggered inputs', () => {
  it('hold remote IRR until the end, and ask again while on', () => {
    const s = setup();
    s.entry(11, 0x8050);
    s.pin(11, 1);
    s.pin(11, 1);
    expect([s.get(0x26), s.ack(), s.ack()]).toEqual([0xc050, 0x50, null]);
    s.eoi();
    expect([s.get(0x26), s.ack()]).toEqual([0xc050, 0x50]);
    s.pin(11, 0);
    expect(s.get(0x26)).toBe(0xc050);
    s.eoi();
    expect([s.get(0x26), s.ack()]).toEqual([0x8050, null]);
  });

  it('wait behind their mask', () => {
    const s = setup();
    s.entry(11, 0x18050);
    s.pin(11, 1);
    expect(s.ack()).toBeNull();
    s.put(0x26, 0x8050);
    expect(s.ack()).toBe(0x50);
  });

  it('lose remote IRR when made edge-triggered', () => {
    const s = setup();
    s.entry(11, 0x8050);
    s.pin(11, 1);
    s.put(0x26, 0x10050);
    expect(s.get(0x26)).toBe(0x10050);
    s.pin(11, 0);
    s.put(0x26, 0x8050);
    expect(s.get(0x26)).toBe(0x8050);
  });

  it('try again when nobody took the message', () => {
    const s = setup();
    s.entry(11, 0x8050, 0x05000000);
    s.pin(11, 1);
    expect([s.get(0x26), s.ack()]).toEqual([0x8050, null]);
    s.entry(11, 0x8050, 0);
    expect(s.ack()).toBe(0x50);
  });

  it('share a vector', () => {
    const s = setup();
    for (const pin of [10, 11]) {
      s.entry(pin, 0x8050);
      s.pin(pin, 1);
    }
    expect(s.ack()).toBe(0x50);
    s.pin(10, 0);
    s.eoi();
    expect([s.get(0x24), s.get(0x26), s.ack()]).toEqual([0x8050, 0xc050, 0x50]);
  });
});

describe('board', () => {
  it('has 24 inputs, and a reset that masks them', () => {
    const s = setup();
    expect(() => s.io.gpioIn('', IO_APIC_PINS)).toThrow('no input line');
    s.entry(23, 0x8050);
    s.pin(23, 1);
    s.io.reset();
    expect(s.get(0x3e)).toBe(0x10000);
    s.io.unrealize();
    expect([s.local.onEoi, s.bus.memory.read32(BASE)]).toEqual([null, 0xffffffff]);
  });

  it('survives a round trip, and refuses a damaged state', () => {
    const s = setup();
    s.entry(11, 0x8050, 0x12000000);
    s.pin(11, 1);
    s.entry(4, 0x34);
    s.pin(4, 1);
    checkRoundTrip(s.io, () => createFakeBus().add(IO_APIC));
  });
});
