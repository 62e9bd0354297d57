/** Sleeping in a coroutine, on any of the clocks. */
import type { ClockType } from './clock.ts';
import { coSelf, coYield } from './coroutine.ts';
import type { Co } from './coroutine.ts';

/** Suspend for `ns` nanoseconds of `clock`; on a stopped clock, until it runs again and the time has passed. */
export function* coSleepNs(clock: ClockType, ns: number): Co<void> {
  const self = yield* coSelf();
  let over = false;
  const timer = self.context.timer(
    clock,
    () => {
      over = true;
      self.wake();
    },
    `sleep of ${self.name}`,
  );
  timer.mod(self.context.now(clock) + ns);
  try {
    while (!over) yield* coYield();
  } finally {
    timer.del();
  }
}
