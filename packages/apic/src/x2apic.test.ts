/** Behaviour by Intel SDM Vol. 3A §11.12 "Extended XAPIC (x2APIC)". */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { DeliveryMode, LOCAL_APIC, type LocalApic } from './index.ts';

const BASE = 0xfee00000;
const XAPIC = BASE | 0x900;
const X2APIC = BASE | 0xd00;
const OFF = BASE | 0x100;

interface Setup {
  bus: FakeBus;
  apic: LocalApic;
  /** RDMSR: [low, high], or '#GP'. */
  get(msr: number): [number, number] | '#GP';
  /** WRMSR: did it go? */
  put(msr: number, low: number, high?: number): boolean;
  ack(): number | null;
}

/** In x2APIC mode, software-enabled. */
function setup(properties: Record<string, unknown> = {}): Setup {
  const bus = createFakeBus();
  const apic = bus.add(LOCAL_APIC, properties);
  apic.setBase(X2APIC);
  apic.writeMsr(0x80f, 0x1ff, 0);
  const out = new Uint32Array(2);
  return {
    bus,
    apic,
    get: (msr) => (apic.readMsr(msr, out) ? [out[0] as number, out[1] as number] : '#GP'),
    put: (msr, low, high = 0) => apic.writeMsr(msr, low, high),
    ack: () => (apic.isRequesting ? apic.acknowledge() : null),
  };
}

describe('transitions of IA32_APIC_BASE', () => {
  it.each([
    [XAPIC, X2APIC, true],
    [XAPIC, OFF, true],
    [XAPIC, BASE | 0x400, false],
    [X2APIC, X2APIC, true],
    [X2APIC, XAPIC, false],
    [X2APIC, OFF, true],
    [X2APIC, BASE | 0x400, false],
    [OFF, X2APIC, false],
    [OFF, XAPIC, true],
    [OFF, BASE | 0x400, false],
  ])('%x to %x: %s', (from, to, isAllowed) => {
    const apic = createFakeBus().add(LOCAL_APIC);
    if (from !== XAPIC) apic.setBase(from);
    expect([apic.base, apic.setBase(to), apic.base]).toEqual(
      [from, isAllowed, (isAllowed ? to : from) >>> 0].map(unsigned),
    );
  });

  it('the registers leave memory, and come back from reset', () => {
    const s = setup();
    expect(s.bus.memory.read32(BASE + 0x30)).toBe(0xffffffff);
    expect(s.get(0x80f)).toEqual([0x1ff, 0]);
    s.apic.setBase(OFF);
    expect([s.get(0x802), s.put(0x808, 0)]).toEqual(['#GP', false]);
    s.apic.setBase(XAPIC);
    expect([s.bus.memory.read32(BASE + 0xf0), s.get(0x80f)]).toEqual([0xff, '#GP']);
  });

  it('what was requested and in service goes along', () => {
    const bus = createFakeBus();
    const apic = bus.add(LOCAL_APIC);
    bus.memory.write32(BASE + 0xf0, 0x1ff);
    for (const vector of [0x41, 0x62]) apic.deliver(DeliveryMode.FIXED, vector, false);
    apic.acknowledge();
    apic.setBase(X2APIC);
    const out = new Uint32Array(2);
    expect([apic.readMsr(0x813, out), out[0], apic.readMsr(0x822, out), out[0]]).toEqual([true, 4, true, 2]);
    apic.writeMsr(0x80b, 0, 0);
    expect(apic.acknowledge()).toBe(0x41);
  });

  it('a reset ends in xAPIC mode', () => {
    const s = setup({ id: 0x12345 });
    s.apic.reset();
    expect([s.apic.base, s.get(0x802), s.bus.memory.read32(BASE + 0x20)]).toEqual([XAPIC >>> 0, '#GP', 0x45000000]);
  });
});

const unsigned = (v: number | boolean): number | boolean => (typeof v === 'number' ? v >>> 0 : v);

describe('registers', () => {
  it('IDs have 32 bits, the logical one is derived', () => {
    const s = setup({ id: 0x0001_2345 });
    expect([s.get(0x802), s.get(0x80d)]).toEqual([
      [0x12345, 0],
      [0x1234_0020, 0],
    ]);
    expect([s.put(0x802, 0x12345), s.put(0x80d, 0x1234_0020)]).toEqual([false, false]);
  });

  it('an ID that software wrote in xAPIC mode is no x2APIC ID', () => {
    const bus = createFakeBus();
    const apic = bus.add(LOCAL_APIC, { id: 7 });
    bus.memory.write32(BASE + 0x20, 0x55000000);
    apic.setBase(X2APIC);
    const out = new Uint32Array(2);
    expect([apic.readMsr(0x802, out), out[0]]).toEqual([true, 7]);
  });

  /** Table 11-6: what may be read, what may be written, the lowest reserved bit of what is written. */
  const TABLE: Record<number, string> = {
    0x802: 'r',
    0x803: 'r',
    0x808: 'rw8',
    0x80a: 'r',
    0x80b: 'w0',
    0x80d: 'r',
    0x80f: 'rw10',
    0x828: 'rw0',
    0x830: 'rw13',
    0x832: 'rw8',
    0x833: 'rw11',
    0x834: 'rw11',
    0x835: 'rw11',
    0x836: 'rw11',
    0x837: 'rw8',
    0x838: 'rw32',
    0x839: 'r',
    0x83e: 'rw2',
    0x83f: 'w8',
  };
  for (let n = 0; n < 8; n++) TABLE[0x810 + n] = TABLE[0x818 + n] = TABLE[0x820 + n] = 'r';

  it('all 256: readable, writable, reserved bits', () => {
    for (let msr = 0x800; msr < 0x900; msr++) {
      const s = setup();
      const rule = TABLE[msr] ?? '';
      expect([msr.toString(16), s.get(msr) !== '#GP'], msr.toString(16)).toEqual([
        msr.toString(16),
        rule.includes('r'),
      ]);
      const bit = /w(\d+)/.exec(rule)?.[1];
      expect(s.put(msr, 0), msr.toString(16)).toBe(bit !== undefined);
      if (bit === undefined) continue;
      if (bit !== '32') expect(s.put(msr, 2 ** Number(bit)), msr.toString(16)).toBe(false);
      if (bit !== '0') expect(s.put(msr, 2 ** (Number(bit) - 1)), msr.toString(16)).toBe(true);
      expect(s.put(msr, 0, 1), msr.toString(16)).toBe(msr === 0x830);
    }
  });

  it('read-only bits of an entry may be written back', () => {
    const s = setup();
    expect([s.put(0x835, 0x1d050), s.get(0x835)]).toEqual([true, [0x18050, 0]]);
    expect([s.put(0x837, 0x11050), s.get(0x837)]).toEqual([true, [0x10050, 0]]);
    expect([s.put(0x837, 0x14050), s.put(0x832, 0x40020)]).toEqual([false, false]);
  });

  it('nothing outside 800H to 8FFH, nothing in xAPIC mode', () => {
    const s = setup();
    expect([s.get(0x7ff), s.get(0x900), s.put(0x900, 0)]).toEqual(['#GP', '#GP', false]);
    s.apic.setBase(OFF);
    s.apic.setBase(XAPIC);
    expect([s.get(0x808), s.put(0x808, 0)]).toEqual(['#GP', false]);
  });
});

describe('interrupts', () => {
  it('task priority holds back, end of interrupt lets go', () => {
    const s = setup();
    s.put(0x808, 0x50);
    s.apic.deliver(DeliveryMode.FIXED, 0x51, true);
    expect([s.ack(), s.apic.taskPriority, s.get(0x80a)]).toEqual([null, 5, [0x50, 0]]);
    s.put(0x808, 0x40);
    const ended: number[] = [];
    s.apic.onEoi = (vector) => void ended.push(vector);
    expect([s.ack(), s.get(0x81a), s.put(0x80b, 0), ended]).toEqual([0x51, [1 << 17, 0], true, [0x51]]);
  });

  // ID 21H: cluster 2, bit 1
  it.each([
    ['own ID', 0x43, 0x21, 0x43],
    ['another ID with the same low byte', 0x44, 0x121, null],
    ['broadcast', 0x45, 0xffffffff, 0x45],
    ['FFH is no broadcast', 0x46, 0xff, null],
    ['logical', 0x847, 0x0002_0003, 0x47],
    ['logical, not us', 0x848, 0x0002_0001, null],
    ['logical, another cluster', 0x849, 0x0003_0002, null],
    ['logical broadcast', 0x84a, 0xffffffff, 0x4a],
    ['self', 0x4004b, 5, 0x4b],
    ['all', 0x8004c, 5, 0x4c],
    ['others', 0xc004d, 0x21, null],
  ])('one write sends: %s', (_name, low, high, expected) => {
    const s = setup({ id: 0x21 });
    expect([s.put(0x830, low, high), s.ack(), s.get(0x830)]).toEqual([true, expected, [low, high]]);
  });

  it('SELF IPI; illegal vectors are noted', () => {
    const s = setup();
    expect([s.put(0x83f, 0x99), s.ack()]).toEqual([true, 0x99]);
    s.put(0x80b, 0);
    s.put(0x83f, 0x0f);
    s.put(0x830, 0x4000e);
    expect([s.ack(), s.put(0x828, 0), s.get(0x828)]).toEqual([null, true, [0x20, 0]]);
  });

  it('messages of I/O APICs have destinations of 8 bits', () => {
    const s = setup({ id: 0x21 });
    expect([0x21, 0x22, 0xff].map((destination) => s.apic.matches(destination, false))).toEqual([true, false, true]);
    const low = setup({ id: 3 }).apic;
    expect([0x08, 0x09, 0x07].map((destination) => low.matches(destination, true))).toEqual([true, true, false]);
  });
});

it('survives a round trip, and refuses a mode that there is not', () => {
  const s = setup();
  s.put(0x830, 0x4003f, 0x12345678);
  s.put(0x838, 1000);
  checkRoundTrip(s.apic, () => createFakeBus().add(LOCAL_APIC));
  expect(s.apic.vmstate.check({ base: BASE | 0x400 } as never, 2)).toMatch(/x2APIC/);
});
