/** One at a time in every place of a disk: bodies whose ranges overlap run one after the other, in the order in which they came. */

interface Holder {
  readonly start: number;
  readonly end: number;
  readonly done: Promise<void>;
}

export class RangeLock {
  readonly #holders = new Set<Holder>();

  async run<T>(offset: number, length: number, body: () => Promise<T>): Promise<T> {
    const end = offset + length;
    const before = [...this.#holders].filter((other) => other.start < end && offset < other.end);
    let release!: () => void;
    const holder: Holder = { start: offset, end, done: new Promise((resolve) => (release = resolve)) };
    // entered before waiting, so that who comes later waits for us
    this.#holders.add(holder);
    try {
      for (const other of before) await other.done;
      return await body();
    } finally {
      this.#holders.delete(holder);
      release();
    }
  }
}
