/**
 * A mutex for coroutines, fair: it is handed to the one that has waited longest, directly, so a newcomer cannot take it
 * in between. Not recursive. Locking a free one does not suspend.
 */
import { AioError } from './aio-error.ts';
import { coSelf, coYield } from './coroutine.ts';
import type { Co, Coroutine } from './coroutine.ts';

export class CoMutex {
  private holder: Coroutine<unknown> | undefined = undefined;
  private readonly waiters: Coroutine<unknown>[] = [];

  get locked(): boolean {
    return this.holder !== undefined;
  }

  /** Throws `deadlock` when the caller holds it already. */
  *coLock(): Co<void> {
    const self = yield* coSelf();
    if (this.holder === undefined) {
      this.holder = self;
      return;
    }
    if (this.holder === self) throw new AioError('deadlock', `coroutine ${self.name} holds this mutex already`);
    this.waiters.push(self);
    while (this.holder !== self) yield* coYield();
  }

  /** To be called by the holder, not from plain code; else `not-owner`. */
  unlock(): void {
    const holder = this.holder;
    if (holder === undefined || holder.context.current !== holder) {
      throw new AioError(
        'not-owner',
        `mutex released by other code than its holder (${holder === undefined ? 'nobody' : holder.name})`,
      );
    }
    this.holder = this.waiters.shift();
    this.holder?.wake();
  }

  /** Run `code` with the mutex held, and release it however that ends. */
  *coWith<T>(code: () => Co<T>): Co<T> {
    yield* this.coLock();
    try {
      return yield* code();
    } finally {
      this.unlock();
    }
  }
}
