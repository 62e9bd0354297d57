/** What an open image keeps in memory: one budget each for all of its extents, however many a descriptor names. */
import { TableCache } from './grain-table.ts';
import { DIRECTORY_CACHE_BYTES, GRAIN_CACHE_BYTES } from './limits.ts';

/** The value that was not used for the longest time goes first; the newest stays, whatever its size. */
export class BoundedCache<K, V> {
  readonly #budget: number;
  readonly #entries = new Map<K, { readonly value: V; readonly bytes: number }>();
  #bytes = 0;

  constructor(budget: number) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: K, value: V, bytes: number): void {
    this.delete(key);
    this.#entries.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#budget || oldest === key) return;
      this.delete(oldest);
    }
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}

export class Caches {
  readonly tables = new TableCache();
  /** Pieces of directories, by directory and number. */
  readonly directories = new BoundedCache<string, Float64Array>(DIRECTORY_CACHE_BYTES);
  /** Grains that were decompressed, by extent and place. */
  readonly grains = new BoundedCache<string, Promise<Uint8Array>>(GRAIN_CACHE_BYTES);
}
