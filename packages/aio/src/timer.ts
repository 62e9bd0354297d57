/**
 * One-shot timers with absolute expiry times in ns, and the list of them that a context keeps per clock.
 * A periodic timer is one that re-arms itself from its own last deadline, so that its average rate is exact however
 * late the host wakes up. Timers fire in order of expiry, equal ones in the order in which they were armed.
 *
 * Invariant: `heap` is a binary min-heap by (expiry, arming number), and `heap[t.heapIndex] === t` for armed timers.
 */
import { AioError } from './aio-error.ts';
import type { Clock, ClockType } from './clock.ts';

export class Timer {
  /** Which clock it runs on. */
  readonly clock: ClockType;
  /** For listings and saved states; need not be unique. */
  readonly name: string;
  /** For `TimerList` only: position in the heap, or -1. */
  heapIndex = -1;
  /** For `TimerList` only. */
  armedAs = 0;
  /** For `TimerList` only. */
  readonly callback: () => void;
  private readonly list: TimerList;
  /** NaN first: see `clock.ts`. */
  private expiry = Number.NaN;

  /** Made by `AioContext.timer`. */
  constructor(list: TimerList, clock: ClockType, callback: () => void, name: string) {
    this.list = list;
    this.clock = clock;
    this.callback = callback;
    this.name = name;
    this.expiry = -1;
  }

  /** Absolute expiry in ns, or -1 when not armed (the form in which a saved state keeps it). */
  get expireNs(): number {
    return this.expiry;
  }

  get pending(): boolean {
    return this.heapIndex >= 0;
  }

  /**
   * Arm, or move, to the absolute time `expireNs` on its clock. Fractions are rounded up, past times fire at the next
   * poll. Throws `bad-time` for what is not a time below 2^53 ns.
   */
  mod(expireNs: number): void {
    const expiry = Math.max(0, Math.ceil(expireNs));
    if (!Number.isSafeInteger(expiry))
      throw new AioError('bad-time', `timer ${this.name}: ${expireNs} ns is out of range`);
    const before = this.list.nextDeadlineNs;
    this.list.remove(this);
    this.expiry = expiry;
    this.list.insert(this);
    if (expiry < before) this.list.earlier();
  }

  /** Like `mod`, but never to a later time than it is armed for. */
  modAnticipate(expireNs: number): void {
    if (!this.pending || expireNs < this.expiry) this.mod(expireNs);
  }

  /** Disarm; allowed at any time, also from callbacks. */
  del(): void {
    this.list.remove(this);
    this.expiry = -1;
  }
}

export class TimerList {
  private readonly heap: Timer[] = [];
  /** Called by timers when the first deadline has moved to an earlier time. */
  readonly earlier: () => void;
  private readonly clock: Clock;
  private armings = 0;

  constructor(clock: Clock, earlier: () => void) {
    this.clock = clock;
    this.earlier = earlier;
  }

  /** The earliest expiry, or `Infinity`. */
  get nextDeadlineNs(): number {
    const first = this.heap[0];
    return first === undefined ? Infinity : first.expireNs;
  }

  /** All armed timers in the order in which they will fire. */
  sorted(): Timer[] {
    return [...this.heap].sort((a, b) => (firesBefore(a, b) ? -1 : 1));
  }

  /** Fire expired timers in order, at most `budget`; how many fired. Time is read once, so callbacks see a stable now. */
  run(budget: number): number {
    if (this.heap.length === 0 || !this.clock.running) return 0;
    const now = this.clock.now();
    let fired = 0;
    for (
      let first = this.heap[0];
      first !== undefined && first.expireNs <= now && fired < budget;
      first = this.heap[0]
    ) {
      first.del();
      fired++;
      first.callback();
    }
    return fired;
  }

  /** Put an unarmed timer in its place. */
  insert(timer: Timer): void {
    timer.armedAs = ++this.armings;
    this.heap.push(timer);
    this.siftUp(timer, this.heap.length - 1);
  }

  remove(timer: Timer): void {
    const hole = timer.heapIndex;
    if (hole < 0) return;
    timer.heapIndex = -1;
    const last = this.heap.pop() as Timer;
    if (last === timer) return;
    this.siftUp(last, hole);
    this.siftDown(last, last.heapIndex);
  }

  private siftUp(timer: Timer, at: number): void {
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.heap[parentAt] as Timer;
      if (!firesBefore(timer, parent)) break;
      this.place(parent, at);
      at = parentAt;
    }
    this.place(timer, at);
  }

  private siftDown(timer: Timer, at: number): void {
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= this.heap.length) break;
      let child = this.heap[childAt] as Timer;
      const other = this.heap[childAt + 1];
      if (other !== undefined && firesBefore(other, child)) {
        child = other;
        childAt++;
      }
      if (!firesBefore(child, timer)) break;
      this.place(child, at);
      at = childAt;
    }
    this.place(timer, at);
  }

  private place(timer: Timer, at: number): void {
    this.heap[at] = timer;
    timer.heapIndex = at;
  }
}

function firesBefore(a: Timer, b: Timer): boolean {
  return a.expireNs !== b.expireNs ? a.expireNs < b.expireNs : a.armedAs < b.armedAs;
}
