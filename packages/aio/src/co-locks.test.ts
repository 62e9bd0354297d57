import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AioContext, AioError, CoMutex, CoQueue, CoRwlock, Coroutine, ManualHost, coSelf, coYield } from './index.ts';
import type { Co } from './index.ts';

function setup() {
  const context = new AioContext({ host: new ManualHost() });
  const start = (code: () => Co<void>, name = 'co'): Coroutine<void> => {
    const coroutine = new Coroutine(context, code, name);
    coroutine.enter();
    return coroutine;
  };
  const pollAll = (): void => {
    for (let i = 0; context.poll(); i++) if (i > 10_000) throw new Error('does not come to rest');
  };
  return { context, start, pollAll, log: [] as string[] };
}

/** Give way to the others once. */
function* coPause(): Co<void> {
  const self = yield* coSelf();
  self.wake();
  yield* coYield();
}

function* coCatch(code: () => Co<void> | void, log: string[]): Co<void> {
  try {
    const run = code();
    if (run !== undefined) yield* run;
    log.push('none');
  } catch (error) {
    log.push((error as AioError).kind);
  }
}

describe('CoMutex', () => {
  it('hands over in order of arrival, and a newcomer cannot take it in between', () => {
    const { start, pollAll, log } = setup();
    const mutex = new CoMutex();
    const worker = (name: string) => () =>
      mutex.coWith(function* () {
        log.push(`${name}+`);
        yield* coPause();
        log.push(`${name}-`);
      });
    const holder = start(function* () {
      yield* mutex.coLock();
      yield* coYield();
      mutex.unlock();
      yield* coCatch(() => worker('holder again')(), log);
    });
    start(worker('a'));
    start(worker('b'));
    holder.enter();
    pollAll();
    expect(log).toEqual(['a+', 'a-', 'b+', 'b-', 'holder again+', 'holder again-', 'none']);
    expect(mutex.locked).toBe(false);
  });

  it('refuses to be locked twice by one, or released by another', () => {
    const { start, pollAll, log } = setup();
    const mutex = new CoMutex();
    expect(() => mutex.unlock()).toThrow(AioError);
    start(function* () {
      yield* mutex.coLock();
      yield* coCatch(() => mutex.coLock(), log);
      yield* coPause();
      mutex.unlock();
    });
    start(function* () {
      yield* coCatch(() => mutex.unlock(), log);
    });
    pollAll();
    expect(log).toEqual(['deadlock', 'not-owner']);
    expect(mutex.locked).toBe(false);
  });

  it('is released when the code under it throws', () => {
    const { start } = setup();
    const mutex = new CoMutex();
    expect(() =>
      start(() =>
        mutex.coWith(function* () {
          throw new Error('inside');
        }),
      ),
    ).toThrow('inside');
    expect(mutex.locked).toBe(false);
  });

  it('stays with its holder when a waiter is entered out of turn', () => {
    const { start, pollAll, log } = setup();
    const mutex = new CoMutex();
    const holder = start(() => mutex.coWith(() => coYield()));
    const waiter = start(() =>
      mutex.coWith(function* () {
        log.push('got it');
      }),
    );
    waiter.enter();
    waiter.enter();
    expect(log).toEqual([]);
    holder.enter();
    pollAll();
    expect(log).toEqual(['got it']);
  });
});

describe('CoQueue', () => {
  it('wakes one, or all, in order of arrival', () => {
    const { start, pollAll, log } = setup();
    const queue = new CoQueue();
    for (const name of ['a', 'b', 'c']) {
      start(function* () {
        yield* queue.coWait();
        log.push(name);
      });
    }
    expect([queue.length, queue.wakeOne()]).toEqual([3, true]);
    pollAll();
    expect(log).toEqual(['a']);
    expect(queue.wakeAll()).toBe(2);
    expect(queue.wakeOne()).toBe(false);
    pollAll();
    expect(log).toEqual(['a', 'b', 'c']);
  });

  it('releases the mutex while waiting and has it again afterwards', () => {
    const { start, pollAll, log } = setup();
    const mutex = new CoMutex();
    const queue = new CoQueue();
    let items = 0;
    start(() =>
      mutex.coWith(function* () {
        while (items === 0) yield* queue.coWait(mutex);
        items--;
        log.push(`took, locked ${mutex.locked}`);
      }),
    );
    start(() =>
      mutex.coWith(function* () {
        items++;
        queue.wakeOne();
        yield* coPause();
        log.push('put');
      }),
    );
    pollAll();
    expect(log).toEqual(['put', 'took, locked true']);
    start(() => coCatch(() => queue.coWait(mutex), log));
    expect(log.at(-1)).toBe('not-owner');
    expect(queue.length).toBe(0);
  });
});

describe('CoRwlock', () => {
  it('lets readers share, and does not let later readers pass a waiting writer', () => {
    const { start, pollAll, log } = setup();
    const lock = new CoRwlock();
    const reader = (name: string, pauses: number) =>
      start(function* () {
        yield* lock.coRdlock();
        log.push(`${name}+`);
        for (let i = 0; i < pauses; i++) yield* coPause();
        log.push(`${name}-`);
        lock.unlock();
      });
    reader('r1', 3);
    reader('r2', 1);
    start(function* () {
      yield* lock.coWrlock();
      log.push('w+');
      yield* coPause();
      log.push('w-');
      lock.unlock();
    });
    reader('r3', 1);
    reader('r4', 1);
    pollAll();
    expect(log).toEqual(['r1+', 'r2+', 'r2-', 'r1-', 'w+', 'w-', 'r3+', 'r4+', 'r3-', 'r4-']);
  });

  it('downgrades without a gap', () => {
    const { start, pollAll, log } = setup();
    const lock = new CoRwlock();
    const writer = start(function* () {
      yield* lock.coWrlock();
      yield* coYield();
      lock.downgrade();
      log.push('reading');
      yield* coYield();
      lock.unlock();
    });
    start(function* () {
      yield* lock.coRdlock();
      log.push('other reads');
      lock.unlock();
    });
    start(function* () {
      yield* lock.coWrlock();
      log.push('other writes');
      lock.unlock();
    });
    writer.enter();
    pollAll();
    expect(log).toEqual(['reading', 'other reads']);
    writer.enter();
    pollAll();
    expect(log).toEqual(['reading', 'other reads', 'other writes']);
  });

  it('upgrades at once when alone, and tells when it was overtaken', () => {
    const { start, pollAll, log } = setup();
    const lock = new CoRwlock();
    const alone = start(function* () {
      yield* lock.coRdlock();
      log.push(`alone ${yield* lock.coUpgrade()}`);
      lock.unlock();
    });
    expect(alone.state).toBe('terminated');
    const upgrader = (name: string) =>
      start(function* () {
        yield* lock.coRdlock();
        yield* coPause();
        const untouched = yield* lock.coUpgrade();
        log.push(`${name} ${untouched}`);
        yield* coPause();
        lock.unlock();
      });
    upgrader('first');
    upgrader('second');
    pollAll();
    expect(log).toEqual(['alone true', 'first true', 'second false']);
  });

  it('refuses recursion and foreign release', () => {
    const { start, log } = setup();
    const lock = new CoRwlock();
    expect(() => lock.unlock()).toThrow(AioError);
    expect(() => lock.downgrade()).toThrow(AioError);
    start(function* () {
      yield* lock.coRdlock();
      yield* coCatch(() => lock.coRdlock(), log);
      yield* coCatch(() => lock.coWrlock(), log);
      yield* coCatch(() => lock.downgrade(), log);
      yield* coYield();
    });
    start(function* () {
      yield* coCatch(() => lock.unlock(), log);
    });
    expect(log).toEqual(['deadlock', 'deadlock', 'not-owner', 'not-owner']);
  });
});

describe('property: random lock programs', () => {
  type Step = 'pause' | 'lock' | 'read' | 'write' | 'downgrade' | 'upgrade';
  const programs = (steps: readonly Step[]): fc.Arbitrary<Step[][]> =>
    fc.array(fc.array(fc.constantFrom(...steps), { maxLength: 10 }), { minLength: 1, maxLength: 6 });

  it('a mutex excludes, is granted in order of request, and everyone comes to an end', () => {
    fc.assert(
      fc.property(programs(['pause', 'lock']), (all) => {
        const { start, pollAll } = setup();
        const mutex = new CoMutex();
        const requested: number[] = [];
        const granted: number[] = [];
        let inside = 0;
        const coroutines = all.map((steps, id) =>
          start(function* () {
            for (const step of steps) {
              if (step === 'pause') yield* coPause();
              else {
                requested.push(id);
                yield* mutex.coLock();
                granted.push(id);
                expect(++inside).toBe(1);
                yield* coPause();
                inside--;
                mutex.unlock();
              }
            }
          }),
        );
        pollAll();
        expect(coroutines.every((coroutine) => coroutine.state === 'terminated')).toBe(true);
        expect(granted).toEqual(requested);
        expect(mutex.locked).toBe(false);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('a rwlock behaves as a model that grants whole prefixes of the queue', () => {
    fc.assert(
      fc.property(programs(['pause', 'read', 'write', 'downgrade', 'upgrade']), (all) => {
        const { start, pollAll } = setup();
        const lock = new CoRwlock();
        // The model: who holds it how, and who waits. `holds` is told by the model, checked by the code under the lock.
        const queue: { id: number; write: boolean }[] = [];
        const holds = new Map<number, 'read' | 'write'>();
        const grant = (): void => {
          for (let head = queue[0]; head !== undefined; head = queue[0]) {
            if ([...holds.values()].includes('write') || (head.write && holds.size > 0)) return;
            queue.shift();
            holds.set(head.id, head.write ? 'write' : 'read');
          }
        };
        const request = (id: number, write: boolean): void => {
          queue.push({ id, write });
          grant();
        };
        const release = (id: number): void => {
          holds.delete(id);
          grant();
        };
        const coroutines = all.map((steps, id) =>
          start(function* () {
            for (const step of steps) {
              if (step === 'pause' || step === 'lock') {
                yield* coPause();
                continue;
              }
              const write = step === 'write' || step === 'downgrade';
              request(id, write);
              yield* write ? lock.coWrlock() : lock.coRdlock();
              expect(holds.get(id)).toBe(write ? 'write' : 'read');
              yield* coPause();
              if (step === 'downgrade') {
                holds.set(id, 'read');
                lock.downgrade();
                grant();
                yield* coPause();
              } else if (step === 'upgrade') {
                holds.delete(id);
                request(id, true);
                yield* lock.coUpgrade();
                expect(holds.get(id)).toBe('write');
                yield* coPause();
              }
              release(id);
              lock.unlock();
            }
          }),
        );
        pollAll();
        expect(coroutines.every((coroutine) => coroutine.state === 'terminated')).toBe(true);
        expect([holds.size, queue.length]).toEqual([0, 0]);
      }),
      { seed: 8, numRuns: 400 },
    );
  });
});
