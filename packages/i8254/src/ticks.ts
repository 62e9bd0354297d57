/**
 * Virtual time and PIT ticks, exact: split into periods of four seconds and a rest, so that every product stays below 2^53. Four, since 4e9
 * does not fit 32 bits: an engine never takes the products for small integers, only to find out when the guest has run for some seconds.
 */
import { PIT_HZ } from './limits.ts';

const NS_PER_SECOND = 1e9;
const NS_PER_PERIOD = 4e9;
const TICKS_PER_PERIOD = 4 * PIT_HZ;

/** Ticks since the clock's zero. */
export function nsToTicks(ns: number): number {
  const periods = Math.floor(ns / NS_PER_PERIOD);
  const rest = ns - periods * NS_PER_PERIOD;
  return periods * TICKS_PER_PERIOD + Math.floor((rest * PIT_HZ) / NS_PER_SECOND);
}

/** First ns at which `ticks` have passed. */
export function ticksToNs(ticks: number): number {
  const periods = Math.floor(ticks / TICKS_PER_PERIOD);
  const rest = ticks - periods * TICKS_PER_PERIOD;
  return periods * NS_PER_PERIOD + Math.ceil((rest * NS_PER_SECOND) / PIT_HZ);
}
