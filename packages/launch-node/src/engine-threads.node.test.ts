import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect, it } from 'vitest';
import { lowerEngineThreads } from './engine-threads.ts';

const THREADS = '/proc/self/task';

/** Nice values of this process's threads but the first; none where threads have none of their own. */
function niceValues(): number[] {
  if (!existsSync(THREADS)) return [];
  const others = readdirSync(THREADS).filter((id) => Number(id) !== process.pid);
  return others.map((id) => {
    const stat = readFileSync(`${THREADS}/${id}/stat`, 'latin1');
    // field 19; the second is a name in parentheses
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
}

it('puts all threads that there are below the first, which stays where it is', () => {
  const first = getPriority();
  lowerEngineThreads();
  expect(getPriority()).toBe(first);
  const others = niceValues();
  expect(others.length > 0).toBe(process.platform === 'linux');
  expect(others.filter((nice) => nice <= first)).toEqual([]);
});
