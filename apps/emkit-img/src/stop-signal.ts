/** Ctrl-C as a signal to all that is under way. Not the platform's AbortController: Node loads that when it is asked for, a millisecond of each start. */
import type { AbortSignal } from '@emkit/storage';

export class StopSignal implements AbortSignal {
  aborted = false;
  reason: unknown;
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  /** The first time only. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = new Error('interrupted');
    for (const listener of [...this.#listeners]) listener();
  }
}
