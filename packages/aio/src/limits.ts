/** Named limits and periods of the event loop. */

/** Timer callbacks run by one poll; further expired timers wait for the next poll, so that re-arming cannot hang it. */
export const MAX_TIMER_CALLBACKS_PER_POLL = 1024;

/** Idle bottom halves run at least this often while the loop is otherwise asleep. */
export const IDLE_PERIOD_NS = 10_000_000;

/**
 * A main loop blocks its thread for sleeps up to this length, instead of leaving it to the host: ticks of 1 kHz are worth it, and what the
 * host has for us waits no longer than beside a busy guest.
 */
export const MAX_BLOCK_NS = 1_000_000;

/** The wall clock may be set at any time: a sleep towards a host-clock timer looks again after this long. */
export const HOST_CLOCK_RECHECK_NS = 1_000_000_000;

/** Work items a thread pool holds at most, waiting and running, unless its owner chooses otherwise. */
export const DEFAULT_MAX_QUEUED_WORK = 1024;
