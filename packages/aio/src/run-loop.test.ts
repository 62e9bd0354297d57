import { describe, expect, it } from 'vitest';
import { AioContext, AioError, ManualHost, createDefaultHost, runLoop } from './index.ts';
import type { AioHost } from './index.ts';

/** A host whose time jumps to whatever is waited for: whole runs in no time, and counts of how it slept. */
class JumpingHost extends ManualHost {
  sleeps = 0;
  blocks = 0;
  turns = 0;
  override block(ns: number): void {
    this.blocks++;
    super.block(ns);
  }
  override schedule(delayNs: number, callback: () => void): () => void {
    let live = true;
    if (delayNs > 0) this.sleeps++;
    else this.turns++;
    void Promise.resolve().then(() => {
      if (!live) return;
      if (Number.isFinite(delayNs)) this.advance(Math.ceil(delayNs));
      callback();
    });
    return () => {
      live = false;
    };
  }
}

/** A page: nothing can block. */
class PageHost extends JumpingHost {
  override block(): void {
    this.blocks++;
    throw new AioError('cannot-block', 'a page');
  }
}

/** A halted vCPU that 50 ticks of a timer wake. */
async function fiftyTicks(host: JumpingHost, periodNs: number): Promise<{ slices: number; perTick: number }> {
  const context = new AioContext({ host });
  let ticks = 0;
  let slices = 0;
  const tick = context.timer('virtual', () => tick.mod(++ticks * periodNs + periodNs));
  tick.mod(periodNs);
  await runLoop(context, {
    runSlice: () => {
      slices++;
      return ticks >= 50 ? 'stop' : 'halted';
    },
  });
  expect(host.monotonicNs()).toBe(50 * periodNs);
  return { slices, perTick: (slices - 1) / 50 };
}

describe('runLoop', () => {
  it('sleeps while the vCPU is halted, from tick to tick, with one slice for each', async () => {
    const host = new JumpingHost();
    expect((await fiftyTicks(host, 10_000_000)).perTick).toBe(1);
    expect([host.sleeps, host.blocks]).toEqual([50, 0]);
  });

  it('blocks the thread for sleeps up to a millisecond, with turns for the host as often as beside a busy vCPU', async () => {
    const host = new JumpingHost();
    expect((await fiftyTicks(host, 1_000_000)).perTick).toBe(1);
    expect([host.sleeps, host.blocks, host.turns]).toEqual([0, 50, 12]);
  });

  it('sleeps where the thread cannot be blocked, and tries that once', async () => {
    const host = new PageHost();
    await fiftyTicks(host, 1_000_000);
    expect([host.sleeps, host.blocks]).toEqual([50, 1]);
  });

  it('gives the host its turn while the vCPU is busy', async () => {
    const host = new JumpingHost();
    const context = new AioContext({ host });
    let slices = 0;
    await runLoop(context, {
      hostTurnNs: 4_000_000,
      runSlice: () => {
        host.advance(1_000_000);
        return ++slices > 40 ? 'stop' : 'ran';
      },
    });
    expect(host.turns).toBe(10);
  });

  it('with idle: warp, runs a counted clock from deadline to deadline without sleeping, repeatably', async () => {
    const run = async (): Promise<string> => {
      const host = new JumpingHost();
      const context = new AioContext({ host });
      let instructions = 0;
      context.clocks.virtual.setSource(() => instructions * 8);
      const log: number[] = [];
      let due = 0;
      const tick = context.timer('virtual', () => {
        log.push(context.now('virtual'));
        tick.mod((due += 1_000_003));
      });
      tick.mod(5);
      await runLoop(context, {
        idle: 'warp',
        runSlice: () => {
          if (log.length >= 100) return 'stop';
          instructions += 7;
          return 'halted';
        },
      });
      expect(host.sleeps).toBe(0);
      return log.join();
    };
    const first = await run();
    expect(first.split(',').length).toBe(100);
    expect(await run()).toBe(first);
  });

  it('with idle: sleep, lets a counted clock pass in real time', async () => {
    const host = new JumpingHost();
    const context = new AioContext({ host });
    context.clocks.virtual.setSource(() => 0);
    let fired = false;
    context.timer('virtual', () => (fired = true)).mod(30_000_000);
    await runLoop(context, { runSlice: () => (fired ? 'stop' : 'halted') });
    expect([host.monotonicNs(), context.now('virtual'), host.sleeps]).toEqual([30_000_000, 30_000_000, 1]);
  });

  it('on the real host, a 1 kHz timer keeps its average rate without spinning', async () => {
    const host: AioHost = createDefaultHost();
    const context = new AioContext({ host });
    let ticks = 0;
    let slices = 0;
    const tick = context.timer('virtual', () => tick.mod(1_000_000 * (++ticks + 1)));
    tick.mod(1_000_000);
    await runLoop(context, {
      runSlice: () => {
        slices++;
        return context.now('virtual') >= 300_000_000 ? 'stop' : 'halted';
      },
    });
    // Every tick whose time had come when the loop last polled has fired; a loaded machine delays the last ones only.
    expect(ticks).toBeGreaterThanOrEqual(Math.floor(300 * 0.9));
    expect(ticks).toBeLessThanOrEqual(Math.floor(context.now('virtual') / 1_000_000));
    expect(slices).toBeLessThan(2000);
  });

  it('rejects with the exception of a slice', async () => {
    const context = new AioContext({ host: new JumpingHost() });
    await expect(
      runLoop(context, {
        runSlice: () => {
          throw new Error('bug');
        },
      }),
    ).rejects.toThrow('bug');
  });
});
