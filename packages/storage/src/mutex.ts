/** Mutual exclusion between async functions, first come first served. Uncontended, `lock` takes no turn of the event loop. */
export class AsyncMutex {
  #isLocked = false;
  readonly #waiting: (() => void)[] = [];

  get isLocked(): boolean {
    return this.#isLocked;
  }

  /** Await the result if it is a promise; undefined: locked at once. */
  lock(): Promise<void> | undefined {
    if (!this.#isLocked) {
      this.#isLocked = true;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  unlock(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isLocked = false;
    else next();
  }

  async run<T>(body: () => Promise<T>): Promise<T> {
    const wait = this.lock();
    if (wait !== undefined) await wait;
    try {
      return await body();
    } finally {
      this.unlock();
    }
  }
}
