/**
 * The power management timer: a 24-bit counter at 3.579545 MHz that sets its status bit whenever the top bit changes,
 * every 2.34 s. The count is computed from the clock; nothing ticks. ACPI 6.4 §4.8.2.1.
 */
import { PM_TIMER_BITS, PM_TIMER_HZ } from './limits.ts';

const NS_PER_SECOND = 1e9;
const HALF_PERIOD = 2 ** (PM_TIMER_BITS - 1);

/** Ticks since the clock's zero; split into seconds and rest so that every product stays below 2^53. */
export function pmTicks(ns: number): number {
  const seconds = Math.floor(ns / NS_PER_SECOND);
  const rest = ns - seconds * NS_PER_SECOND;
  return seconds * PM_TIMER_HZ + Math.floor((rest * PM_TIMER_HZ) / NS_PER_SECOND);
}

/** First ns at which `ticks` have passed. */
export function pmTicksToNs(ticks: number): number {
  const seconds = Math.floor(ticks / PM_TIMER_HZ);
  const rest = ticks - seconds * PM_TIMER_HZ;
  return seconds * NS_PER_SECOND + Math.ceil((rest * NS_PER_SECOND) / PM_TIMER_HZ);
}

/** What the guest reads. */
export function pmTimerValue(ns: number): number {
  return pmTicks(ns) % 2 ** PM_TIMER_BITS;
}

/** Tick count at which the top bit changes next, after `ticks`. */
export function nextOverflow(ticks: number): number {
  return (Math.floor(ticks / HALF_PERIOD) + 1) * HALF_PERIOD;
}
