/**
 * A clock that stands still until a test moves it. Timers fire in order of deadline, at exactly their time.
 * With `nsPerRead` it also moves at each read, as a real clock does under a busy host; timers do not fire from reads.
 */
import type { DeviceTimer, HostClock } from '@emkit/qdev';

/** Most timer callbacks in one `advance`: a device that re-arms itself at the present time would never end. */
export const MAX_TIMER_FIRES = 1_000_000;

class MockTimer implements DeviceTimer {
  deadline = -1;
  /** Order of arming, so that equal deadlines fire first come first served. */
  sequence = 0;
  readonly callback: () => void;
  readonly #clock: MockClock;

  constructor(clock: MockClock, callback: () => void) {
    this.#clock = clock;
    this.callback = callback;
  }

  mod(deadline: number): void {
    if (!Number.isSafeInteger(deadline) || deadline < 0)
      throw new RangeError(`timer deadline ${deadline} is not a time in ns`);
    this.deadline = deadline;
    this.sequence = this.#clock.nextSequence();
  }

  del(): void {
    this.deadline = -1;
  }
}

export class MockClock implements HostClock {
  /** Wall-clock time of ns 0, in ms since 1970. */
  readonly epochMs: number;
  /** How far each read of the time moves it, ns. */
  nsPerRead = 0;
  #now: number;
  #sequence = 0;
  readonly #timers = new Set<MockTimer>();

  constructor(start = 0, epochMs = 0) {
    this.epochMs = epochMs;
    this.#now = start;
  }

  now(): number {
    return (this.#now += this.nsPerRead);
  }

  createTimer(callback: () => void): DeviceTimer {
    const timer = new MockTimer(this, callback);
    this.#timers.add(timer);
    return timer;
  }

  nextSequence(): number {
    return this.#sequence++;
  }

  /** Armed timers. */
  get pending(): number {
    return [...this.#timers].filter((timer) => timer.deadline >= 0).length;
  }

  /** Moves time forward by `ns`, firing what falls due. */
  advance(ns: number): void {
    this.advanceTo(this.#now + ns);
  }

  advanceTo(target: number): void {
    for (let fires = 0; ; fires++) {
      const next = this.#next();
      if (next === null || next.deadline > target) break;
      if (fires >= MAX_TIMER_FIRES) throw new Error(`more than ${MAX_TIMER_FIRES} timers fired before ${target} ns`);
      this.#now = Math.max(this.#now, next.deadline);
      next.deadline = -1;
      next.callback();
    }
    this.#now = Math.max(this.#now, target);
  }

  #next(): MockTimer | null {
    let best: MockTimer | null = null;
    for (const timer of this.#timers) {
      if (timer.deadline < 0) continue;
      const earlier =
        best === null ||
        timer.deadline < best.deadline ||
        (timer.deadline === best.deadline && timer.sequence < best.sequence);
      if (earlier) best = timer;
    }
    return best;
  }
}
