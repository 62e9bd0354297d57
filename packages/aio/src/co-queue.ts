/**
 * A queue of coroutines that wait for a condition, woken in order of arrival. The wait queue under a mutex takes the
 * mutex again before it returns, as a condition variable does.
 */
import type { CoMutex } from './co-mutex.ts';
import { coSelf, coYield } from './coroutine.ts';
import type { Co, Coroutine } from './coroutine.ts';

interface Waiter {
  readonly coroutine: Coroutine<unknown>;
  woken: boolean;
}

export class CoQueue {
  private readonly waiters: Waiter[] = [];

  /** How many coroutines wait. */
  get length(): number {
    return this.waiters.length;
  }

  /** Wait until woken. A `mutex` that the caller holds is released meanwhile. */
  *coWait(mutex?: CoMutex): Co<void> {
    const waiter: Waiter = { coroutine: yield* coSelf(), woken: false };
    this.waiters.push(waiter);
    try {
      mutex?.unlock();
    } catch (error) {
      this.waiters.splice(this.waiters.indexOf(waiter), 1);
      throw error;
    }
    while (!waiter.woken) yield* coYield();
    if (mutex !== undefined) yield* mutex.coLock();
  }

  /** Wake the one that has waited longest; false when none waits. */
  wakeOne(): boolean {
    const waiter = this.waiters.shift();
    if (waiter === undefined) return false;
    waiter.woken = true;
    waiter.coroutine.wake();
    return true;
  }

  /** Wake all that wait now, in order; how many. */
  wakeAll(): number {
    const count = this.waiters.length;
    for (let i = 0; i < count; i++) this.wakeOne();
    return count;
  }
}
