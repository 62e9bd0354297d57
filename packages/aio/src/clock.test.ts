import { describe, expect, it } from 'vitest';
import { AioError, ClockSet, ManualHost } from './index.ts';

describe('clocks', () => {
  it('begin at zero and run with the host', () => {
    const host = new ManualHost(1_700_000_000_000);
    host.advance(5_000_000);
    const clocks = new ClockSet(host);
    expect([clocks.realtime.now(), clocks.host.now(), clocks.virtual.now(), clocks.virtualRt.now()]).toEqual([
      0, 0, 0, 0,
    ]);
    host.advance(3_000_000);
    expect([clocks.realtime.now(), clocks.host.now(), clocks.virtual.now(), clocks.virtualRt.now()]).toEqual([
      3_000_000, 3_000_000, 3_000_000, 3_000_000,
    ]);
    expect(clocks.host.epochMs).toBe(1_700_000_000_005);
  });

  it('stop and start the virtual clocks without losing or gaining time', () => {
    const host = new ManualHost();
    const clocks = new ClockSet(host, { started: false });
    host.advance(100);
    expect(clocks.virtual.now()).toBe(0);
    clocks.start();
    clocks.start();
    host.advance(100);
    clocks.stop();
    clocks.stop();
    host.advance(100);
    expect([clocks.virtual.now(), clocks.virtualRt.now(), clocks.realtime.now()]).toEqual([100, 100, 300]);
    clocks.start();
    host.advance(1);
    expect(clocks.virtual.now()).toBe(101);
  });

  it('follow an injected source without a jump, and warp', () => {
    const host = new ManualHost();
    const { virtual, virtualRt } = new ClockSet(host);
    let instructions = 1000;
    host.advance(50);
    virtual.setSource(() => instructions << 3);
    expect(virtual.realTime).toBe(false);
    host.advance(50);
    expect(virtual.now()).toBe(50);
    instructions += 10;
    expect(virtual.now()).toBe(130);
    virtual.warp(1000);
    expect(virtual.now()).toBe(1130);
    expect(virtualRt.now()).toBe(100);
    virtual.stop();
    instructions += 10;
    expect(virtual.now()).toBe(1130);
    virtual.setSource();
    virtual.start();
    host.advance(7);
    expect(virtual.now()).toBe(1137);
    virtual.set(5);
    expect(virtual.now()).toBe(5);
  });

  it('refuse what is no time', () => {
    const { virtual } = new ClockSet(new ManualHost());
    for (const ns of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      expect(() => virtual.warp(ns)).toThrow(AioError);
      expect(() => virtual.set(ns)).toThrow(AioError);
    }
  });
});
