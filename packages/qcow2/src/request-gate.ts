/**
 * Who is in the image at this moment. Two questions hang on it: when may a cluster that was freed be used again (not before every request
 * that could still have its offset in hand has left), and when is nobody in (for snapshots, resize, close).
 */

/** Requests that entered between two frees. */
export interface Generation {
  count: number;
  /** To be run when this generation and all older ones have left. */
  readonly after: (() => void)[];
}

export class RequestGate {
  #generations: Generation[] = [{ count: 0, after: [] }];
  #closed: Promise<void> | undefined;
  #open: (() => void) | undefined;
  #whenEmpty: (() => void) | undefined;
  #inside = 0;

  /** A promise while somebody wants to be alone: await it and look again. Hot path. */
  get closed(): Promise<void> | undefined {
    return this.#closed;
  }

  /** Hot path. */
  enter(): Generation {
    this.#inside++;
    const current = this.#generations[this.#generations.length - 1] as Generation;
    current.count++;
    return current;
  }

  /** Hot path. */
  leave(generation: Generation): void {
    this.#inside--;
    if (--generation.count === 0 && this.#generations.length > 1) this.#drain();
    if (this.#inside === 0 && this.#whenEmpty !== undefined) this.#whenEmpty();
  }

  /** Runs `body` when every request that is inside now has left; at once if none is. */
  whenPassed(body: () => void): void {
    (this.#generations[this.#generations.length - 1] as Generation).after.push(body);
    this.#generations.push({ count: 0, after: [] });
    this.#drain();
  }

  /** Lets nobody in, waits until all have left, and runs `body` alone. */
  async alone<T>(body: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    this.#closed = new Promise((resolve) => (this.#open = resolve));
    try {
      if (this.#inside > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
      this.#whenEmpty = undefined;
      return await body();
    } finally {
      this.#closed = undefined;
      this.#whenEmpty = undefined;
      this.#open?.();
    }
  }

  #drain(): void {
    while (this.#generations.length > 1 && (this.#generations[0] as Generation).count === 0) {
      const passed = this.#generations.shift() as Generation;
      for (const body of passed.after) body();
    }
  }
}
