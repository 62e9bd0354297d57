/**
 * The local APIC's timer: its count is computed from the clock, one deadline is armed. SDM Vol. 3A "APIC Timer".
 * After a long pause one interrupt of a periodic timer is delivered, not all missed ones. In TSC-deadline mode the deadline alone
 * is used: the initial count stays 0, so that the current one reads 0 too, as it has to (§11.5.4.1).
 *
 * Time goes on between two reads of the clock, as far as the host likes when it is busy: an expiry that is past when it is
 * armed is armed all the same, and fires at once. A guest without a tick has only this interrupt to wake up by.
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

/** Ticks that remain at the time `now`. */
export function currentCount(t: ApicTimerState, now: number): number {
  if (t.initial === 0) return 0;
  const ticks = Math.floor(Math.max(now - t.start, 0) / (divisor(t.divide) * NS_PER_TICK));
  if (t.isPeriodic) return t.initial - (ticks % t.initial);
  return Math.max(t.initial - ticks, 0);
}

/** Has the armed expiry come, but not been served yet? */
export function isDue(t: ApicTimerState, clock: DeviceClock): boolean {
  return t.deadline.deadline >= 0 && t.deadline.deadline <= clock.now();
}

/** A write of the initial count starts the timer; 0 stops it. */
export function startTimer(t: ApicTimerState, initial: number, clock: DeviceClock): void {
  t.initial = initial;
  t.start = clock.now();
  if (initial === 0) t.deadline.del();
  else t.deadline.mod(t.start + periodNs(t));
}

/** Changes divider or mode while the count goes on from where it is. */
export function changeTimer(t: ApicTimerState, divide: number, isPeriodic: boolean, clock: DeviceClock): void {
  const now = clock.now();
  const left = currentCount(t, now);
  t.divide = divide;
  t.isPeriodic = isPeriodic;
  t.start = now - (t.initial - left) * divisor(divide) * NS_PER_TICK;
  if (isPeriodic) armNextPeriod(t, now);
  else if (left !== 0) t.deadline.mod(t.start + periodNs(t));
}

/** Into TSC-deadline mode or out of it: nothing is armed any more, nothing counts. */
export function stopTimer(t: ApicTimerState): void {
  t.initial = t.start = 0;
  t.isPeriodic = false;
  t.deadline.del();
}

/** After an expiry: a periodic timer goes on. */
export function continueTimer(t: ApicTimerState, clock: DeviceClock): void {
  if (t.isPeriodic) armNextPeriod(t, clock.now());
}

function armNextPeriod(t: ApicTimerState, now: number): void {
  const period = periodNs(t);
  if (period === 0) return;
  const from = period < MIN_TIMER_PERIOD_NS ? now + MIN_TIMER_PERIOD_NS : now;
  t.deadline.mod(t.start + (Math.floor(Math.max(from - t.start, 0) / period) + 1) * period);
}

function periodNs(t: ApicTimerState): number {
  return t.initial * divisor(t.divide) * NS_PER_TICK;
}
