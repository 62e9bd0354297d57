/** The suite passes on the toy format, and is not content with a broken one. */
import { describe, expect, it } from 'vitest';
import { describeBlockDriver } from './suite.ts';
import { toyDriver } from './toy-format.ts';
import type { ToyBug } from './toy-format.ts';

describeBlockDriver({
  test: { describe, it },
  driver: toyDriver(),
  size: 64 * 1024,
  shadowPrograms: 4,
  cuts: 300,
  faults: 60,
});

/** The tests of the suite that fail. */
async function failures(bug: ToyBug): Promise<string[]> {
  const tests: [string, () => Promise<void>][] = [];
  const test = {
    describe: (_name: string, body: () => void) => body(),
    it: (name: string, body: () => Promise<void>) => void tests.push([name, body]),
  };
  describeBlockDriver({ test, driver: toyDriver(bug), size: 24 * 1024, shadowPrograms: 10, cuts: 4000, faults: 60 });
  const failed: string[] = [];
  for (const [name, body] of tests)
    await body().catch(() => {
      failed.push(name);
    });
  return failed;
}

describe('the suite finds', () => {
  for (const [bug, name] of [
    ['missing-flush', /power cut/],
    ['swapped-order', /power cut/],
    ['missing-lock', /64 requests at once/],
    ['status-lies', /status covers/],
    ['forgotten-error', /fault at any call/],
  ] as const)
    it(bug, async () => {
      expect((await failures(bug)).some((failed) => name.test(failed))).toBe(true);
    });
});
