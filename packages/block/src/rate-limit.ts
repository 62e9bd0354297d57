/** Bytes a second for a copy or a job: each piece is let go when the ones before have had their time. */
import type { AbortSignal } from '@emkit/storage';
import type { BlockClock } from './environment.ts';

const SECOND = 1e9;
/** How far behind a limit the work may fall and catch up, seconds. */
const SLACK = 0.1;

export class RateLimit {
  readonly #clock: BlockClock | undefined;
  #speed: number;
  #due = 0;

  /** Without a clock there is no limit. */
  constructor(speed: number, clock: BlockClock | undefined) {
    this.#speed = speed;
    this.#clock = clock;
    this.#due = clock?.now() ?? 0;
  }

  get speed(): number {
    return this.#speed;
  }
  set speed(bytesPerSecond: number) {
    this.#speed = bytesPerSecond;
    this.#due = this.#clock?.now() ?? 0;
  }

  /** Waits for the turn of `bytes`; undefined: now. */
  wait(bytes: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    const clock = this.#clock;
    if (clock === undefined || this.#speed <= 0) return undefined;
    const now = clock.now();
    const start = Math.max(this.#due, now - SLACK * SECOND);
    this.#due = start + (bytes / this.#speed) * SECOND;
    return start > now ? clock.sleep(start - now, signal) : undefined;
  }
}
