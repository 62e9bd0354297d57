import { describe, expect, it } from 'vitest';
import { AioContext, AioError, Coroutine, ManualHost, ThreadPool } from './index.ts';
import type { Co } from './index.ts';

/** An executor whose work is finished by hand. */
function setup(options: { maxRunning?: number; maxQueued?: number } = {}) {
  const context = new AioContext({ host: new ManualHost() });
  const running = new Map<string, { resolve: (value: string) => void; reject: (error: unknown) => void }>();
  const pool = new ThreadPool<string, string>(
    context,
    (work) => new Promise((resolve, reject) => running.set(work, { resolve, reject })),
    options,
  );
  const log: string[] = [];
  const submit = (work: string) =>
    pool.submit(work, (outcome) =>
      log.push(outcome.ok ? outcome.value : `${work}: ${(outcome.error as Error).message}`),
    );
  return { context, running, pool, log, submit };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve();
}

describe('thread pool', () => {
  it('runs so many at a time and delivers results in a poll, in order of completion', async () => {
    const { context, running, pool, log, submit } = setup({ maxRunning: 2 });
    for (const work of ['a', 'b', 'c']) submit(work);
    expect([...running.keys()]).toEqual(['a', 'b']);
    running.get('b')?.resolve('B');
    await settle();
    expect([[...running.keys()], log, pool.size]).toEqual([['a', 'b', 'c'], [], 3]);
    running.get('a')?.reject(new Error('bad'));
    await settle();
    expect(context.poll()).toBe(true);
    expect([log, pool.size]).toEqual([['B', 'a: bad'], 1]);
    expect(context.poll()).toBe(false);
  });

  it('cancels what has not begun, and only that', async () => {
    const { context, running, log, submit } = setup({ maxRunning: 1 });
    const first = submit('first');
    const second = submit('second');
    expect([first.state, second.state, first.cancel(), second.cancel(), second.cancel()]).toEqual([
      'running',
      'queued',
      false,
      true,
      false,
    ]);
    running.get('first')?.resolve('done');
    await settle();
    context.poll();
    expect(log).toEqual(['second: the work was cancelled before it began', 'done']);
    expect([first.state, second.state, running.has('second')]).toEqual(['done', 'cancelled', false]);
  });

  it('refuses work beyond its bound', () => {
    const { submit } = setup({ maxQueued: 2 });
    submit('a');
    submit('b');
    expect(() => submit('c')).toThrow(expect.objectContaining({ kind: 'queue-full' }));
  });

  it('makes coroutines wait for room, first come first served', async () => {
    const { context, running, log, pool } = setup({ maxQueued: 1 });
    const worker = (work: string): Coroutine<void> =>
      new Coroutine(context, function* (): Co<void> {
        try {
          log.push(yield* pool.coSubmit(work));
        } catch (error) {
          log.push((error as Error).message);
        }
      });
    for (const work of ['a', 'b', 'c']) worker(work).enter();
    for (const work of ['a', 'b', 'c']) {
      expect([...running.keys()]).toEqual([work]);
      if (work === 'b') running.get(work)?.reject(new Error('b failed'));
      else running.get(work)?.resolve(work);
      running.clear();
      await settle();
      // The one that waits for room has been promised it: nobody else gets in between.
      context.poll();
      if (work !== 'c') expect(() => pool.submit('thief', () => undefined)).toThrow(AioError);
      while (context.poll()) continue;
    }
    expect(log).toEqual(['a', 'b failed', 'c']);
    expect(pool.size).toBe(0);
  });

  it('an executor that throws is one that rejects; a callback that throws loses no other result', async () => {
    const context = new AioContext({ host: new ManualHost() });
    const pool = new ThreadPool<number, number>(context, (work) => {
      if (work === 0) throw new Error('executor');
      return Promise.resolve(work);
    });
    const log: unknown[] = [];
    pool.submit(1, () => {
      throw new Error('callback');
    });
    pool.submit(2, (outcome) => log.push(outcome.ok));
    pool.submit(0, (outcome) => log.push(outcome.ok));
    await settle();
    expect(() => context.poll()).toThrow('callback');
    context.poll();
    // The one that threw at once completed first.
    expect(log).toEqual([false, true]);
    expect(pool.size).toBe(0);
  });
});
