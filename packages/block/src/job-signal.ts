/** The signal by which a job stops its requests: the part of the web's AbortController that is needed. */
import { BlockError, type AbortSignal } from '@emkit/storage';

export class JobSignal implements AbortSignal {
  aborted = false;
  reason: unknown;
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }
  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  abort(reason: unknown = new BlockError('aborted', 'the job was cancelled')): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    for (const listener of [...this.#listeners]) listener();
  }
}
