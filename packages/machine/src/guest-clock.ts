/**
 * The guest's time when no instruction count drives it: real time that waits for the guest where a processor of silicon
 * would not have had to wait, so that a busy host costs the guest speed, but neither timer ticks nor the agreement of
 * its clocks.
 *
 * - It stands still while no guest code runs (devices, the host's events, compilation), unless the guest halts.
 * - It does not pass a deadline before that has been served: each period of a timer is seen, late as it may be.
 * - What it has lost it makes up by running a quarter faster, or all at once while the guest is idle; beyond
 *   MAX_LAG_NS it gives up, and jumps.
 *
 * Never decreasing, integer ns. All of the guest's clocks (PIT, APIC, PM timer, TSC) follow it, so none sees the change
 * of pace.
 */
export interface GuestClockSources {
  /** Real time while the machine is not paused, ns. */
  real(): number;
  /** Time of `real` spent inside the vCPU on things that are not the guest's (compilation), ns. */
  overhead(): number;
}

const CATCH_UP_RATE = 1.25;
/** A guest whose timers need more than all of its time would lag without limit. */
export const MAX_LAG_NS = 30_000_000_000;

export class GuestClock {
  readonly #sources: GuestClockSources;
  #state: 'frozen' | 'running' | 'idle' = 'frozen';
  // NaN first, as in the clocks of `@emkit/aio`
  #last = Number.NaN;
  /** While running: `#time` was the time at `#anchor`. */
  #time = Number.NaN;
  #anchor = Number.NaN;
  #rate = CATCH_UP_RATE;
  #limit = Infinity;

  constructor(sources: GuestClockSources) {
    this.#sources = sources;
    this.#last = 0;
  }

  /** Hot path: every read of the TSC. */
  now(): number {
    if (this.#state === 'frozen') return this.#last;
    const real = this.#sources.real();
    return this.#at(real, this.#state === 'running' ? real - this.#sources.overhead() : real);
  }

  /** `own`: `real` without what was not the guest's. */
  #at(real: number, own: number): number {
    let t = real;
    if (this.#state === 'running') t = Math.min(real, this.#time + Math.floor((own - this.#anchor) * this.#rate));
    if (t > this.#limit) t = this.#limit;
    if (t > this.#last) this.#last = t;
    return this.#last;
  }

  /** Guest code runs from now, with its next deadline `left` ns away. */
  enter(left: number): void {
    const real = this.#sources.real();
    const own = real - this.#sources.overhead();
    if (this.#state !== 'frozen') this.#at(real, own);
    this.#last = Math.max(this.#last, real - MAX_LAG_NS);
    this.#time = this.#last;
    this.#anchor = own;
    this.#rate = real > this.#last ? CATCH_UP_RATE : 1;
    this.#state = 'running';
    this.setDeadline(left);
  }

  /** Guest code has run, for as many ns of real time as are returned. */
  leave(): number {
    const real = this.#sources.real();
    const own = real - this.#sources.overhead();
    if (this.#state !== 'frozen') this.#at(real, own);
    this.#state = 'frozen';
    return own - this.#anchor;
  }

  /** The guest halts: time is real again, up to the next deadline. */
  idle(left: number): void {
    this.#state = 'idle';
    this.setDeadline(left);
  }

  /** The next deadline has moved. */
  setDeadline(left: number): void {
    this.#limit = this.#last + Math.max(0, left);
  }
}
