/**
 * Puts changed grain tables on disk, both copies, in the order that `SparseWriter` promises; makes tables that the directory does not have
 * yet; and keeps the unclean-shutdown mark of the header (Virtual Disk Format 5.0 "Hosted Sparse Extents": set while open for writing).
 */
import { AsyncMutex, BlockError, type IoOptions, type WritableStorage } from '@emkit/storage';
import { SECTOR, ZEROED, type GrainLayout } from './grain-layout.ts';
import { settled, type GrainTable } from './grain-table.ts';
import type { GrainTables } from './grain-tables.ts';
import { Header } from './sparse-header.ts';

/** Table entries are sectors of 32 bits. */
const MAX_FILE_BYTES = 2 ** 32 * SECTOR;

interface Snapshot {
  readonly table: GrainTable;
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

export class TableWriter {
  readonly #file: WritableStorage;
  readonly #layout: GrainLayout;
  readonly #tables: GrainTables;
  readonly #dirty = new Set<GrainTable>();
  readonly #mutex = new AsyncMutex();
  /** Where the next grain goes: the end of the file, and of what is being written. */
  #end: number;
  /** Undefined: the header has not been marked. */
  #marking: Promise<void> | undefined;
  #isMarked = false;
  #wasUnclean = 0;

  constructor(file: WritableStorage, layout: GrainLayout, tables: GrainTables) {
    this.#file = file;
    this.#layout = layout;
    this.#tables = tables;
    const unit = layout.compressed ? SECTOR : layout.grainBytes;
    // grains that do not stand at multiples of their size may end past the file's end: leave room for the last
    const margin = layout.compressed || layout.dataStart % unit === 0 ? 0 : unit;
    this.#end = Math.ceil((Math.max(file.size, layout.dataStart) + margin) / unit) * unit;
  }

  get isPrepared(): boolean {
    return this.#isMarked;
  }

  /** Tables that wait. */
  get waiting(): number {
    return this.#dirty.size;
  }

  add(table: GrainTable): void {
    this.#dirty.add(table);
  }

  /** Throws if the table, or for a new one the directory, is not where one can be. Hot path. */
  checkTable(table: GrainTable): void {
    if (table.isNew || (table.primary === 0 && table.isDirty)) return;
    const { directory, redundant } = this.#tables;
    if (table.primary === 0) {
      const size = this.#layout.directoryEntries * this.#layout.entryBytes;
      if (this.#isWithin(directory.offset, size) && (redundant === undefined || this.#isWithin(redundant.offset, size)))
        return;
    } else {
      const size = this.#tables.tableBytes;
      if (this.#isWithin(table.primary, size) && (redundant === undefined || this.#isWithin(table.redundant, size)))
        return;
    }
    throw new BlockError('corrupt-image', `grain table ${table.index} is outside of the file`, {
      offset: directory.offset + table.index * this.#layout.entryBytes,
      field: 'grain directory',
    });
  }

  /** Throws if a grain, which a table has put there, is in the metadata or past the end. Hot path. */
  checkGrain(offset: number): void {
    if (offset >= this.#layout.dataStart && offset + this.#layout.grainBytes <= this.#end) return;
    throw new BlockError('corrupt-image', `a grain at byte ${offset} is outside of the grains of the file`, {
      offset,
      field: 'grain table',
    });
  }

  #isWithin(offset: number, size: number): boolean {
    return offset >= SECTOR && offset + size <= this.#end;
  }

  /** Before the first change of the file; undefined when it has been done. */
  prepare(): Promise<void> | undefined {
    if (this.#isMarked) return undefined;
    return (this.#marking ??= this.#mark(1).then(
      () => void (this.#isMarked = true),
      (error: unknown) => {
        this.#marking = undefined;
        throw error;
      },
    ));
  }

  /** Clears the mark, unless it was there before: then somebody else's crash is still to be looked at. */
  async finish(): Promise<void> {
    if (!this.#isMarked) return;
    await this.#mark(this.#wasUnclean);
    await this.#file.flush();
    this.#isMarked = false;
    this.#marking = undefined;
  }

  async #mark(value: number): Promise<void> {
    const sector = new Uint8Array(SECTOR);
    await this.#file.read(0, sector);
    if (!this.#isMarked) this.#wasUnclean = sector[Header.uncleanShutdown] as number;
    sector[Header.uncleanShutdown] = value;
    await this.#file.write(0, sector);
  }

  /** All entries whose grains had been written before the call. Resolves when they are written, not flushed. */
  async write(options?: IoOptions): Promise<void> {
    if (this.#dirty.size === 0 && !this.#mutex.isLocked) return;
    await this.#mutex.run(() => this.#writeBack(options));
  }

  async #writeBack(options?: IoOptions): Promise<void> {
    if (this.#dirty.size === 0) return;
    const snapshots: Snapshot[] = [];
    try {
      for (const table of this.#dirty) {
        snapshots.push(this.#snapshot(table));
        // stays until its bytes are on disk: a reader that loaded it now would get the old ones
        table.pins++;
      }
      this.#dirty.clear();
      await this.#file.flush(options);
      for (const { table, bytes, from } of snapshots) {
        const at = from * this.#layout.entryBytes;
        await this.#file.write(table.primary + at, bytes, options);
        if (table.redundant !== 0) await this.#file.write(table.redundant + at, bytes, options);
      }
      await this.#enterNew(snapshots, options);
    } catch (error) {
      // nothing is lost yet: the next flush tries again
      for (const { table, from, to } of snapshots) {
        table.markDirty(from, to);
        this.#dirty.add(table);
      }
      throw error;
    } finally {
      for (const { table } of snapshots) table.pins--;
    }
  }

  #snapshot(table: GrainTable): Snapshot {
    if (table.primary === 0) this.#place(table);
    const from = table.isNew ? 0 : table.dirtyFrom;
    const to = table.isNew ? table.offsets.length : table.dirtyTo;
    const bytes = new Uint8Array((to - from) * this.#layout.entryBytes);
    const view = new DataView(bytes.buffer);
    for (let i = from; i < to; i++) {
      const offset = settled(table.offsets[i] as number);
      view.setUint32((i - from) * 4, offset === ZEROED ? ZEROED : offset / SECTOR, true);
    }
    table.dirtyFrom = Infinity;
    table.dirtyTo = 0;
    return { table, from, to, bytes };
  }

  /** A place for a table that the directory does not have, and for its copy. */
  #place(table: GrainTable): void {
    const size = Math.ceil(this.#tables.tableBytes / SECTOR) * SECTOR;
    const copies = this.#tables.redundant === undefined ? 1 : 2;
    const unit = this.#layout.compressed ? SECTOR : this.#layout.grainBytes;
    table.primary = this.reserve(Math.ceil((copies * size) / unit) * unit);
    table.redundant = copies === 2 ? table.primary + size : 0;
    table.isNew = true;
  }

  /** Names the new tables in the directory, once they are there for certain. */
  async #enterNew(snapshots: readonly Snapshot[], options?: IoOptions): Promise<void> {
    const fresh = snapshots.filter(({ table }) => table.isNew);
    if (fresh.length === 0) return;
    await this.#file.flush(options);
    const { directory, redundant } = this.#tables;
    for (const { table } of fresh) {
      const at = table.index * this.#layout.entryBytes;
      await this.#file.write(directory.offset + at, entry(table.primary), options);
      if (redundant !== undefined) await this.#file.write(redundant.offset + at, entry(table.redundant), options);
      directory.set(table.index, table.primary);
      redundant?.set(table.index, table.redundant);
      table.isNew = false;
    }
  }

  /** Bytes at the end of the file. */
  reserve(bytes: number): number {
    const offset = this.#end;
    if (offset + bytes > MAX_FILE_BYTES)
      throw new BlockError('no-space', 'the extent file would grow beyond 2 TiB, which its tables cannot address');
    this.#end = offset + bytes;
    return offset;
  }
}

function entry(offset: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, offset / SECTOR, true);
  return bytes;
}
