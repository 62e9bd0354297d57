/**
 * The JavaScript engine's own threads (its optimising compiler above all) get a lower priority than the guest's: on a machine of few processors they
 * take its place otherwise, just when much of its code is new. Only Linux can do that thread by thread.
 */
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';

/** A nice value below that of the guest. */
export const BACKGROUND_PRIORITY = 10;
const THREADS = '/proc/self/task';

/** Of all threads that there are now but the first. Where that is not possible, nothing is lost but speed. */
export function lowerEngineThreads(): void {
  if (process.platform !== 'linux') return;
  for (const id of threads()) if (id !== process.pid) lower(id);
}

function threads(): number[] {
  try {
    return readdirSync(THREADS).map(Number);
  } catch {
    return []; // no /proc
  }
}

function lower(id: number): void {
  try {
    setPriority(id, BACKGROUND_PRIORITY);
  } catch {
    // a thread that has just ended, or a sandbox that forbids it
  }
}
