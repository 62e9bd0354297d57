/** Reads entries of a grain directory in pieces, so that a large one costs nothing at open. */
import type { IoOptions, Storage } from '@emkit/storage';
import type { BoundedCache } from './caches.ts';
import type { GrainLayout } from './grain-layout.ts';

const CHUNK_ENTRIES = 8192;

export class GrainDirectory {
  readonly #file: Storage;
  readonly #layout: GrainLayout;
  readonly #offset: number;
  readonly #cache: BoundedCache<string, Float64Array>;
  readonly #name: string;
  /** Entries that were written: what was being read meanwhile is read again. */
  #changes = 0;

  /** `name`: unique in the cache. */
  constructor(
    file: Storage,
    layout: GrainLayout,
    offset: number,
    cache: BoundedCache<string, Float64Array>,
    name: string,
  ) {
    this.#file = file;
    this.#layout = layout;
    this.#offset = offset;
    this.#cache = cache;
    this.#name = name;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Byte offset of a grain table, 0: none. A directory past the end of the file is empty. */
  async get(index: number, options?: IoOptions): Promise<number> {
    return (await this.#chunk(index, options))[index % CHUNK_ENTRIES] as number;
  }

  /** The first entry at or after `index` that is not 0, or one at which to ask again; at most `end`. */
  async next(index: number, end: number, options?: IoOptions): Promise<number> {
    if (this.#offset + index * this.#layout.entryBytes >= this.#file.size) return end;
    const chunk = await this.#chunk(index, options);
    const stop = Math.min(end, index - (index % CHUNK_ENTRIES) + chunk.length);
    for (let at = index; at < stop; at++) if (chunk[at % CHUNK_ENTRIES] !== 0) return at;
    return stop;
  }

  /** After the entry was written to the file. */
  set(index: number, offset: number): void {
    this.#changes++;
    const chunk = this.#cache.get(`${this.#name}:${Math.floor(index / CHUNK_ENTRIES)}`);
    if (chunk !== undefined) chunk[index % CHUNK_ENTRIES] = offset;
  }

  async #chunk(index: number, options?: IoOptions): Promise<Float64Array> {
    const number = Math.floor(index / CHUNK_ENTRIES);
    const key = `${this.#name}:${number}`;
    const { entryBytes, directoryEntries } = this.#layout;
    const first = number * CHUNK_ENTRIES;
    const count = Math.min(CHUNK_ENTRIES, directoryEntries - first);
    for (;;) {
      const known = this.#cache.get(key);
      if (known !== undefined) return known;
      const changes = this.#changes;
      const bytes = new Uint8Array(count * entryBytes);
      await this.#file.read(this.#offset + first * entryBytes, bytes, options);
      if (this.#changes !== changes) continue;
      const view = new DataView(bytes.buffer);
      const entries = new Float64Array(count);
      for (let i = 0; i < count; i++) entries[i] = this.#layout.directoryEntry(view, i * entryBytes, first + i);
      this.#cache.set(key, entries, entries.byteLength);
      return entries;
    }
  }
}
