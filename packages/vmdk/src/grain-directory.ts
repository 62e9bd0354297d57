/** Reads entries of a grain directory in pieces, so that a large one costs nothing at open. */
import type { IoOptions, Storage } from '@emkit/storage';
import type { GrainLayout } from './grain-layout.ts';

const CHUNK_ENTRIES = 8192;
const MAX_CHUNKS = 16;

export class GrainDirectory {
  readonly #file: Storage;
  readonly #layout: GrainLayout;
  readonly #offset: number;
  readonly #chunks = new Map<number, Float64Array>();

  constructor(file: Storage, layout: GrainLayout, offset: number) {
    this.#file = file;
    this.#layout = layout;
    this.#offset = offset;
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
    const chunk = this.#chunks.get(Math.floor(index / CHUNK_ENTRIES));
    if (chunk !== undefined) chunk[index % CHUNK_ENTRIES] = offset;
  }

  async #chunk(index: number, options?: IoOptions): Promise<Float64Array> {
    const number = Math.floor(index / CHUNK_ENTRIES);
    const known = this.#chunks.get(number);
    if (known !== undefined) return known;
    const { entryBytes, directoryEntries } = this.#layout;
    const first = number * CHUNK_ENTRIES;
    const count = Math.min(CHUNK_ENTRIES, directoryEntries - first);
    const bytes = new Uint8Array(count * entryBytes);
    await this.#file.read(this.#offset + first * entryBytes, bytes, options);
    const view = new DataView(bytes.buffer);
    const entries = new Float64Array(count);
    for (let i = 0; i < count; i++) entries[i] = this.#layout.directoryEntry(view, i * entryBytes, first + i);
    // somebody else may have been faster, and may have changed an entry since
    const raced = this.#chunks.get(number);
    if (raced !== undefined) return raced;
    if (this.#chunks.size >= MAX_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value as number);
    this.#chunks.set(number, entries);
    return entries;
  }
}
