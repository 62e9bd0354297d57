/**
 * The local APIC's timer: its count is computed from the clock, one deadline is armed. SDM Vol. 3A "APIC Timer".
 * Modes one-shot and periodic; not TSC-deadline. After a long pause one interrupt is delivered, not all missed ones.
 */
import type { DeviceClock, DeviceTimer } from '@emkit/qdev';
import { APIC_TIMER_HZ, MIN_TIMER_PERIOD_NS } from './limits.ts';

const NS_PER_TICK = 1e9 / APIC_TIMER_HZ;

export interface ApicTimerState {
  initial: number;
  /** Divide configuration register: bits 3, 1, 0. */
  divide: number;
  /** Time at which the count was `initial`. */
  start: number;
  isPeriodic: boolean;
  deadline: DeviceTimer;
}

/** Divide value: 000 is 2, 110 is 128, 111 is 1. */
export function divisor(divide: number): number {
  return 1 << ((((divide & 3) | ((divide >> 1) & 4)) + 1) & 7);
}

/** Remaining ticks. */
export function currentCount(t: ApicTimerState, clock: DeviceClock): number {
  if (t.initial === 0) return 0;
  const ticks = Math.floor(Math.max(clock.now() - t.start, 0) / (divisor(t.divide) * NS_PER_TICK));
  if (t.isPeriodic) return t.initial - (ticks % t.initial);
  return Math.max(t.initial - ticks, 0);
}

/** A write of the initial count starts the timer; 0 stops it. */
export function startTimer(t: ApicTimerState, initial: number, clock: DeviceClock): void {
  t.initial = initial;
  t.start = clock.now();
  armTimer(t, clock);
}

/** Changes divider or mode while the count goes on from where it is. */
export function changeTimer(t: ApicTimerState, divide: number, isPeriodic: boolean, clock: DeviceClock): void {
  const now = clock.now();
  const left = currentCount(t, clock);
  t.divide = divide;
  t.isPeriodic = isPeriodic;
  t.start = now - (t.initial - left) * divisor(divide) * NS_PER_TICK;
  if (t.initial !== 0) armTimer(t, clock);
}

/** Arms the next expiry after now. */
export function armTimer(t: ApicTimerState, clock: DeviceClock): void {
  const period = t.initial * divisor(t.divide) * NS_PER_TICK;
  if (period === 0) {
    t.deadline.del();
    return;
  }
  const now = clock.now();
  if (now < t.start + period) {
    t.deadline.mod(t.start + period);
  } else if (t.isPeriodic) {
    const from = period < MIN_TIMER_PERIOD_NS ? now + MIN_TIMER_PERIOD_NS : now;
    t.deadline.mod(t.start + (Math.floor((from - t.start) / period) + 1) * period);
  } else {
    t.deadline.del();
  }
}
