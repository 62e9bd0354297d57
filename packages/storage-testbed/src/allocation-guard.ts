/**
 * Counts what a parser allocates: while the guard is on, typed arrays and array buffers of this realm are made through it, and one larger than
 * the limit throws. That an image's field drives an allocation is so seen at once and on any machine, without allocating.
 */
const WATCHED = [
  'ArrayBuffer',
  'Uint8Array',
  'Uint16Array',
  'Uint32Array',
  'Int32Array',
  'Float64Array',
  'BigUint64Array',
] as const;

type Constructor = new (...args: unknown[]) => { readonly byteLength: number };

export class AllocationGuard {
  /** Bytes of one allocation. */
  readonly limit: number;
  largest = 0;
  /** Set when the limit was exceeded, also when the error was swallowed. */
  exceeded: string | undefined;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Guards of one realm do not nest. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    const realm = globalThis as unknown as Record<string, Constructor>;
    const originals = WATCHED.map((name) => [name, realm[name] as Constructor] as const);
    for (const [name, original] of originals) realm[name] = this.#watch(name, original);
    try {
      return await body();
    } finally {
      for (const [name, original] of originals) realm[name] = original;
    }
  }

  #watch(name: string, original: Constructor): Constructor {
    const unit = (original as unknown as { readonly BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    return new Proxy(original, {
      construct: (target, args: unknown[], newTarget) => {
        const [first] = args;
        if (typeof first === 'number') this.#count(name, first * unit);
        return Reflect.construct(target, args, newTarget === undefined ? target : newTarget) as object;
      },
    });
  }

  #count(name: string, bytes: number): void {
    if (bytes > this.largest) this.largest = bytes;
    if (bytes <= this.limit) return;
    this.exceeded = `${name} of ${bytes} bytes`;
    throw new Error(`over budget: ${this.exceeded}`);
  }
}
