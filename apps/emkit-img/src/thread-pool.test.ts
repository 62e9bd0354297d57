import { afterEach, expect, it, vi } from 'vitest';
import { sizeThreadPool } from './thread-pool.ts';

afterEach(() => vi.unstubAllEnvs());

it('the pool has a thread a core, at least two and at most eight', () => {
  vi.stubEnv('UV_THREADPOOL_SIZE', undefined);
  sizeThreadPool();
  const threads = Number(process.env['UV_THREADPOOL_SIZE']);
  expect([threads >= 2, threads <= 8]).toEqual([true, true]);
});

it('what the user has said stays', () => {
  vi.stubEnv('UV_THREADPOOL_SIZE', '17');
  sizeThreadPool();
  expect(process.env['UV_THREADPOOL_SIZE']).toBe('17');
});

it('a pool that only writes has one thread', () => {
  vi.stubEnv('UV_THREADPOOL_SIZE', undefined);
  sizeThreadPool({ isWriter: true });
  expect(process.env['UV_THREADPOOL_SIZE']).toBe('1');
});
