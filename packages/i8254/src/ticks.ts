/** Virtual time and PIT ticks, exact: split into seconds and rest so that every product stays below 2^53. */
import { PIT_HZ } from './limits.ts';

const NS_PER_SECOND = 1e9;

/** Ticks since the clock's zero. */
export function nsToTicks(ns: number): number {
  const seconds = Math.floor(ns / NS_PER_SECOND);
  const rest = ns - seconds * NS_PER_SECOND;
  return seconds * PIT_HZ + Math.floor((rest * PIT_HZ) / NS_PER_SECOND);
}

/** First ns at which `ticks` have passed. */
export function ticksToNs(ticks: number): number {
  const seconds = Math.floor(ticks / PIT_HZ);
  const rest = ticks - seconds * PIT_HZ;
  return seconds * NS_PER_SECOND + Math.ceil((rest * NS_PER_SECOND) / PIT_HZ);
}
