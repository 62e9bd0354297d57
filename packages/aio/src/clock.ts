/**
 * The four named clocks, all in integer nanoseconds from the creation of their set (plain numbers: exact for 104 days,
 * 2^53 ns):
 * - `realtime`: monotonic host time; runs always.
 * - `host`: wall-clock time; jumps when the host's clock is set. `host.epochMs` is its zero in ms since 1970.
 * - `virtual`: the guest's time; can be stopped, and can be driven by a source such as the count of instructions.
 * - `virtual-rt`: real time while the guest runs; the virtual clock as it is without a source. Used to pace a counted one.
 * Timers on a stopped clock do not fire.
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
  private readonly realSource: () => number;
  private readonly changed: () => void;
  private source: () => number;
  private isReal = true;
  private base = 0;
  private origin: number;
  private isRunning: boolean;

  /** `realSource` is the default source, in ns; `changed` is called after stop, start, set, warp and change of source. */
  constructor(realSource: () => number, running: boolean, changed: () => void) {
    this.realSource = realSource;
    this.source = realSource;
    this.origin = realSource();
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
    return this.isRunning ? this.base + (this.source() - this.origin) : this.base;
  }

  start(): void {
    if (this.isRunning) return;
    this.origin = this.source();
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
    this.origin = this.source();
    this.changed();
  }

  /**
   * Let the clock follow `source` (integer ns, never decreasing), for example instructions executed << shift; without
   * one it follows real time again. The time does not jump by the change. `isReal` says that the source goes on as real
   * time passes, if not evenly: sleeping brings its deadlines nearer.
   */
  setSource(source?: () => number, isReal = source === undefined): void {
    this.base = this.now();
    this.source = source ?? this.realSource;
    this.isReal = isReal;
    this.origin = this.source();
    this.changed();
  }
}

class RealtimeClock implements Clock {
  readonly running = true;
  readonly realTime = true;
  private readonly host: AioHost;
  private readonly origin: number;

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
    const source = () => realtime.now();
    this.realtime = realtime;
    this.host = new HostClock(host);
    this.virtual = new VirtualClock(source, started, changed);
    this.virtualRt = new VirtualClock(source, started, changed);
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
