import { expect, it, vi } from 'vitest';
import { StopSignal } from './stop-signal.ts';

it('tells its listeners once, and not those that have left', () => {
  const signal = new StopSignal();
  const [stays, leaves] = [vi.fn(), vi.fn()];
  signal.addEventListener('abort', stays);
  signal.addEventListener('abort', leaves);
  signal.removeEventListener('abort', leaves);
  expect([signal.aborted, signal.reason]).toEqual([false, undefined]);
  signal.abort();
  signal.abort();
  expect([signal.aborted, stays.mock.calls.length, leaves.mock.calls.length]).toEqual([true, 1, 0]);
  expect(signal.reason).toBeInstanceOf(Error);
});
