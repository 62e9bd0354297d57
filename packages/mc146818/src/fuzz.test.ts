/** Random registers and time; and the calendar and the alarm against slow second readings. */
import { createFakeBus, fuzzDevice, Random } from '@emkit/device-testbed';
import { expect, it } from 'vitest';
import { secondsToAlarm } from './alarm.ts';
import { addSeconds, decode, decodeHour, fromEpochMs, readTime, secondOfDay, writeTime } from './calendar.ts';
import { CMOS_SIZE, MC146818 } from './index.ts';
import { Reg } from './registers.ts';

it.each([1, 2, 3])('holds its invariants (seed %d)', (seed) => {
  const bus = createFakeBus();
  const rtc = bus.add(MC146818);
  fuzzDevice({
    bus,
    seed,
    operations: 15_000,
    ports: [0x70, 0x71],
    maxAdvance: 3_000_000_000,
    extra: {
      register: (random) => {
        bus.out8(0x70, random.below(16));
        if (random.below(2) === 0) bus.out8(0x71, random.nasty(8));
        else bus.in8(0x71);
      },
      reset: () => rtc.reset(),
    },
    invariant: () => {
      const s = rtc.state;
      const enabled = (s.cmos[Reg.B] as number) & 0x70;
      if ((bus.irqs.levels[8] === 1) !== ((s.flags & enabled) !== 0)) return 'the line differs from the flags';
      if (s.timer.deadline >= 0 && s.timer.deadline <= bus.hostClock.now()) return 'the timer is armed in the past';
      if (((s.cmos[Reg.B] as number) & 0x90) === 0x90) return 'UIE with SET';
      // a working clock with an enabled update interrupt that is not pending must have its timer running
      if (
        ((s.cmos[Reg.B] as number) & 0x90) === 0x10 &&
        ((s.cmos[Reg.A] as number) & 0x70) === 0x20 &&
        (s.flags & 0x10) === 0 &&
        s.timer.deadline < 0
      )
        return 'the update interrupt would never come';
      return null;
    },
  });
});

it('adds seconds as Date does, in every format', () => {
  const random = new Random(4);
  for (let i = 0; i < 3000; i++) {
    const registerB = [0, 2, 4, 6][i & 3] as number;
    const cmos = new Uint8Array(CMOS_SIZE);
    const ms = Math.floor(((random.u32() / 2 ** 32) * Date.UTC(9990, 0, 1)) / 1000) * 1000;
    const seconds = random.below(2) === 0 ? random.below(100_000) : -random.below(1_000_000);
    writeTime(cmos, registerB, fromEpochMs(ms));
    expect(readTime(cmos, registerB)).toEqual(fromEpochMs(ms));
    if (ms + seconds * 1000 >= 0)
      expect(addSeconds(fromEpochMs(ms), seconds)).toEqual(fromEpochMs(ms + seconds * 1000));
  }
});

it('stays within its ranges whatever the registers hold', () => {
  const random = new Random(5);
  for (let i = 0; i < 5000; i++) {
    const cmos = Uint8Array.from({ length: CMOS_SIZE }, () => random.nasty(8));
    const t = addSeconds(readTime(cmos, random.below(256)), random.below(1_000_000) - 500_000);
    expect([
      t.second < 60,
      t.minute < 60,
      t.hour < 24,
      t.weekday >= 1 && t.weekday <= 7,
      t.month >= 1 && t.month <= 12,
      t.day >= 1 && t.day <= 31,
      t.year >= 0 && t.year < 10_000,
    ]).not.toContain(false);
  }
});

it('finds the same alarm as a clock that is watched second by second', () => {
  const random = new Random(6);
  for (let i = 0; i < 150; i++) {
    const registerB = random.pick([2, 6]);
    const cmos = new Uint8Array(CMOS_SIZE);
    cmos[Reg.SECONDS_ALARM] = random.below(3) === 0 ? 0xff : random.below(0x60);
    cmos[Reg.MINUTES_ALARM] = random.below(3) === 0 ? 0xc0 : random.below(0x60);
    cmos[Reg.HOURS_ALARM] = random.below(3) === 0 ? 0xe5 : random.below(0x24);
    const time = fromEpochMs(random.u32() * 1000);
    const now = secondOfDay(time);
    const matches = (value: number, wanted: number, decoder: typeof decode): boolean =>
      (wanted & 0xc0) === 0xc0 || decoder(wanted, registerB) === value;
    let slow = 0;
    for (let d = 1; d <= 86_400 && slow === 0; d++) {
      const t = (now + d) % 86_400;
      if (
        matches(t % 60, cmos[1], decode) &&
        matches(Math.floor(t / 60) % 60, cmos[3], decode) &&
        matches(Math.floor(t / 3600), cmos[5], decodeHour)
      )
        slow = d;
    }
    expect(secondsToAlarm(cmos, registerB, now)).toBe(slow);
  }
});
