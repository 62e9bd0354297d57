/** Behaviour by Intel SDM Vol. 3A, chapter "APIC". */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { describe, expect, it } from 'vitest';
import { DeliveryMode, LOCAL_APIC, type LocalApic, MIN_TIMER_PERIOD_NS } from './index.ts';
import { ApicReg } from './registers.ts';

const BASE = 0xfee00000;

interface Setup {
  bus: FakeBus;
  apic: LocalApic;
  get(reg: number): number;
  put(reg: number, value: number): void;
  request(vector: number, isLevel?: boolean): void;
  ack(): number | null;
}

/** Software-enabled, spurious vector 0xff. */
function setup(properties: Record<string, unknown> = {}): Setup {
  const bus = createFakeBus();
  const apic = bus.add(LOCAL_APIC, properties);
  const put = (reg: number, value: number): void => void bus.memory.write32(BASE + reg * 16, value);
  put(ApicReg.SVR, 0x1ff);
  return {
    bus,
    apic,
    put,
    get: (reg) => bus.memory.read32(BASE + reg * 16),
    request: (vector, isLevel = false) => void apic.deliver(DeliveryMode.FIXED, vector, isLevel),
    ack: () => (apic.isRequesting ? apic.acknowledge() : null),
  };
}

describe('registers', () => {
  it('have their reset values', () => {
    const bus = createFakeBus();
    bus.add(LOCAL_APIC, { id: 3, 'virtual-wire': false });
    const get = (reg: number): number => bus.memory.read32(BASE + reg * 16);
    expect(
      [
        ApicReg.ID,
        ApicReg.VERSION,
        ApicReg.TPR,
        ApicReg.LDR,
        ApicReg.DFR,
        ApicReg.SVR,
        ApicReg.LVT_TIMER,
        ApicReg.LVT_LINT0,
        ApicReg.LVT_ERROR,
      ].map(get),
    ).toEqual([0x03000000, 0x00050014, 0, 0, 0xffffffff, 0xff, 0x10000, 0x10000, 0x10000]);
  });

  it('hold what fits them', () => {
    const s = setup();
    for (const reg of [
      ApicReg.ID,
      ApicReg.LDR,
      ApicReg.DFR,
      ApicReg.TPR,
      ApicReg.LVT_LINT0,
      ApicReg.LVT_TIMER,
      ApicReg.LVT_ERROR,
      ApicReg.ICR_HIGH,
      ApicReg.TIMER_DIVIDE,
    ])
      s.put(reg, 0x1234567f);
    expect(s.get(ApicReg.ID)).toBe(0x12000000);
    expect(s.get(ApicReg.LDR)).toBe(0x12000000);
    expect(s.get(ApicReg.DFR)).toBe(0x1fffffff);
    expect(s.get(ApicReg.TPR)).toBe(0x7f);
    expect(s.get(ApicReg.LVT_LINT0)).toBe(0x0000067f);
    expect(s.get(ApicReg.LVT_TIMER)).toBe(0x7f);
    expect(s.get(ApicReg.TIMER_DIVIDE)).toBe(0x0b);
    s.put(ApicReg.VERSION, 0);
    expect(s.get(ApicReg.VERSION)).toBe(0x00050014);
  });

  it('note an access to one that does not exist', () => {
    const s = setup();
    s.put(ApicReg.LVT_ERROR, 0x40);
    expect(s.get(0x3f)).toBe(0);
    expect([s.get(ApicReg.ESR), s.ack()]).toEqual([0, 0x40]);
    s.put(ApicReg.ESR, 0);
    expect(s.get(ApicReg.ESR)).toBe(0x80);
    s.put(ApicReg.ESR, 0);
    expect(s.get(ApicReg.ESR)).toBe(0);
  });

  it('software disable masks all entries and accepts nothing', () => {
    const s = setup();
    s.put(ApicReg.LVT_LINT1, 0x400);
    s.put(ApicReg.SVR, 0xff);
    expect(s.get(ApicReg.LVT_LINT1)).toBe(0x10400);
    s.put(ApicReg.LVT_LINT1, 0x400);
    expect(s.get(ApicReg.LVT_LINT1)).toBe(0x10400);
    expect(s.apic.deliver(DeliveryMode.FIXED, 0x40, false)).toBe(false);
  });
});

describe('priorities', () => {
  it('serve the highest vector, and hold back the same and lower classes', () => {
    const s = setup();
    for (const vector of [0x31, 0x55, 0x52]) s.request(vector);
    expect(s.ack()).toBe(0x55);
    expect([s.ack(), s.get(ApicReg.PPR)]).toEqual([null, 0x50]);
    s.request(0x61);
    expect(s.ack()).toBe(0x61);
    expect(s.get(ApicReg.ISR + 2)).toBe(1 << 21);
    expect(s.get(ApicReg.ISR + 3)).toBe(1 << 1);
    s.put(ApicReg.EOI, 0);
    expect(s.ack()).toBeNull();
    s.put(ApicReg.EOI, 0);
    expect(s.ack()).toBe(0x52);
    s.put(ApicReg.EOI, 0);
    expect(s.ack()).toBe(0x31);
    s.put(ApicReg.EOI, 0);
    s.put(ApicReg.EOI, 0);
    expect(s.ack()).toBeNull();
  });

  it('obey the task priority, from both sides', () => {
    const s = setup();
    s.put(ApicReg.TPR, 0x5f);
    s.request(0x5a);
    expect([s.ack(), s.get(ApicReg.PPR), s.apic.taskPriority]).toEqual([null, 0x5f, 5]);
    s.apic.taskPriority = 4;
    expect([s.get(ApicReg.TPR), s.ack()]).toEqual([0x40, 0x5a]);
  });

  it('give the spurious vector when the request has gone', () => {
    const s = setup();
    s.request(0x40);
    s.put(ApicReg.TPR, 0xf0);
    expect([s.apic.isRequesting, s.apic.acknowledge(), s.get(ApicReg.IRR + 2)]).toEqual([false, 0xff, 1]);
  });

  it('tell the ends of level-triggered vectors only', () => {
    const s = setup();
    const ended: number[] = [];
    s.apic.onEoi = (vector) => ended.push(vector);
    s.request(0x40, true);
    s.request(0x80);
    expect(s.get(ApicReg.TMR + 2)).toBe(1);
    for (let i = 0; i < 2; i++) {
      s.ack();
      s.put(ApicReg.EOI, 0);
    }
    expect(ended).toEqual([0x40]);
  });
});

describe('timer', () => {
  it.each([
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
  ])('divide code %d', (code, by) => {
    const s = setup();
    s.put(ApicReg.LVT_TIMER, 0x40);
    s.put(ApicReg.TIMER_DIVIDE, code);
    s.put(ApicReg.TIMER_INITIAL, 1000);
    s.bus.advance(300 * by);
    expect(s.get(ApicReg.TIMER_CURRENT)).toBe(700);
    s.bus.advance(700 * by - 1);
    expect(s.ack()).toBeNull();
    s.bus.advance(1);
    expect([s.ack(), s.get(ApicReg.TIMER_CURRENT)]).toEqual([0x40, 0]);
    s.put(ApicReg.EOI, 0);
    s.bus.advance(1e6);
    expect(s.ack()).toBeNull();
  });

  it('goes round in periodic mode, and stops with 0', () => {
    const s = setup();
    s.put(ApicReg.TIMER_DIVIDE, 0xb);
    s.put(ApicReg.LVT_TIMER, 0x20040);
    s.put(ApicReg.TIMER_INITIAL, 1_000_000);
    for (let i = 0; i < 3; i++) {
      s.bus.advance(1_000_000);
      expect([s.ack(), s.get(ApicReg.TIMER_CURRENT)]).toEqual([0x40, 1_000_000]);
      s.put(ApicReg.EOI, 0);
    }
    s.put(ApicReg.TIMER_INITIAL, 0);
    s.bus.advance(1e9);
    expect([s.ack(), s.get(ApicReg.TIMER_CURRENT)]).toEqual([null, 0]);
  });

  it('keeps counting from where it is when divider or mode change', () => {
    const s = setup();
    s.put(ApicReg.LVT_TIMER, 0x40);
    s.put(ApicReg.TIMER_DIVIDE, 0xb);
    s.put(ApicReg.TIMER_INITIAL, 1000);
    s.bus.advance(600);
    s.put(ApicReg.TIMER_DIVIDE, 0x0);
    expect(s.get(ApicReg.TIMER_CURRENT)).toBe(400);
    s.bus.advance(799);
    expect(s.ack()).toBeNull();
    s.bus.advance(1);
    expect(s.ack()).toBe(0x40);
  });

  it('bounds what a tiny period can do', () => {
    const s = setup();
    s.put(ApicReg.LVT_TIMER, 0x20040);
    s.put(ApicReg.TIMER_DIVIDE, 0xb);
    s.put(ApicReg.TIMER_INITIAL, 1);
    let fires = 0;
    s.apic.deliver = () => (fires++, true);
    s.bus.advance(100 * MIN_TIMER_PERIOD_NS);
    expect(fires).toBeGreaterThan(90);
    expect(fires).toBeLessThanOrEqual(101);
  });
});

/** A busy host lets any amount of time pass between two reads of the clock; a guest without a tick waits for this one interrupt. */
describe('a short one-shot', () => {
  const DIVIDE_BY_16 = 3;

  it.each([0, 1, 500, 1_000_000])('interrupts once when %i ns pass at each read of the clock', (nsPerRead) => {
    const s = setup();
    s.put(ApicReg.TIMER_DIVIDE, DIVIDE_BY_16);
    s.put(ApicReg.LVT_TIMER, 0xec);
    s.bus.clock.nsPerRead = nsPerRead;
    s.put(ApicReg.TIMER_INITIAL, 62);
    s.bus.clock.nsPerRead = 0;
    s.bus.clock.advance(62 * 16);
    expect(s.ack()).toBe(0xec);
    s.bus.clock.advance(1e9);
    expect(s.ack()).toBe(null);
  });

  it.each([
    ['initial count', ApicReg.TIMER_INITIAL, 0],
    ['divider', ApicReg.TIMER_DIVIDE, 0],
    ['entry', ApicReg.LVT_TIMER, 0x10000],
  ])('that is due but not served yet outlives a write of its %s', (_name, reg, value) => {
    const s = setup();
    s.put(ApicReg.TIMER_DIVIDE, DIVIDE_BY_16);
    s.put(ApicReg.LVT_TIMER, 0xec);
    s.put(ApicReg.TIMER_INITIAL, 62);
    s.bus.clock.nsPerRead = 62 * 16; // past the deadline at the next read, with no turn of the event loop
    s.put(reg, value);
    s.bus.clock.nsPerRead = 0;
    s.bus.clock.advance(0);
    expect(s.ack()).toBe(0xec);
    s.bus.clock.advance(1e9);
    expect(s.ack()).toBe(null);
  });
});

describe('inter-processor interrupts', () => {
  it.each([
    ['self', 0x40040, 0, 0x40],
    ['all', 0x80041, 0, 0x41],
    ['others', 0xc0042, 0, null],
    ['own ID', 0x43, 0, 0x43],
    ['another ID', 0x44, 5, null],
    ['broadcast', 0x45, 0xff, 0x45],
    ['logical', 0x846, 2, 0x46],
    ['logical, not us', 0x847, 4, null],
    ['lowest priority', 0x948, 3, 0x48],
  ])('%s', (_name, low, destination, expected) => {
    const s = setup();
    s.put(ApicReg.LDR, 0x02000000);
    s.put(ApicReg.ICR_HIGH, destination << 24);
    s.put(ApicReg.ICR_LOW, low);
    expect([s.ack(), s.get(ApicReg.ICR_LOW)]).toEqual([expected, low]);
  });

  it('matches logical destinations in the cluster model', () => {
    const s = setup();
    s.put(ApicReg.DFR, 0);
    s.put(ApicReg.LDR, 0x24000000);
    expect([0x24, 0x25, 0x34, 0x28, 0xff].map((destination) => s.apic.matches(destination, true))).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
  });

  it('drives NMI, SMI and INIT, and ignores INIT de-assert', () => {
    const s = setup();
    const seen: string[] = [];
    for (const name of ['nmi', 'smi', 'init']) s.apic.gpioOut(name).connect((level) => void (level && seen.push(name)));
    for (const low of [0x80500, 0x88500, 0x40400, 0x40200]) s.put(ApicReg.ICR_LOW, low);
    expect(seen).toEqual(['init', 'nmi', 'smi']);
    s.put(ApicReg.ICR_LOW, 0x8c500); // level, assert
    s.put(ApicReg.ICR_LOW, 0x40610); // start-up: nobody waits
    expect(seen).toEqual(['init', 'nmi', 'smi', 'init']);
  });

  it('notes illegal vectors', () => {
    const s = setup();
    s.put(ApicReg.ICR_LOW, 0x40005);
    s.request(3);
    s.put(ApicReg.LVT_ERROR, 0x07); // illegal itself
    s.get(0x3f);
    s.put(ApicReg.ESR, 0);
    expect([s.get(ApicReg.ESR), s.ack()]).toEqual([0xe0, null]);
  });
});

describe('LINT0 and LINT1', () => {
  it("virtual wire: the 8259's INT passes through, its vector comes from there", () => {
    const bus = createFakeBus();
    const apic = bus.add(LOCAL_APIC); // not software-enabled yet
    apic.onExtInt = () => {
      apic.gpioIn('lint0').set(0);
      return 0x08;
    };
    apic.gpioIn('lint0').set(1);
    expect([apic.isRequesting, apic.acknowledge(), apic.isRequesting]).toEqual([true, 0x08, false]);
    bus.memory.write32(BASE + ApicReg.SVR * 16, 0x1ff);
    bus.memory.write32(BASE + ApicReg.LVT_LINT0 * 16, 0x10700);
    apic.gpioIn('lint0').set(1);
    expect(apic.isRequesting).toBe(false);
  });

  it('fixed, by edge', () => {
    const s = setup();
    s.put(ApicReg.LVT_LINT0, 0x50);
    s.apic.gpioIn('lint0').set(1);
    s.apic.gpioIn('lint0').set(1);
    expect(s.ack()).toBe(0x50);
    s.put(ApicReg.EOI, 0);
    expect(s.ack()).toBeNull();
  });

  it('fixed, by level: asks again after the end while it is on', () => {
    const s = setup();
    s.put(ApicReg.LVT_LINT0, 0x8050);
    s.apic.gpioIn('lint0').set(1);
    expect([s.ack(), s.get(ApicReg.LVT_LINT0)]).toEqual([0x50, 0xc050]);
    s.put(ApicReg.EOI, 0);
    expect(s.ack()).toBe(0x50);
    s.apic.gpioIn('lint0').set(0);
    s.put(ApicReg.EOI, 0);
    expect([s.ack(), s.get(ApicReg.LVT_LINT0)]).toEqual([null, 0x8050]);
  });

  it('LINT1 is NMI when it is told so', () => {
    const s = setup();
    let nmis = 0;
    s.apic.gpioOut('nmi').connect((level) => void (nmis += level));
    s.apic.gpioIn('lint1').set(1);
    expect(nmis).toBe(0);
    s.apic.gpioIn('lint1').set(0);
    s.put(ApicReg.LVT_LINT1, 0x400);
    s.apic.gpioIn('lint1').set(1);
    expect(nmis).toBe(1);
  });
});

describe('IA32_APIC_BASE', () => {
  it('moves the registers', () => {
    const s = setup();
    s.apic.setBase(0xfe000000 | 0x900);
    expect([s.bus.memory.read32(BASE + 0x30), s.bus.memory.read32(0xfe000030)]).toEqual([0xffffffff, 0x00050014]);
    expect(s.apic.base).toBe(0xfe000900);
  });

  it('turned off, LINT0 is INTR and LINT1 is NMI; turned on, it starts from reset', () => {
    const s = setup();
    let nmi = 0;
    s.apic.gpioOut('nmi').connect((level) => void (nmi = level));
    s.put(ApicReg.LVT_LINT0, 0x10000);
    s.request(0x40);
    s.apic.setBase(0xfee00100);
    expect([s.apic.isRequesting, s.bus.memory.read32(BASE + 0x30)]).toEqual([false, 0xffffffff]);
    s.apic.onExtInt = () => 0x21;
    s.apic.gpioIn('lint0').set(1);
    s.apic.gpioIn('lint1').set(1);
    expect([s.apic.isRequesting, s.apic.acknowledge(), nmi]).toEqual([true, 0x21, 1]);
    s.apic.setBase(0xfee00800);
    expect([s.get(ApicReg.SVR), s.apic.base]).toEqual([0xff, 0xfee00900]);
  });
});

it('survives a round trip, and refuses a damaged state', () => {
  const s = setup();
  s.put(ApicReg.LVT_TIMER, 0x20040);
  s.put(ApicReg.TIMER_INITIAL, 12345);
  s.apic.setBase(0xfe000900);
  for (const vector of [0x31, 0x55, 0x52]) s.request(vector, true);
  s.ack();
  checkRoundTrip(s.apic, () => createFakeBus().add(LOCAL_APIC));
});
