/**
 * The event loop of one thread: bottom halves, event sources, timers, coroutines. Nothing runs but inside `poll`, in a
 * fixed order (ready sources, timers by clock, bottom halves: so what the first two defer still runs in the same poll),
 * and a run is a function of the polls and of what the host reports. `poll` never lets the host's own events in: `wait` and `yieldToHost` do, being asynchronous.
 *
 * A callback's exception is a bug of the caller's and leaves through `poll`; the context stays usable.
 */
import { AioError } from './aio-error.ts';
import { BottomHalf, BottomHalfQueue } from './bottom-half.ts';
import { CLOCK_TYPES, ClockSet } from './clock.ts';
import type { Clock, ClockType } from './clock.ts';
import type { CoContext, Coroutine } from './coroutine.ts';
import type { EventNotifier } from './event-notifier.ts';
import { HandleSet } from './handle-set.ts';
import type { AioHandle, AioHandlers } from './handle-set.ts';
import { createDefaultHost } from './host.ts';
import type { AioHost } from './host.ts';
import { HOST_CLOCK_RECHECK_NS, IDLE_PERIOD_NS, MAX_TIMER_CALLBACKS_PER_POLL } from './limits.ts';
import { Timer, TimerList } from './timer.ts';

export interface AioContextOptions {
  /** Default: the browser, worker or Node that this runs in. */
  readonly host?: AioHost;
  /** Default: a set of its own, running. */
  readonly clocks?: ClockSet;
  /** How long to poll the sources before sleeping, in ns; default 0. Worth it for shared-memory handles only. */
  readonly pollMaxNs?: number;
}

interface TimersOfClock {
  readonly type: ClockType;
  readonly clock: Clock;
  readonly list: TimerList;
}

export class AioContext implements CoContext {
  readonly host: AioHost;
  readonly clocks: ClockSet;
  /**
   * Called when a clock's first deadline moves to an earlier time: a vCPU that runs up to the next deadline must look
   * again. Called from `Timer.mod`, so it must not do more than note the fact.
   */
  onDeadlineMoved: ((clock: ClockType) => void) | undefined = undefined;
  /** The coroutine that runs now, if any. Kept by `Coroutine`. */
  current: Coroutine<unknown> | undefined = undefined;

  private readonly pollMaxNs: number;
  private readonly bottomHalves: BottomHalfQueue;
  private readonly handles: HandleSet;
  /** In the order in which a poll runs them. */
  private readonly timerLists: readonly TimersOfClock[];
  private readonly lists = {} as Record<ClockType, TimerList>;
  private canBlock: boolean;
  private notified = false;
  private endSleep: (() => void) | undefined = undefined;

  constructor(options: AioContextOptions = {}) {
    this.host = options.host ?? createDefaultHost();
    this.clocks = options.clocks ?? new ClockSet(this.host);
    this.pollMaxNs = options.pollMaxNs ?? 0;
    const wake = () => this.endSleep?.();
    this.bottomHalves = new BottomHalfQueue(wake);
    this.handles = new HandleSet(wake);
    this.clocks.onChange(wake);
    this.canBlock = this.host.block !== undefined;
    this.timerLists = CLOCK_TYPES.map((type) => {
      const earlier = () => {
        wake();
        this.onDeadlineMoved?.(type);
      };
      const clock = this.clocks.get(type);
      const list = new TimerList(clock, earlier);
      this.lists[type] = list;
      return { type, clock, list };
    });
  }

  /** The time on a clock, in ns. */
  now(clock: ClockType): number {
    return this.clocks.get(clock).now();
  }

  /** A timer that calls `callback` from `poll`; not armed yet. */
  timer(clock: ClockType, callback: () => void, name = 'timer'): Timer {
    return new Timer(this.lists[clock], clock, callback, name);
  }

  /** When the first timer on `clock` expires (absolute, ns), or `Infinity`. */
  nextDeadlineNs(clock: ClockType): number {
    return this.lists[clock].nextDeadlineNs;
  }

  /** The armed timers in the order in which they will fire, for listings and saved states. */
  timers(clock: ClockType): readonly Timer[] {
    return this.lists[clock].sorted();
  }

  bottomHalf(callback: () => void, name = 'bh'): BottomHalf {
    return new BottomHalf(this.bottomHalves, callback, name);
  }

  /** Call `callback` once, in the next poll. */
  scheduleOnce(callback: () => void): void {
    this.bottomHalf(callback, 'once').schedule();
  }

  /** Watch a handle, replacing its earlier handlers; without `handlers`, stop watching it. */
  setHandle(handle: AioHandle, handlers?: AioHandlers): void {
    this.handles.setHandle(handle, handlers);
  }

  /** Call `handler` from `poll` when `notifier` is set, clearing it first; without `handler`, stop watching it. */
  setEventNotifier(notifier: EventNotifier, handler?: () => void): void {
    this.handles.setNotifier(notifier, handler);
  }

  /** End a sleep in `wait`, or the next one at once: something outside the context's knowledge has changed. */
  notify(): void {
    this.notified = true;
    this.endSleep?.();
  }

  /**
   * Run what is due: the handlers of ready sources, the expired timers, the bottom halves scheduled so far. True when
   * anything ran (idle bottom halves aside). It may be called from a callback (nested poll).
   *
   * With `blocking`, when nothing was due, block the thread until a timer or an idle bottom half is; for synchronous
   * sections only, since promises and the host's events stay unserved meanwhile. Throws `deadlock` when nothing can
   * ever become due, `cannot-block` where the host cannot block. Returns false when ended by `notify`.
   */
  poll(blocking = false): boolean {
    if (!blocking) this.notified = false;
    while (!this.dispatch()) {
      if (!blocking) return false;
      if (this.takeNotified()) return false;
      this.blockOnce();
    }
    return true;
  }

  /** Nested poll of a synchronous section: poll, blocking, for as long as `condition` holds. */
  pollWhile(condition: () => boolean): void {
    while (condition()) this.poll(true);
  }

  /**
   * Sleep until a deadline on a real-time clock, an event, or `maxNs`, whichever is first; at once when something is
   * due. Runs nothing itself: call `poll` next. The host's events are served meanwhile.
   */
  wait(maxNs = Infinity): Promise<void> {
    if (this.endSleep !== undefined)
      return Promise.reject(new AioError('already-waiting', 'the context sleeps already'));
    if (this.takeNotified() || this.hasReady()) return Promise.resolve();
    const ns = Math.min(maxNs, this.sleepLimitNs());
    if (ns <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.host.schedule(ns, () => this.endSleep?.());
      this.endSleep = () => {
        this.endSleep = undefined;
        this.notified = false;
        cancel();
        resolve();
      };
    });
  }

  /**
   * What `wait` does, by blocking the thread: at a fraction of the price of a turn of the host's event loop, and to the microsecond, but the
   * host's events are not served meanwhile. Only where the sleep is at most `maxNs` long and the host can block; else false, at once.
   */
  blockUpTo(maxNs: number): boolean {
    if (!this.canBlock) return false;
    if (this.notified || this.hasReady()) return true;
    const ns = this.sleepLimitNs();
    if (ns > maxNs) return false;
    if (ns <= 0) return true;
    try {
      this.host.block!(ns);
    } catch (error) {
      if (!(error instanceof AioError) || error.kind !== 'cannot-block') throw error;
      this.canBlock = false;
    }
    return this.canBlock;
  }

  /** Let the host serve its own events (input, network, promises) once. */
  yieldToHost(): Promise<void> {
    return new Promise((resolve) => {
      this.host.schedule(0, resolve);
    });
  }

  /** Real time until something becomes due by itself, in ns: 0 when something is now, `Infinity` when nothing will. */
  sleepLimitNs(): number {
    let limit = this.bottomHalves.hasUrgent ? 0 : this.bottomHalves.hasIdle ? IDLE_PERIOD_NS : Infinity;
    for (const { type, clock, list } of this.timerLists) {
      const deadline = list.nextDeadlineNs;
      if (deadline === Infinity || !clock.running) continue;
      const gap = Math.max(0, deadline - clock.now());
      // A counted clock does not advance by sleeping: its future deadlines are for whoever drives it.
      if (gap > 0 && !clock.realTime) continue;
      limit = Math.min(limit, type === 'host' ? Math.min(gap, HOST_CLOCK_RECHECK_NS) : gap);
    }
    return limit;
  }

  private dispatch(): boolean {
    let progress = this.handles.dispatch();
    let budget = MAX_TIMER_CALLBACKS_PER_POLL;
    for (const { list } of this.timerLists) budget -= list.run(budget);
    if (budget < MAX_TIMER_CALLBACKS_PER_POLL) progress = true;
    return this.bottomHalves.run() || progress;
  }

  private takeNotified(): boolean {
    const was = this.notified;
    this.notified = false;
    return was;
  }

  /** Whether a source is ready now, polling them for a while if so configured. */
  private hasReady(): boolean {
    if (this.handles.anyReady()) return true;
    if (this.pollMaxNs === 0 || this.bottomHalves.hasUrgent) return false;
    const end = this.host.monotonicNs() + Math.min(this.pollMaxNs, this.sleepLimitNs());
    while (this.host.monotonicNs() < end) if (this.handles.anyReady()) return true;
    return false;
  }

  private blockOnce(): void {
    if (this.hasReady()) return;
    const ns = this.sleepLimitNs();
    if (ns === 0) return;
    if (ns === Infinity)
      throw new AioError('deadlock', 'blocking poll, but no timer or bottom half is scheduled that could end it');
    if (this.host.block === undefined) throw new AioError('cannot-block', 'this host cannot block: use wait() instead');
    this.host.block(ns);
  }
}
