import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { lowerEngineThreads } from './engine-threads.ts';

/** Nice values of this process's threads: the first, and the others. */
function niceValues(): { first: number; others: number[] } {
  const nice = (id: string): number => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'latin1');
    // field 19; the second is a name in parentheses
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  };
  const ids = readdirSync('/proc/self/task');
  const own = String(process.pid);
  return { first: nice(own), others: ids.filter((id) => id !== own).map(nice) };
}

it.runIf(process.platform === 'linux')('puts all threads that there are below the first', () => {
  const before = niceValues();
  lowerEngineThreads();
  const { first, others } = niceValues();
  expect(first).toBe(before.first);
  expect(others.length).toBeGreaterThan(0);
  expect(others.filter((nice) => nice <= first)).toEqual([]);
});
