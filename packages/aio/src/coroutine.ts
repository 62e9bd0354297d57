/**
 * Coroutines as generators: entering one runs it synchronously up to its next yield, with no microtask in between, so
 * the order of events is a function of the order of enters and wake-ups alone.
 *
 * A coroutine's code is a generator function of type `Co<T>`; it calls other such functions with `yield*`. There is no
 * global "current coroutine": the context has it, and code inside asks with `yield* coSelf()`.
 * Invariant: at most one wake-up is under way per coroutine; entering or waking it in the meantime is an error.
 */
import { AioError } from './aio-error.ts';
import type { BottomHalf } from './bottom-half.ts';
import type { ClockType } from './clock.ts';
import type { Timer } from './timer.ts';

/** What a coroutine asks of its driver: to suspend, or (answered at once) who it is. */
export type CoRequest = 'yield' | 'self';

/** The code of a coroutine. */
export type Co<T> = Generator<CoRequest, T, Coroutine<unknown>>;

/** What coroutines need of their context. */
export interface CoContext {
  current: Coroutine<unknown> | undefined;
  bottomHalf(callback: () => void, name?: string): BottomHalf;
  timer(clock: ClockType, callback: () => void, name?: string): Timer;
  now(clock: ClockType): number;
}

export type CoroutineState = 'created' | 'running' | 'suspended' | 'terminated';

/** How a coroutine ended. */
export type CoOutcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

export class Coroutine<T> {
  readonly context: CoContext;
  readonly name: string;
  private readonly code: Co<T>;
  private readonly wakeUp: BottomHalf;
  private readonly observers: ((outcome: CoOutcome<T>) => void)[] = [];
  private currentState: CoroutineState = 'created';
  private end: CoOutcome<T> | undefined = undefined;

  /** A coroutine that has not begun: `enter` (now) or `wake` (in the next poll) begins it. */
  constructor(context: CoContext, code: () => Co<T>, name = 'coroutine') {
    this.context = context;
    this.name = name;
    this.code = code();
    this.wakeUp = context.bottomHalf(() => this.resume(), name);
  }

  get state(): CoroutineState {
    return this.currentState;
  }

  /** How it ended; `undefined` before that. */
  get outcome(): CoOutcome<T> | undefined {
    return this.end;
  }

  /**
   * Run it, now, up to its next yield or its end. Throws `re-entered` when it is running, `already-scheduled` when a
   * wake-up is under way, `terminated` after its end. An exception that ends the coroutine leaves through the enter
   * that ran it, unless someone observes its end.
   */
  enter(): void {
    this.checkResumable('enter');
    this.resume();
  }

  /** Enter it in the next poll of its context. Errors as for `enter`, except that a running one may arrange its own wake-up. */
  wake(): void {
    if (this.currentState !== 'running') this.checkResumable('wake');
    else if (this.wakeUp.scheduled) throw this.error('already-scheduled', 'wake');
    this.wakeUp.schedule();
  }

  /** Call `observer` at its end, or at once when it has ended. */
  observe(observer: (outcome: CoOutcome<T>) => void): void {
    if (this.end === undefined) this.observers.push(observer);
    else observer(this.end);
  }

  private checkResumable(verb: string): void {
    if (this.currentState === 'running') throw this.error('re-entered', verb);
    if (this.currentState === 'terminated') throw this.error('terminated', verb);
    if (this.wakeUp.scheduled) throw this.error('already-scheduled', verb);
  }

  private error(kind: 're-entered' | 'terminated' | 'already-scheduled', verb: string): AioError {
    return new AioError(
      kind,
      `cannot ${verb} coroutine ${this.name}: it is ${kind === 'already-scheduled' ? 'scheduled already' : this.currentState}`,
    );
  }

  private resume(): void {
    // A wake-up that a running coroutine arranged for itself comes too late when it ended or was entered otherwise.
    if (this.currentState === 'terminated') return;
    if (this.currentState === 'running') throw this.error('re-entered', 'enter');
    const caller = this.context.current;
    this.context.current = this as Coroutine<unknown>;
    this.currentState = 'running';
    try {
      let step = this.code.next(this as Coroutine<unknown>);
      while (!step.done && step.value === 'self') step = this.code.next(this as Coroutine<unknown>);
      if (!step.done) {
        this.currentState = 'suspended';
        return;
      }
      this.end = { ok: true, value: step.value };
    } catch (error) {
      this.end = { ok: false, error };
    } finally {
      this.context.current = caller;
    }
    this.finish(this.end);
  }

  private finish(outcome: CoOutcome<T>): void {
    this.currentState = 'terminated';
    this.wakeUp.delete();
    const observers = this.observers.splice(0);
    if (!outcome.ok && observers.length === 0) throw outcome.error;
    for (const observer of observers) observer(outcome);
  }
}

/** The coroutine that runs this code. */
export function* coSelf(): Co<Coroutine<unknown>> {
  return yield 'self';
}

/** Suspend until someone enters or wakes this coroutine. */
export function* coYield(): Co<void> {
  yield 'yield';
}

/** Suspend until `other` has ended; its value, or its exception thrown. */
export function* coJoin<T>(other: Coroutine<T>): Co<T> {
  const self = yield* coSelf();
  if ((other as Coroutine<unknown>) === self)
    throw new AioError('deadlock', `coroutine ${self.name} cannot wait for its own end`);
  let asleep = false;
  other.observe(() => {
    if (asleep) self.wake();
  });
  asleep = true;
  while (other.outcome === undefined) yield* coYield();
  if (!other.outcome.ok) throw other.outcome.error;
  return other.outcome.value;
}
