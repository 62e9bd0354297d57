/** Behaviour by the Motorola MC146818A data sheet (ADI856R2). The fake board's clock starts at 2001-02-03 04:05:06 UTC, a Saturday. */
import { checkRoundTrip, createFakeBus, type FakeBus } from '@emkit/device-testbed';
import { loadState, saveState } from '@emkit/qdev';
import { describe, expect, it } from 'vitest';
import { CMOS_SIZE, MAX_START_MS, MC146818, type Mc146818 } from './index.ts';
import { Reg } from './registers.ts';

const SECOND = 1e9;

interface Setup {
  bus: FakeBus;
  rtc: Mc146818;
  get(reg: number): number;
  put(reg: number, value: number): void;
  irq(): number;
  /** "year-month-day hour:minute:second weekday", raw registers in hex. */
  time(): string;
}

function setup(properties: Record<string, unknown> = {}, epochMs?: number): Setup {
  const bus = createFakeBus(epochMs === undefined ? {} : { epochMs });
  const rtc = bus.add(MC146818, properties);
  const get = (reg: number): number => {
    bus.out8(0x70, reg);
    return bus.in8(0x71);
  };
  const hex = (reg: number): string => get(reg).toString(16).padStart(2, '0');
  return {
    bus,
    rtc,
    get,
    put: (reg, value) => {
      bus.out8(0x70, reg);
      bus.out8(0x71, value);
    },
    irq: () => bus.irqs.levels[8] as number,
    time: () =>
      `${hex(Reg.CENTURY)}${hex(Reg.YEAR)}-${hex(Reg.MONTH)}-${hex(Reg.DAY)} ${hex(Reg.HOURS)}:${hex(Reg.MINUTES)}:${hex(Reg.SECONDS)} ${hex(Reg.WEEKDAY)}`,
  };
}

describe('time', () => {
  it("is the host's, in BCD", () => {
    const s = setup();
    expect(s.time()).toBe('2001-02-03 04:05:06 07');
    s.bus.advance(SECOND - 1);
    expect(s.time()).toBe('2001-02-03 04:05:06 07');
    s.bus.advance(1);
    expect(s.time()).toBe('2001-02-03 04:05:07 07');
  });

  it('starts where its properties say', () => {
    expect(setup({ base: 'fixed', 'start-ms': Date.UTC(1999, 11, 31, 23, 59, 59), 'zone-offset': 120 }).time()).toBe(
      '2000-01-01 01:59:59 07',
    );
    expect(setup({ 'zone-offset': -300 }).time()).toBe('2001-02-02 23:05:06 06');
    const vm = setup({ clock: 'vm' });
    vm.bus.hostClock.advance(60 * SECOND);
    expect(vm.time()).toBe('2001-02-03 04:05:06 07');
    vm.bus.clock.advance(60 * SECOND);
    expect(vm.time()).toBe('2001-02-03 04:06:06 07');
  });

  it.each([[{ 'start-ms': MAX_START_MS + 1 }], [{ 'zone-offset': 1441 }], [{ 'zone-offset': -1441 }]])(
    'refuses %j',
    (properties) => {
      expect(() => setup(properties)).toThrow("doesn't take value");
    },
  );

  it.each([
    ['2000-02-28 23:59:59 02', Date.UTC(2000, 1, 28, 23, 59, 59), '2000-02-29 00:00:00 03'],
    ['1900 had no leap day', Date.UTC(2100, 1, 28, 23, 59, 59), '2100-03-01 00:00:00 02'],
    ['the end of a century', Date.UTC(2099, 11, 31, 23, 59, 59), '2100-01-01 00:00:00 06'],
  ])('carries: %s', (_name, ms, after) => {
    const s = setup({ base: 'fixed', 'start-ms': ms });
    s.bus.advance(SECOND);
    expect(s.time()).toBe(after);
  });

  it('crosses a long pause, and follows a host clock that is set back', () => {
    const s = setup();
    s.bus.advance((400 * 86_400 * 1e9) / 10);
    expect(s.time()).toBe('2001-03-15 04:05:06 05');
    const back = setup();
    back.bus.advance(100 * SECOND);
    expect(back.time()).toBe('2001-02-03 04:06:46 07');
    back.rtc.state.updated += 50 * SECOND; // as if the clock had gone back
    expect(back.time()).toBe('2001-02-03 04:05:56 07');
  });

  it('knows binary and 12 hours', () => {
    const s = setup({ base: 'fixed', 'start-ms': Date.UTC(2024, 11, 31, 23, 59, 58) });
    s.put(Reg.B, 0x80);
    s.put(Reg.HOURS, 0x91); // 11 pm
    s.put(Reg.B, 0x00);
    s.bus.advance(SECOND);
    expect([s.get(Reg.HOURS), s.get(Reg.SECONDS)]).toEqual([0x91, 0x59]);
    s.bus.advance(SECOND);
    expect([s.get(Reg.HOURS), s.get(Reg.DAY), s.get(Reg.YEAR)]).toEqual([0x12, 1, 0x25]); // 12 am
    const b = setup();
    b.put(Reg.B, 0x86);
    for (const [reg, value] of [
      [Reg.SECONDS, 59],
      [Reg.MINUTES, 59],
      [Reg.HOURS, 12],
      [Reg.DAY, 30],
      [Reg.MONTH, 11],
      [Reg.YEAR, 99],
      [Reg.CENTURY, 19],
    ] as const)
      b.put(reg, value);
    b.put(Reg.B, 0x06);
    b.bus.advance(SECOND);
    expect([
      b.get(Reg.SECONDS),
      b.get(Reg.MINUTES),
      b.get(Reg.HOURS),
      b.get(Reg.DAY),
      b.get(Reg.MONTH),
      b.get(Reg.YEAR),
      b.get(Reg.CENTURY),
    ]).toEqual([0, 0, 13, 30, 11, 99, 19]);
  });

  it('stands still while SET is on, and while the divider is held', () => {
    const s = setup();
    s.bus.advance(0.4 * SECOND);
    s.put(Reg.B, 0x82);
    s.bus.advance(10 * SECOND);
    expect(s.time()).toBe('2001-02-03 04:05:06 07');
    s.put(Reg.B, 0x02);
    s.bus.advance(0.6 * SECOND); // the phase was kept
    expect(s.time()).toBe('2001-02-03 04:05:07 07');
    s.put(Reg.A, 0x76);
    s.bus.advance(10 * SECOND);
    s.put(Reg.A, 0x26);
    s.bus.advance(0.5 * SECOND - 1);
    expect(s.time()).toBe('2001-02-03 04:05:07 07');
    s.bus.advance(1);
    expect(s.time()).toBe('2001-02-03 04:05:08 07');
  });

  it('warns of an update by UIP', () => {
    const s = setup();
    s.bus.advance(SECOND - 2_228_001);
    expect(s.get(Reg.A)).toBe(0x26);
    s.bus.advance(1);
    expect(s.get(Reg.A)).toBe(0xa6);
    s.bus.advance(2_228_000);
    expect(s.get(Reg.A)).toBe(0x26);
  });
});

describe('interrupts', () => {
  it('set flags without being enabled; reading C clears them', () => {
    const s = setup();
    s.bus.advance(SECOND);
    expect([s.get(Reg.C), s.get(Reg.C), s.irq()]).toEqual([0x50, 0, 0]); // PF and UF
    expect(s.get(Reg.D)).toBe(0x80);
  });

  it('at each update', () => {
    const s = setup();
    s.put(Reg.B, 0x12);
    s.bus.advance(SECOND);
    expect(s.irq()).toBe(1);
    expect([s.get(Reg.C), s.irq()]).toEqual([0xd0, 0]);
    s.bus.advance(10 * SECOND); // one, as nobody looked
    expect([s.irq(), s.bus.irqs.edges[8]]).toEqual([1, 2]);
    s.put(Reg.B, 0x92);
    expect(s.get(Reg.B)).toBe(0x82); // SET clears UIE
  });

  it.each([
    [0x06, 1024],
    [0x0f, 2],
    [0x03, 8192],
    [0x01, 256],
    [0x02, 128],
  ])('periodic, rate %d', (rate, hz) => {
    const s = setup();
    s.put(Reg.A, 0x20 | rate);
    s.put(Reg.B, 0x42);
    s.get(Reg.C);
    let count = 0;
    const end = s.bus.clock.now() + SECOND;
    while (s.bus.clock.now() < end) {
      const { deadline } = s.rtc.state.timer;
      s.bus.advance(Math.max(deadline, 0) - s.bus.hostClock.now());
      if (s.irq() === 1) {
        count++;
        expect(s.get(Reg.C) & 0xc0).toBe(0xc0);
      }
    }
    expect(count).toBe(hz);
  });

  it('periodic: none while the last one is pending', () => {
    const s = setup();
    s.put(Reg.B, 0x42);
    s.bus.advance(SECOND);
    expect([s.bus.irqs.edges[8], s.rtc.state.timer.deadline]).toEqual([1, -1]);
  });

  it.each([
    ['exact', [0x10, 0x05, 0x04], 4],
    ['next day', [0x05, 0x05, 0x04], 86_399],
    ['any hour', [0x00, 0x06, 0xff], 54],
    ['any minute and hour', [0x00, 0xc0, 0xff], 54],
    ['every second', [0xff, 0xff, 0xff], 1],
    ['any second of a minute', [0xff, 0x06, 0x04], 54],
    ['past minute of any hour', [0xff, 0x04, 0xff], 3534],
    ['any minute of hour 3', [0x06, 0xff, 0x03], 82_500],
  ])('alarm: %s', (_name, alarm, seconds) => {
    const s = setup();
    s.put(Reg.SECONDS_ALARM, alarm[0] as number);
    s.put(Reg.MINUTES_ALARM, alarm[1] as number);
    s.put(Reg.HOURS_ALARM, alarm[2] as number);
    s.put(Reg.B, 0x22);
    s.get(Reg.C);
    s.bus.advance(seconds * SECOND - 1);
    expect(s.irq()).toBe(0);
    s.bus.advance(1);
    expect(s.irq()).toBe(1);
    expect(s.get(Reg.C) & 0xa0).toBe(0xa0);
  });

  it('an alarm of nonsense never comes', () => {
    const s = setup();
    s.put(Reg.HOURS_ALARM, 0x45);
    s.put(Reg.B, 0x22);
    s.bus.advance(3 * 86_400 * SECOND);
    expect(s.get(Reg.C) & 0x20).toBe(0);
  });
});

describe('CMOS', () => {
  it("holds bytes, the board's and the guest's, over a reset", () => {
    const s = setup();
    s.rtc.setCmos(0x15, 0x80);
    s.put(0x7f, 0x5a);
    s.put(Reg.B, 0x72);
    s.rtc.reset();
    expect([s.get(0x15), s.get(0x7f), s.get(0xff), s.rtc.getCmos(0x7f)]).toEqual([0x80, 0x5a, 0x5a, 0x5a]);
    expect([s.get(Reg.B), s.time()]).toEqual([0x02, '2001-02-03 04:05:06 07']);
    expect(s.bus.in8(0x70)).toBe(0xff);
    for (const index of [-1, CMOS_SIZE, 1.5]) {
      expect(() => s.rtc.setCmos(index, 0)).toThrow(RangeError);
      expect(() => s.rtc.getCmos(index)).toThrow(RangeError);
    }
  });

  it('C and D are read-only', () => {
    const s = setup();
    s.put(Reg.C, 0xff);
    s.put(Reg.D, 0);
    expect([s.get(Reg.C), s.get(Reg.D)]).toEqual([0, 0x80]);
  });

  it('survives a round trip, and refuses a damaged state', () => {
    const s = setup();
    s.put(Reg.B, 0x72);
    s.bus.advance(2.5 * SECOND);
    s.get(Reg.SECONDS); // brings the registers up to date, as a load does
    checkRoundTrip(s.rtc, () => {
      const bus = createFakeBus();
      bus.advance(2.5 * SECOND);
      return bus.add(MC146818);
    });
  });

  it('a loaded clock has gone on with the wall clock', () => {
    const s = setup();
    s.put(Reg.B, 0x82);
    s.put(Reg.YEAR, 0x05); // the guest's clock is four years ahead
    s.put(Reg.B, 0x02);
    s.bus.advance(SECOND);
    const later = setup({}, Date.UTC(2001, 1, 3, 4, 5, 6) + 3_600_500);
    loadState(later.rtc, saveState(s.rtc));
    expect(later.time()).toBe('2005-02-03 05:05:06 07');
    later.bus.advance(0.5 * SECOND);
    expect(later.time()).toBe('2005-02-03 05:05:07 07');
    const vm = setup({ clock: 'vm' }, Date.UTC(2030, 0, 1));
    const saved = setup({ clock: 'vm' });
    loadState(vm.rtc, saveState(saved.rtc));
    expect(vm.time()).toBe('2001-02-03 04:05:06 07');
  });
});
