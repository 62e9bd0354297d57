/** The tables of one extent: found through its directory, read, decoded and cached. What is absent reads as a table without grains. */
import type { Storage } from '@emkit/storage';
import { GrainDirectory } from './grain-directory.ts';
import type { GrainLayout } from './grain-layout.ts';
import { GrainTable, type TableCache } from './grain-table.ts';
import type { Caches } from './caches.ts';

/** Keys of an extent's tables in the shared cache: above any number of tables. */
const KEYS_PER_EXTENT = 2 ** 26;

export class GrainTables {
  readonly directory: GrainDirectory;
  readonly redundant: GrainDirectory | undefined;
  readonly #file: Storage;
  readonly #layout: GrainLayout;
  readonly #cache: TableCache;
  readonly #firstKey: number;
  readonly #loading = new Map<number, Promise<GrainTable>>();

  constructor(file: Storage, layout: GrainLayout, caches: Caches, extent: number, isWritable: boolean) {
    this.#file = file;
    this.#layout = layout;
    this.#cache = caches.tables;
    this.#firstKey = extent * KEYS_PER_EXTENT;
    this.directory = this.#open(layout.directoryOffset, caches, `${extent}`);
    // only a writer needs to know where the copies are
    this.redundant =
      isWritable && layout.redundantOffset !== 0 ? this.#open(layout.redundantOffset, caches, `${extent}r`) : undefined;
  }

  #open(offset: number, caches: Caches, name: string): GrainDirectory {
    return new GrainDirectory(this.#file, this.#layout, offset, caches.directories, name);
  }

  get tableBytes(): number {
    return this.#layout.tableEntries * this.#layout.entryBytes;
  }

  /** Hot path. */
  cached(index: number): GrainTable | undefined {
    return this.#cache.get(this.#firstKey + index);
  }

  /** `index` must be within the directory. */
  get(index: number): Promise<GrainTable> {
    const cached = this.cached(index);
    if (cached !== undefined) return Promise.resolve(cached);
    let loading = this.#loading.get(index);
    if (loading === undefined) {
      // not with the signal of the one who came first: others wait for it too
      loading = this.#load(index).finally(() => this.#loading.delete(index));
      this.#loading.set(index, loading);
    }
    return loading;
  }

  async #load(index: number): Promise<GrainTable> {
    const primary = await this.directory.get(index);
    const redundant = this.redundant === undefined ? 0 : await this.redundant.get(index);
    const table = new GrainTable(index, this.#layout.tableEntries, primary, redundant);
    if (primary !== 0 && primary < this.#file.size) {
      const bytes = new Uint8Array(this.tableBytes);
      await this.#file.read(primary, bytes);
      this.#layout.decodeTable(new DataView(bytes.buffer), table.offsets);
    }
    this.#cache.add(this.#firstKey + index, table);
    return table;
  }
}
