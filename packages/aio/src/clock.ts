/**
 * The four named clocks, all in integer nanoseconds from the creation of their set (plain numbers: exact for 104 days,
 * 2^53 ns):
 * - `realtime`: monotonic host time; runs always.
 * - `host`: wall-clock time; jumps when the host's clock is set. `host.epochMs` is its zero in ms since 1970.
 * - `virtual`: the guest's time; can be stopped, and can be driven by a source such as the count of instructions.
 * - `virtual-rt`: real time while the guest runs; the virtual clock as it is without a source. Used to pace a counted one.
 * Timers on a stopped clock do not fire.
 *
 * Fields that hold times start as NaN: an engine that has seen small integers in one compiles for these, and once more when 2^31 ns
 * have passed, as often as not in the middle of a guest's idling.
 */
import { AioError } from './aio-error.ts';
import type { AioHost } from './host.ts';

export type ClockType = 'realtime' | 'host' | 'virtual' | 'virtual-rt';

/** In the order in which one poll runs their timers. */
export const CLOCK_TYPES: readonly ClockType[] = ['realtime', 'virtual', 'host', 'virtual-rt'];

export interface Clock {
  /** Now, in ns. */
  now(): number;
  /** False while stopped: time stands still and timers do not fire. */
  readonly running: boolean;
  /** Whether the clock advances as real time passes, so that sleeping brings its deadlines nearer. */
  readonly realTime: boolean;
}

/** A clock that can be stopped, started, set, warped, and driven by a source other than real time. */
export class VirtualClock implements Clock {
  private readonly host: AioHost;
  /** Real time of the set's zero. */
  private readonly zero: number = Number.NaN;
  private readonly changed: () => void;
  /** Undefined: real time. That is not a function too, so that the engine can take the way to the host's clock as one. */
  private source: (() => number) | undefined;
  private isReal = true;
  private base = Number.NaN;
  private origin = Number.NaN;
  private isRunning: boolean;

  /** `zero`: the host's monotonic time that is 0; `changed` is called after stop, start, set, warp and change of source. */
  constructor(host: AioHost, zero: number, running: boolean, changed: () => void) {
    this.host = host;
    this.zero = zero;
    this.base = 0;
    this.origin = this.sourceNow();
    this.isRunning = running;
    this.changed = changed;
  }

  get running(): boolean {
    return this.isRunning;
  }

  get realTime(): boolean {
    return this.isRunning && this.isReal;
  }

  /** Hot path. */
  now(): number {
    return this.isRunning ? this.base + (this.sourceNow() - this.origin) : this.base;
  }

  private sourceNow(): number {
    return this.source === undefined ? this.host.monotonicNs() - this.zero : this.source();
  }

  start(): void {
    if (this.isRunning) return;
    this.origin = this.sourceNow();
    this.isRunning = true;
    this.changed();
  }

  stop(): void {
    if (!this.isRunning) return;
    this.base = this.now();
    this.isRunning = false;
    this.changed();
  }

  /** Jump forward by `ns`, as an idle counted machine does to reach its next deadline. */
  warp(ns: number): void {
    if (!Number.isSafeInteger(ns) || ns < 0) throw new AioError('bad-time', `cannot warp by ${ns} ns`);
    this.base += ns;
    this.changed();
  }

  /** Set the time, when a saved state is loaded. */
  set(ns: number): void {
    if (!Number.isSafeInteger(ns) || ns < 0) throw new AioError('bad-time', `cannot set a clock to ${ns} ns`);
    this.base = ns;
    this.origin = this.sourceNow();
    this.changed();
  }

  /**
   * Let the clock follow `source` (integer ns, never decreasing), for example instructions executed << shift; without
   * one it follows real time again. The time does not jump by the change. `isReal` says that the source goes on as real
   * time passes, if not evenly: sleeping brings its deadlines nearer.
   */
  setSource(source?: () => number, isReal = source === undefined): void {
    this.base = this.now();
    this.source = source;
    this.isReal = isReal;
    this.origin = this.sourceNow();
    this.changed();
  }
}

class RealtimeClock implements Clock {
  readonly running = true;
  readonly realTime = true;
  readonly origin: number = Number.NaN;
  private readonly host: AioHost;

  constructor(host: AioHost) {
    this.host = host;
    this.origin = host.monotonicNs();
  }

  now(): number {
    return this.host.monotonicNs() - this.origin;
  }
}

class HostClock implements Clock {
  readonly running = true;
  readonly realTime = true;
  /** Wall-clock time of this clock's zero, in ms since 1970: wall time in ms is `epochMs + now() / 1e6`. */
  readonly epochMs: number;
  private readonly host: AioHost;

  constructor(host: AioHost) {
    this.host = host;
    this.epochMs = host.wallClockMs();
  }

  now(): number {
    return (this.host.wallClockMs() - this.epochMs) * 1_000_000;
  }
}

export interface ClockSetOptions {
  /** Whether the two virtual clocks run from the start; default true. */
  readonly started?: boolean;
}

/** The four clocks of one machine. Several contexts may share a set. */
export class ClockSet {
  readonly realtime: Clock;
  readonly host: Clock & { readonly epochMs: number };
  readonly virtual: VirtualClock;
  readonly virtualRt: VirtualClock;
  private readonly listeners: (() => void)[] = [];

  constructor(host: AioHost, options: ClockSetOptions = {}) {
    const started = options.started ?? true;
    const changed = () => {
      for (const listener of this.listeners) listener();
    };
    const realtime = new RealtimeClock(host);
    this.realtime = realtime;
    this.host = new HostClock(host);
    this.virtual = new VirtualClock(host, realtime.origin, started, changed);
    this.virtualRt = new VirtualClock(host, realtime.origin, started, changed);
  }

  get(type: ClockType): Clock {
    switch (type) {
      case 'realtime':
        return this.realtime;
      case 'host':
        return this.host;
      case 'virtual':
        return this.virtual;
      case 'virtual-rt':
        return this.virtualRt;
    }
  }

  /** Start both virtual clocks: the guest continues. */
  start(): void {
    this.virtual.start();
    this.virtualRt.start();
  }

  /** Stop both virtual clocks: the guest is paused. */
  stop(): void {
    this.virtual.stop();
    this.virtualRt.stop();
  }

  /** Call `listener` whenever sleeping times computed from the virtual clocks may have become wrong. */
  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }
}
