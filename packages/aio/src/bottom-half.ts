/**
 * Bottom halves: callbacks deferred to the next poll of their context, out of the reach of whoever scheduled them.
 * Scheduling one that is scheduled already does nothing. One scheduled by a bottom half (also by itself) runs in the next
 * poll; one scheduled by a timer or an event handler, in the same. Deleting or cancelling is allowed at any time, from its own callback too.
 *
 * Invariant: scheduled bottom halves form a doubly linked list in order of scheduling, with increasing numbers.
 */
import { AioError } from './aio-error.ts';

export class BottomHalf {
  readonly name: string;
  /** For the queue only. */
  next: BottomHalf | undefined = undefined;
  /** For the queue only. */
  previous: BottomHalf | undefined = undefined;
  /** For the queue only: number of the scheduling, 0 when not scheduled. */
  scheduledAs = 0;
  /** For the queue only. */
  idle = false;
  /** For the queue only. */
  readonly callback: () => void;
  private readonly queue: BottomHalfQueue;
  private deleted = false;

  /** Made by `AioContext.bottomHalf`. */
  constructor(queue: BottomHalfQueue, callback: () => void, name: string) {
    this.queue = queue;
    this.callback = callback;
    this.name = name;
  }

  get scheduled(): boolean {
    return this.scheduledAs !== 0;
  }

  /** Run soon: the next poll does not sleep. */
  schedule(): void {
    this.queue.add(this.usable(), false);
  }

  /** Run in a coming poll, but neither hasten it nor count as progress: for work that only has to happen now and then. */
  scheduleIdle(): void {
    this.queue.add(this.usable(), true);
  }

  cancel(): void {
    this.queue.remove(this);
  }

  /** Cancel for good: scheduling it again throws `deleted`. */
  delete(): void {
    this.cancel();
    this.deleted = true;
  }

  private usable(): this {
    if (this.deleted) throw new AioError('deleted', `bottom half ${this.name} was deleted`);
    return this;
  }
}

export class BottomHalfQueue {
  private head: BottomHalf | undefined = undefined;
  private tail: BottomHalf | undefined = undefined;
  private schedulings = 0;
  private urgent = 0;
  private idle = 0;
  private readonly notify: () => void;

  /** `notify` is called when a bottom half is scheduled that is not idle. */
  constructor(notify: () => void) {
    this.notify = notify;
  }

  /** Whether something is scheduled that is not idle. */
  get hasUrgent(): boolean {
    return this.urgent > 0;
  }

  get hasIdle(): boolean {
    return this.idle > 0;
  }

  /** Run those scheduled before this call; whether one of them was not idle. Nested calls take over the rest. */
  run(): boolean {
    const last = this.schedulings;
    let progress = false;
    for (let bh = this.head; bh !== undefined && bh.scheduledAs <= last; bh = this.head) {
      if (!bh.idle) progress = true;
      this.remove(bh);
      bh.callback();
    }
    return progress;
  }

  add(bh: BottomHalf, idle: boolean): void {
    if (bh.scheduled) {
      // An idle one can become urgent; it keeps its place.
      if (!bh.idle || idle) return;
      bh.idle = false;
      this.idle--;
    } else {
      bh.idle = idle;
      bh.scheduledAs = ++this.schedulings;
      bh.previous = this.tail;
      if (this.tail === undefined) this.head = bh;
      else this.tail.next = bh;
      this.tail = bh;
    }
    if (idle) this.idle++;
    else {
      this.urgent++;
      this.notify();
    }
  }

  remove(bh: BottomHalf): void {
    if (!bh.scheduled) return;
    if (bh.idle) this.idle--;
    else this.urgent--;
    if (bh.previous === undefined) this.head = bh.next;
    else bh.previous.next = bh.next;
    if (bh.next === undefined) this.tail = bh.previous;
    else bh.next.previous = bh.previous;
    bh.next = undefined;
    bh.previous = undefined;
    bh.scheduledAs = 0;
  }
}
