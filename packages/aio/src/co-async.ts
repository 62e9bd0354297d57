/**
 * The two adapters between coroutines and `async` code. A promise's result enters the context as a wake-up, hence in
 * `poll` and in the order of arrival; code above stays deterministic as far as the promises are.
 */
import { coSelf, coYield, Coroutine } from './coroutine.ts';
import type { Co, CoContext, CoOutcome } from './coroutine.ts';

/** Suspend until `promise` is settled; its value, or its rejection thrown. */
export function* coAwait<T>(promise: PromiseLike<T>): Co<T> {
  const self = yield* coSelf();
  let outcome: CoOutcome<T> | undefined;
  promise.then(
    (value) => {
      outcome = { ok: true, value };
      self.wake();
    },
    (error: unknown) => {
      outcome = { ok: false, error };
      self.wake();
    },
  );
  while (outcome === undefined) yield* coYield();
  // Assigned by the callbacks above, which the compiler does not see.
  const settled = outcome as CoOutcome<T>;
  if (!settled.ok) throw settled.error;
  return settled.value;
}

/** Run `code` as a coroutine, beginning at once; the promise of its result. Someone must poll the context. */
export function asyncFromCo<T>(context: CoContext, code: () => Co<T>, name?: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const coroutine = new Coroutine(context, code, name);
    coroutine.observe((outcome) => {
      if (outcome.ok) resolve(outcome.value);
      else reject(outcome.error);
    });
    coroutine.enter();
  });
}
