/**
 * A lock with many readers or one writer. Requests are granted in order of arrival, neighbouring readers together: a
 * waiting writer holds up the readers that came after it, so neither side can starve the other. Not recursive.
 */
import { AioError } from './aio-error.ts';
import { coSelf, coYield } from './coroutine.ts';
import type { Co, Coroutine } from './coroutine.ts';

interface Ticket {
  readonly coroutine: Coroutine<unknown>;
  readonly write: boolean;
  granted: boolean;
}

export class CoRwlock {
  private readonly readers = new Set<Coroutine<unknown>>();
  private writer: Coroutine<unknown> | undefined = undefined;
  private readonly tickets: Ticket[] = [];
  /** Counts granted writes, so that an upgrade knows whether it was overtaken. */
  private writes = 0;

  /** Lock for reading. Throws `deadlock` when the caller holds the lock in either way. */
  *coRdlock(): Co<void> {
    yield* this.coAcquire(yield* coSelf(), false);
  }

  /** Lock for writing. Throws `deadlock` when the caller holds the lock in either way. */
  *coWrlock(): Co<void> {
    yield* this.coAcquire(yield* coSelf(), true);
  }

  /** Release what the caller holds; `not-owner` when it holds nothing. */
  unlock(): void {
    if (this.writer !== undefined) {
      this.checkWriter('released');
      this.writer = undefined;
    } else this.dropReader('released');
    this.grant();
  }

  /** From writing to reading, without a gap; waiting readers at the head of the queue join. */
  downgrade(): void {
    const writer = this.checkWriter('downgraded');
    this.writer = undefined;
    this.readers.add(writer);
    this.grant();
  }

  /**
   * From reading to writing. Two upgrades cannot both keep their read lock, so this one gives it up and queues as a
   * writer: the result is true when nobody wrote in between, false when what was read must be read again.
   */
  *coUpgrade(): Co<boolean> {
    const self = this.dropReader('upgraded');
    const before = this.writes;
    const ticket: Ticket = { coroutine: self, write: true, granted: false };
    // Alone and with nobody waiting: granted on the spot.
    this.tickets.push(ticket);
    this.grant(ticket);
    while (!ticket.granted) yield* coYield();
    return this.writes === before + 1;
  }

  private *coAcquire(self: Coroutine<unknown>, write: boolean): Co<void> {
    if (this.writer === self || this.readers.has(self)) {
      throw new AioError('deadlock', `coroutine ${self.name} holds this lock already`);
    }
    const ticket: Ticket = { coroutine: self, write, granted: false };
    this.tickets.push(ticket);
    this.grant(ticket);
    while (!ticket.granted) yield* coYield();
  }

  /** Grant as many tickets from the head as go together; `own` belongs to the running coroutine, which needs no wake-up. */
  private grant(own?: Ticket): void {
    for (let head = this.tickets[0]; head !== undefined && this.admits(head); head = this.tickets[0]) {
      this.tickets.shift();
      head.granted = true;
      if (head.write) {
        this.writer = head.coroutine;
        this.writes++;
      } else this.readers.add(head.coroutine);
      if (head !== own) head.coroutine.wake();
    }
  }

  private admits(ticket: Ticket): boolean {
    return this.writer === undefined && (!ticket.write || this.readers.size === 0);
  }

  private checkWriter(verb: string): Coroutine<unknown> {
    const writer = this.writer;
    if (writer === undefined || writer.context.current !== writer) throw notOwner(verb);
    return writer;
  }

  /** Take the running coroutine, which must be a reader, out of the readers. */
  private dropReader(verb: string): Coroutine<unknown> {
    for (const reader of this.readers) {
      if (reader.context.current !== reader) continue;
      this.readers.delete(reader);
      return reader;
    }
    throw notOwner(verb);
  }
}

function notOwner(verb: string): AioError {
  return new AioError('not-owner', `lock ${verb} by code that does not hold it so`);
}
