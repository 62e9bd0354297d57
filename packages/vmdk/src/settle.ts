/** Parts of one request that run side by side. Nothing of it runs any more when the whole is settled: the caller's buffer is his again. */
import { MAX_PARALLEL_RUNS } from './limits.ts';

export class Parts {
  readonly #running: Promise<unknown>[] = [];
  #error: unknown;
  #hasFailed = false;

  /** True: call `settle` before the next part. */
  get isFull(): boolean {
    return this.#running.length >= MAX_PARALLEL_RUNS;
  }

  add(part: Promise<unknown>): void {
    this.#running.push(
      part.catch((error: unknown) => {
        if (!this.#hasFailed) this.#error = error;
        this.#hasFailed = true;
      }),
    );
  }

  /** Waits for all parts, then throws the first error of any. */
  async settle(): Promise<void> {
    const running = this.#running.splice(0);
    await Promise.all(running);
    if (this.#hasFailed) throw this.#error;
  }
}
