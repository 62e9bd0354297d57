import { expect, it } from 'vitest';
import { BitmapCopy } from './bitmap-copy.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import type { JobRun } from './job-run.ts';

const GRANULE = 512;

it('is not through while a part is still being copied at the request of somebody else', async () => {
  const todo = new DirtyBitmap(4 * GRANULE, GRANULE);
  todo.set(0, todo.size);
  const released: (() => void)[] = [];
  const copied: number[] = [];
  const run = {
    bufferSize: GRANULE,
    parallel: 2,
    point: () => Promise.resolve(),
    report: () => undefined,
    failed: (error: unknown) => Promise.reject(error as Error),
  } as Partial<JobRun> as JobRun;
  const copy = new BitmapCopy(run, todo, {
    size: todo.size,
    look: (_offset, length) => Promise.resolve({ length, kind: 'data' }),
    async data(offset) {
      if (offset === 2 * GRANULE) await new Promise<void>((resolve) => released.push(resolve));
      copied.push(offset / GRANULE);
    },
    zero: () => Promise.resolve(),
  });
  const ensured = copy.ensure(2 * GRANULE, 1);
  let isThrough = false;
  const drained = copy.drain().then(() => (isThrough = true));
  for (let i = 0; i < 100; i++) await Promise.resolve();
  expect([todo.isEmpty, isThrough, copied]).toEqual([true, false, [0, 1, 3]]);
  released[0]?.();
  await Promise.all([ensured, drained]);
  expect(copied).toEqual([0, 1, 3, 2]);
});
