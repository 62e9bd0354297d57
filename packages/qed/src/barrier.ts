/** One flush for many: whoever comes while a flush runs shares the next one, which covers what each had written before it came. */
export class Barrier {
  readonly #flush: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  pass(): Promise<void> {
    if (this.#running === undefined) return (this.#running = this.#start());
    // a failed flush fails those who shared it; the next one tries again
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#running = this.#start());
      });
    return this.#next;
  }

  async #start(): Promise<void> {
    try {
      await this.#flush();
    } finally {
      if (this.#next === undefined) this.#running = undefined;
    }
  }
}
