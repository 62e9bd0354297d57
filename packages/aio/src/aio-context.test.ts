import { describe, expect, it } from 'vitest';
import { AIO_READABLE, AIO_WRITABLE, AioContext, AioError, ClockSet, EventNotifier, ManualHost } from './index.ts';
import type { AioHandle, AioHost } from './index.ts';
import { HOST_CLOCK_RECHECK_NS, IDLE_PERIOD_NS } from './limits.ts';

function setup() {
  const host = new ManualHost();
  return { host, context: new AioContext({ host }) };
}

class FakeHandle implements AioHandle {
  ready = 0;
  wake: (() => void) | undefined;
  readiness(): number {
    return this.ready;
  }
  subscribe(wake: () => void): () => void {
    this.wake = wake;
    return () => {
      this.wake = undefined;
    };
  }
}

/** Lets promise callbacks run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

describe('bottom halves', () => {
  it('run once per scheduling, in order, in the next poll', () => {
    const { context } = setup();
    const log: string[] = [];
    const a = context.bottomHalf(() => log.push('a'));
    const b = context.bottomHalf(() => log.push('b'));
    b.schedule();
    a.schedule();
    b.schedule();
    expect(log).toEqual([]);
    expect(context.poll()).toBe(true);
    expect(log).toEqual(['b', 'a']);
    expect(context.poll()).toBe(false);
    context.scheduleOnce(() => log.push('once'));
    context.poll();
    context.poll();
    expect(log).toEqual(['b', 'a', 'once']);
  });

  it('scheduled while running, run in the next poll', () => {
    const { context } = setup();
    let runs = 0;
    const again = context.bottomHalf(() => {
      runs++;
      again.schedule();
    });
    again.schedule();
    context.poll();
    expect([runs, again.scheduled]).toEqual([1, true]);
    context.poll();
    expect(runs).toBe(2);
  });

  it('may be cancelled and deleted from callbacks, their own too', () => {
    const { context } = setup();
    const log: string[] = [];
    const first = context.bottomHalf(() => {
      log.push('first');
      second.delete();
      third.cancel();
      first.delete();
    });
    const second = context.bottomHalf(() => log.push('second'));
    const third = context.bottomHalf(() => log.push('third'));
    for (const bh of [first, second, third]) bh.schedule();
    context.poll();
    third.schedule();
    context.poll();
    expect(log).toEqual(['first', 'third']);
    expect(() => second.schedule()).toThrow(AioError);
  });

  it('a nested poll takes over what the outer one has left, and each runs once', () => {
    const { context } = setup();
    const log: string[] = [];
    context.scheduleOnce(() => {
      log.push('outer');
      context.scheduleOnce(() => log.push('new'));
      context.poll();
      log.push('outer done');
    });
    context.scheduleOnce(() => log.push('second'));
    context.poll();
    expect(log).toEqual(['outer', 'second', 'new', 'outer done']);
    expect(context.poll()).toBe(false);
  });

  it('idle ones run but are no progress and hasten nothing', () => {
    const { context } = setup();
    let runs = 0;
    const idle = context.bottomHalf(() => runs++);
    idle.scheduleIdle();
    expect(context.sleepLimitNs()).toBe(IDLE_PERIOD_NS);
    expect(context.poll()).toBe(false);
    expect(runs).toBe(1);
    idle.scheduleIdle();
    idle.schedule();
    expect(context.sleepLimitNs()).toBe(0);
    expect(context.poll()).toBe(true);
    expect(runs).toBe(2);
    expect(context.sleepLimitNs()).toBe(Infinity);
  });

  it("leave the context usable after a callback's exception", () => {
    const { context } = setup();
    let ran = false;
    context.scheduleOnce(() => {
      throw new Error('bug');
    });
    context.scheduleOnce(() => (ran = true));
    expect(() => context.poll()).toThrow('bug');
    context.poll();
    expect(ran).toBe(true);
  });
});

describe('event sources', () => {
  it('call a notifier handler once however often it was set', () => {
    const { context } = setup();
    const notifier = new EventNotifier();
    notifier.set();
    let calls = 0;
    context.setEventNotifier(notifier, () => calls++);
    notifier.set();
    expect(context.poll()).toBe(true);
    expect(context.poll()).toBe(false);
    expect(calls).toBe(1);
    notifier.set();
    expect(notifier.testAndClear()).toBe(true);
    expect(notifier.testAndClear()).toBe(false);
    context.poll();
    context.setEventNotifier(notifier);
    notifier.set();
    context.poll();
    expect([calls, notifier.test()]).toEqual([1, true]);
  });

  it('call the handlers of the conditions that hold', () => {
    const { context } = setup();
    const handle = new FakeHandle();
    const log: string[] = [];
    context.setHandle(handle, { onReadable: () => log.push('r'), onWritable: () => log.push('w') });
    expect(context.poll()).toBe(false);
    handle.ready = AIO_READABLE | AIO_WRITABLE;
    context.poll();
    handle.ready = AIO_WRITABLE;
    context.poll();
    context.setHandle(handle, { onReadable: () => log.push('R') });
    expect(context.poll()).toBe(false);
    context.setHandle(handle);
    expect(handle.wake).toBe(undefined);
    expect(log).toEqual(['r', 'w', 'w']);
  });

  it('may be added and removed from handlers; removed ones are not called again', () => {
    const { context } = setup();
    const [one, two, three] = [new EventNotifier(), new EventNotifier(), new EventNotifier()];
    const log: string[] = [];
    context.setEventNotifier(one, () => {
      log.push('one');
      context.setEventNotifier(one);
      context.setEventNotifier(two);
      context.setEventNotifier(three, () => log.push('three'));
      context.poll();
    });
    context.setEventNotifier(two, () => log.push('two'));
    for (const notifier of [one, two, three]) notifier.set();
    context.poll();
    context.poll();
    expect(log).toEqual(['one', 'three']);
  });
});

describe('blocking poll', () => {
  it('lets time pass up to the next timer', () => {
    const { host, context } = setup();
    let fired = -1;
    context.timer('realtime', () => (fired = context.now('realtime'))).mod(5_000_000);
    expect(context.poll(true)).toBe(true);
    expect([fired, host.monotonicNs()]).toEqual([5_000_000, 5_000_000]);
  });

  it('polls while a condition holds, nested in a callback', () => {
    const { context } = setup();
    let inFlight = 3;
    const completion = context.timer('realtime', () => {
      if (--inFlight > 0) completion.mod(context.now('realtime') + 10);
    });
    completion.mod(10);
    let drained = false;
    context.scheduleOnce(() => {
      context.pollWhile(() => inFlight > 0);
      drained = true;
    });
    context.poll();
    expect([drained, inFlight, context.now('realtime')]).toEqual([true, 0, 30]);
  });

  it('refuses to wait for what cannot happen', () => {
    const { context } = setup();
    context.clocks.stop();
    context.timer('virtual', () => undefined).mod(5);
    expect(() => context.poll(true)).toThrow(expect.objectContaining({ kind: 'deadlock' }));
    const cannot: AioHost = { monotonicNs: () => 0, wallClockMs: () => 0, schedule: () => () => undefined };
    const other = new AioContext({ host: cannot });
    other.timer('realtime', () => undefined).mod(5);
    expect(() => other.poll(true)).toThrow(expect.objectContaining({ kind: 'cannot-block' }));
  });

  it('returns without progress when notified', () => {
    const { context } = setup();
    context.timer('realtime', () => undefined).mod(1000);
    context.notify();
    expect(context.poll(true)).toBe(false);
    expect(context.now('realtime')).toBe(0);
  });
});

describe('wait', () => {
  async function isOver(promise: Promise<void>): Promise<boolean> {
    let over = false;
    void promise.then(() => (over = true));
    await settle();
    return over;
  }

  it('ends at the first real-time deadline, not before', async () => {
    const { host, context } = setup();
    context.timer('virtual', () => undefined).mod(2_000_000);
    const sleep = context.wait();
    host.advance(1_999_999);
    expect(await isOver(sleep)).toBe(false);
    host.advance(1);
    expect(await isOver(sleep)).toBe(true);
  });

  it('is ended by a bottom half, a notifier, a handle, an earlier timer, notify, a clock that starts', async () => {
    const { context } = setup();
    const notifier = new EventNotifier();
    const handle = new FakeHandle();
    context.setEventNotifier(notifier, () => undefined);
    context.setHandle(handle, { onReadable: () => (handle.ready = 0) });
    context.clocks.stop();
    context.timer('virtual', () => undefined).mod(50);
    const causes = [
      () => context.scheduleOnce(() => undefined),
      () => notifier.set(),
      () => {
        handle.ready = AIO_READABLE;
        handle.wake?.();
      },
      () => context.timer('realtime', () => undefined).mod(7),
      () => context.notify(),
      () => context.clocks.start(),
    ];
    for (const cause of causes) {
      const sleep = context.wait();
      expect(await isOver(sleep)).toBe(false);
      cause();
      expect(await isOver(sleep)).toBe(true);
      context.poll();
    }
  });

  it('does not sleep when something is due already, and only once at a time', async () => {
    const { host, context } = setup();
    context.scheduleOnce(() => undefined);
    expect(await isOver(context.wait())).toBe(true);
    context.poll();
    context.notify();
    expect(await isOver(context.wait())).toBe(true);
    const sleep = context.wait(100);
    await expect(context.wait()).rejects.toMatchObject({ kind: 'already-waiting' });
    host.advance(100);
    expect(await isOver(sleep)).toBe(true);
  });

  it('does not sleep towards deadlines of a counted clock, and looks at the wall clock now and then', () => {
    const { context } = setup();
    context.clocks.virtual.setSource(() => 0);
    context.timer('virtual', () => undefined).mod(50);
    expect(context.sleepLimitNs()).toBe(Infinity);
    context.timer('host', () => undefined).mod(3_600_000_000_000);
    expect(context.sleepLimitNs()).toBe(HOST_CLOCK_RECHECK_NS);
    context.clocks.virtual.warp(50);
    expect(context.sleepLimitNs()).toBe(0);
  });

  it('contexts sharing clocks share time, not timers', () => {
    const host = new ManualHost();
    const clocks = new ClockSet(host);
    const [one, two] = [new AioContext({ host, clocks }), new AioContext({ host, clocks })];
    let fired = 0;
    one.timer('virtual', () => fired++).mod(10);
    host.advance(10);
    expect(two.poll()).toBe(false);
    expect(one.poll()).toBe(true);
    expect([fired, two.now('virtual')]).toEqual([1, 10]);
  });
});
