import { describe, expect, it } from 'vitest';
import { AioContext } from './index.ts';

/** A browser page cannot block its thread: there the same call is refused. */
describe('a host that can block its thread', () => {
  it('blocks a nested poll until its timer', () => {
    const context = new AioContext();
    let fired = false;
    context.timer('realtime', () => (fired = true)).mod(context.now('realtime') + 3_000_000);
    context.pollWhile(() => !fired);
    expect(context.now('realtime')).toBeGreaterThanOrEqual(3_000_000);
  });
});
