/**
 * The JavaScript engine's own threads (its optimising compiler above all) get a lower priority than the guest's: on a machine of few processors they
 * take its place otherwise, just when much of its code is new. Only Linux can do that thread by thread.
 */
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';

const PRIORITY = 10;
const THREADS = '/proc/self/task';

/** Of all threads that there are now but the first. Where that is not possible, nothing is lost but speed. */
export function lowerEngineThreads(): void {
  if (process.platform !== 'linux') return;
  try {
    for (const id of readdirSync(THREADS)) if (Number(id) !== process.pid) setPriority(Number(id), PRIORITY);
  } catch {
    // no /proc, a thread that has just ended, or a sandbox that forbids it
  }
}
