import { describe, expect, it } from 'vitest';
import {
  AioContext,
  AioError,
  Coroutine,
  ManualHost,
  asyncFromCo,
  coAwait,
  coJoin,
  coSelf,
  coSleepNs,
  coYield,
} from './index.ts';
import type { AioErrorKind, Co } from './index.ts';

function setup() {
  const host = new ManualHost();
  return { host, context: new AioContext({ host }), log: [] as string[] };
}

function kindOf(action: () => void): AioErrorKind | 'none' {
  try {
    action();
  } catch (error) {
    if (error instanceof AioError) return error.kind;
    throw error;
  }
  return 'none';
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

describe('coroutines', () => {
  it('run synchronously from enter to yield', () => {
    const { context, log } = setup();
    const co = new Coroutine(context, function* (): Co<number> {
      log.push('begin');
      yield* coYield();
      log.push('end');
      return 7;
    });
    expect([co.state, log.length]).toEqual(['created', 0]);
    co.enter();
    expect([co.state, ...log]).toEqual(['suspended', 'begin']);
    co.enter();
    expect([co.state, ...log]).toEqual(['terminated', 'begin', 'end']);
    expect(co.outcome).toEqual({ ok: true, value: 7 });
  });

  it('know themselves, also when nested, and the context knows the innermost', () => {
    const { context } = setup();
    const seen: boolean[] = [];
    const inner: Coroutine<void> = new Coroutine(context, function* (): Co<void> {
      seen.push((yield* coSelf()) === inner, context.current === inner);
    });
    const outer: Coroutine<void> = new Coroutine(context, function* (): Co<void> {
      inner.enter();
      seen.push((yield* coSelf()) === outer, context.current === outer);
    });
    outer.enter();
    expect(seen).toEqual([true, true, true, true]);
    expect(context.current).toBe(undefined);
  });

  it('refuse to be re-entered, entered after the end, or entered while scheduled', () => {
    const { context } = setup();
    const kinds: string[] = [];
    const other: Coroutine<void> = new Coroutine(context, function* (): Co<void> {
      kinds.push(kindOf(() => co.enter()));
    });
    const co: Coroutine<void> = new Coroutine(context, function* (): Co<void> {
      kinds.push(kindOf(() => co.enter()));
      other.enter();
      yield* coYield();
    });
    co.enter();
    expect(kinds).toEqual(['re-entered', 're-entered']);
    co.wake();
    expect([kindOf(() => co.wake()), kindOf(() => co.enter())]).toEqual(['already-scheduled', 'already-scheduled']);
    context.poll();
    expect(co.state).toBe('terminated');
    expect([kindOf(() => co.wake()), kindOf(() => co.enter())]).toEqual(['terminated', 'terminated']);
  });

  it('woken, run in the next poll in order of waking, and may wake themselves', () => {
    const { context, log } = setup();
    const named = (name: string) =>
      new Coroutine(context, function* (): Co<void> {
        const self = yield* coSelf();
        log.push(`${name}1`);
        self.wake();
        yield* coYield();
        log.push(`${name}2`);
      });
    const [a, b] = [named('a'), named('b')];
    b.wake();
    a.wake();
    expect(log).toEqual([]);
    context.poll();
    expect(log).toEqual(['b1', 'a1']);
    context.poll();
    expect(log).toEqual(['b1', 'a1', 'b2', 'a2']);
  });

  it('give an exception to who observes, else to who entered', () => {
    const { context } = setup();
    const failing = () =>
      new Coroutine(context, function* (): Co<void> {
        yield* coYield();
        throw new Error('inside');
      });
    const loud = failing();
    loud.enter();
    expect(() => loud.enter()).toThrow('inside');
    expect([loud.state, context.current]).toEqual(['terminated', undefined]);
    const quiet = failing();
    const outcomes: unknown[] = [];
    quiet.observe((outcome) => outcomes.push(outcome.ok));
    quiet.enter();
    quiet.enter();
    quiet.observe((outcome) => outcomes.push(outcome.ok));
    expect(outcomes).toEqual([false, false]);
  });

  it('join others: values, exceptions, ended ones, not themselves', () => {
    const { context, log } = setup();
    const worker = new Coroutine(context, function* (): Co<string> {
      yield* coSleepNs('virtual', 10);
      return 'done';
    });
    const failing = new Coroutine(context, function* (): Co<void> {
      yield* coYield();
      throw new Error('failed');
    });
    const boss: Coroutine<void> = new Coroutine(context, function* (): Co<void> {
      log.push(yield* coJoin(worker));
      log.push(yield* coJoin(worker));
      try {
        yield* coJoin(failing);
      } catch (error) {
        log.push((error as Error).message);
      }
      try {
        yield* coJoin(boss);
      } catch (error) {
        log.push((error as AioError).kind);
      }
    });
    failing.enter();
    worker.enter();
    boss.enter();
    context.pollWhile(() => worker.state !== 'terminated');
    while (context.poll()) continue;
    failing.enter();
    while (context.poll()) continue;
    expect(log).toEqual(['done', 'done', 'failed', 'deadlock']);
  });

  it('sleep on the named clock, in order of deadline', () => {
    const { host, context, log } = setup();
    const sleeper = (name: string, ns: number) =>
      new Coroutine(context, function* (): Co<void> {
        yield* coSleepNs('virtual', ns);
        log.push(`${name}@${context.now('virtual')}`);
      }).enter();
    sleeper('long', 30);
    sleeper('short', 10);
    context.clocks.stop();
    host.advance(100);
    expect(context.poll()).toBe(false);
    context.clocks.start();
    for (let i = 0; i < 40; i++) {
      host.advance(1);
      while (context.poll()) continue;
    }
    expect(log).toEqual(['short@10', 'long@30']);
  });
});

describe('coroutines and promises', () => {
  it('await a promise, resuming in a poll and nowhere else', async () => {
    const { context, log } = setup();
    const result = asyncFromCo(context, function* (): Co<string> {
      log.push('begin');
      const value = yield* coAwait(Promise.resolve(41));
      log.push('resumed');
      try {
        yield* coAwait(Promise.reject(new Error('no')));
      } catch (error) {
        log.push((error as Error).message);
      }
      return `${value + 1}`;
    });
    expect(log).toEqual(['begin']);
    await settle();
    expect(log).toEqual(['begin']);
    context.poll();
    expect(log).toEqual(['begin', 'resumed']);
    await settle();
    context.poll();
    expect(await result).toBe('42');
    expect(log).toEqual(['begin', 'resumed', 'no']);
  });

  it('reject with the exception that ends the coroutine', async () => {
    const { context } = setup();
    await expect(
      asyncFromCo(context, function* (): Co<void> {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
  });

  it('a settled promise ends a sleep of the context', async () => {
    const context = new AioContext();
    let resolve: (value: string) => void = () => undefined;
    const promise = new Promise<string>((r) => (resolve = r));
    const result = asyncFromCo(context, () => coAwait(promise));
    const sleep = context.wait();
    resolve('woken');
    await sleep;
    context.poll();
    expect(await result).toBe('woken');
  });
});
