/**
 * Writes grains of a hosted sparse extent, plain or compressed.
 *
 * Order on disk: a new grain's data, flush, then the table entry (both copies), flush, then the directory's entry of a new table. Entries
 * wait in memory for the next `flush` or until too many tables wait, so a cut leaves at worst grains that nobody names. New grains are
 * always at the end of the file, where everything reads as zero; what a failed or lost write left is never used again.
 *
 * Between looking at an entry and marking it as pending nothing else runs, so no lock is needed: who meets a pending entry waits for it.
 */
import { BlockError, checkAborted, writable, zeroRange, type IoOptions, type WritableStorage } from '@emkit/storage';
import type { CompressedGrains } from './compressed-grains.ts';
import type { Below } from './extent.ts';
import { SECTOR, UNALLOCATED, ZEROED, type GrainLayout } from './grain-layout.ts';
import { PENDING_UNALLOCATED, PENDING_ZEROED, type GrainTable } from './grain-table.ts';
import type { GrainTables } from './grain-tables.ts';
import { MAX_DIRTY_TABLES } from './limits.ts';
import { Parts } from './settle.ts';
import type { SparseExtentSetup } from './sparse-extent.ts';
import { TableWriter } from './table-writer.ts';

const COPY_CHUNK = 1 << 20;

interface Allocation {
  readonly table: GrainTable;
  readonly first: number;
  readonly count: number;
  /** Who wants to know when it is done. */
  readonly waiting: (() => void)[];
}

export class SparseWriter {
  readonly #file: WritableStorage;
  readonly #layout: GrainLayout;
  readonly #below: Below;
  readonly #start: number;
  readonly #tables: GrainTables;
  readonly #tableWriter: TableWriter;
  readonly #packed: CompressedGrains | undefined;
  readonly #allocations = new Set<Allocation>();
  readonly #coverage: number;

  constructor(setup: SparseExtentSetup, tables: GrainTables, packed: CompressedGrains | undefined) {
    const { layout } = setup;
    this.#file = writable(setup.file);
    this.#layout = layout;
    this.#below = setup.below;
    this.#start = setup.start;
    this.#tables = tables;
    this.#packed = packed;
    this.#coverage = layout.grainBytes * layout.tableEntries;
    this.#tableWriter = new TableWriter(this.#file, layout, tables);
  }

  /** Hot path. */
  write(at: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    const within = at % this.#coverage;
    const table = this.#tables.cached(Math.floor(at / this.#coverage));
    if (table !== undefined && this.#packed === undefined && this.#tableWriter.isPrepared && data.length > 0) {
      const grain = this.#layout.grainBytes;
      const index = Math.floor(within / grain);
      const last = Math.ceil((within + data.length) / grain);
      const offset = table.offsets[index] as number;
      if (offset > ZEROED && last <= table.offsets.length && table.run(index, last, grain) === last - index) {
        try {
          this.#tableWriter.checkTable(table);
          return this.#overwrite(offset, within % grain, data, options);
        } catch (error) {
          return Promise.reject(error as BlockError);
        }
      }
      // a run of new grains, as in a conversion
      if (offset >= UNALLOCATED && offset <= ZEROED && this.#tableWriter.waiting < MAX_DIRTY_TABLES)
        if (last <= table.offsets.length && newRun(table, index, last) === last - index) {
          try {
            this.#tableWriter.checkTable(table);
          } catch (error) {
            return Promise.reject(error as BlockError);
          }
          return this.#allocate(table, index, last - index, within % grain, data, options);
        }
    }
    return this.#write(at, data, options);
  }

  async #write(at: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    await this.#tableWriter.prepare();
    const parts = new Parts();
    try {
      for (let done = 0; done < data.length;) {
        checkAborted(options?.signal);
        const table = this.#tables.cached(Math.floor((at + done) / this.#coverage));
        if (table === undefined) {
          await this.#tables.get(Math.floor((at + done) / this.#coverage));
          continue;
        }
        this.#tableWriter.checkTable(table);
        const within = (at + done) % this.#coverage;
        const index = Math.floor(within / this.#layout.grainBytes);
        const length = Math.min(data.length - done, this.#coverage - within);
        const chunk = data.subarray(done, done + length);
        // nothing may be awaited between the look-up above and the mark in the table
        const offset = table.offsets[index] as number;
        if (offset < UNALLOCATED) {
          await this.#allocationOf(table, index);
          continue;
        }
        const limit = Math.ceil((within + length) / this.#layout.grainBytes);
        const skip = within % this.#layout.grainBytes;
        if (offset > ZEROED) {
          const bytes = Math.min(
            table.run(index, limit, this.#layout.grainBytes) * this.#layout.grainBytes - skip,
            length,
          );
          parts.add(this.#overwrite(offset, skip, chunk.subarray(0, bytes), options));
          done += bytes;
        } else {
          const count = this.#packed === undefined ? newRun(table, index, limit) : 1;
          const bytes = Math.min(count * this.#layout.grainBytes - skip, length);
          parts.add(this.#allocate(table, index, count, skip, chunk.subarray(0, bytes), options));
          done += bytes;
        }
        if (parts.isFull) await parts.settle();
      }
    } finally {
      await parts.settle();
    }
    if (this.#tableWriter.waiting > MAX_DIRTY_TABLES) await this.#tableWriter.write(options);
  }

  async writeZeroes(at: number, length: number, options?: IoOptions): Promise<void> {
    await this.#tableWriter.prepare();
    for (let done = 0; done < length;) {
      const position = at + done;
      const number = Math.floor(position / this.#coverage);
      const table = this.#tables.cached(number);
      if (table === undefined) {
        checkAborted(options?.signal);
        await this.#tables.get(number);
        continue;
      }
      this.#tableWriter.checkTable(table);
      const index = Math.floor((position % this.#coverage) / this.#layout.grainBytes);
      const offset = table.offsets[index] as number;
      if (offset < UNALLOCATED) {
        await this.#allocationOf(table, index);
        continue;
      }
      // nothing may be awaited between the look-up above and the change of the table
      const run = this.#zeroRun(table, index, position, length - done);
      done += run.length;
      if (run.isZero) continue;
      if (run.asEntry) this.#setEntry(table, index, ZEROED);
      else if (offset === UNALLOCATED) await this.#allocate(table, index, 1, run.skip, run.length, options);
      else {
        if (this.#packed !== undefined) throw allocated(offset);
        this.#tableWriter.checkGrain(offset);
        await zeroRange(this.#file, offset + run.skip, run.length, options?.signal);
      }
    }
    if (this.#tableWriter.waiting > MAX_DIRTY_TABLES) await this.#tableWriter.write(options);
  }

  /** What is next to be zeroed: as many grains as are zeroes anyway, or the part of one grain. */
  #zeroRun(
    table: GrainTable,
    index: number,
    position: number,
    length: number,
  ): { length: number; skip: number; isZero: boolean; asEntry: boolean } {
    const { grainBytes: grain, capacity, zeroedGrains } = this.#layout;
    const skip = position % grain;
    const offset = table.offsets[index] as number;
    const isAbsent = offset === UNALLOCATED;
    if (offset === ZEROED || (isAbsent && this.#below.size <= this.#start + position)) {
      const limit = Math.min(table.offsets.length, index + Math.ceil((skip + length) / grain));
      const bytes = table.run(index, limit, grain) * grain - skip;
      return { length: Math.min(bytes, length), skip, isZero: true, asEntry: false };
    }
    const bytes = Math.min(grain - skip, length);
    const isWhole = skip === 0 && (bytes === grain || position + bytes === capacity);
    const asEntry = zeroedGrains && isWhole && (isAbsent || this.#packed === undefined);
    return { length: bytes, skip, isZero: false, asEntry };
  }

  async flush(options?: IoOptions): Promise<void> {
    // a write that is still under way is not waited for: it was not acknowledged
    await this.#tableWriter.write(options);
    await this.#file.flush(options);
  }

  finish(): Promise<void> {
    return this.#tableWriter.finish();
  }

  #overwrite(offset: number, skip: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    if (this.#packed !== undefined) throw allocated(offset);
    this.#tableWriter.checkGrain(
      offset + skip + data.length - 1 - ((skip + data.length - 1) % this.#layout.grainBytes),
    );
    this.#tableWriter.checkGrain(offset);
    return this.#file.write(offset + skip, data, options);
  }

  #setEntry(table: GrainTable, index: number, offset: number): void {
    table.offsets[index] = offset;
    table.markDirty(index, index + 1);
    this.#tableWriter.add(table);
  }

  /**
   * New grains `first` to `first + count`; `data`, or a count of zeroes, begins `skip` bytes into them. Marks them before it returns. Hot
   * path.
   */
  async #allocate(
    table: GrainTable,
    first: number,
    count: number,
    skip: number,
    data: Uint8Array | number,
    options?: IoOptions,
  ): Promise<void> {
    const { offsets } = table;
    for (let i = first; i < first + count; i++)
      offsets[i] = offsets[i] === ZEROED ? PENDING_ZEROED : PENDING_UNALLOCATED;
    table.pins++;
    const allocation: Allocation = { table, first, count, waiting: [] };
    this.#allocations.add(allocation);
    try {
      const grain = this.#layout.grainBytes;
      const at = table.index * this.#coverage + first * grain;
      if (this.#packed !== undefined) {
        offsets[first] = await this.#append(at, skip, typeof data === 'number' ? new Uint8Array(data) : data, options);
      } else {
        const offset = this.#tableWriter.reserve(count * grain);
        const length = typeof data === 'number' ? data : data.length;
        if (this.#below.size > this.#start + at) await this.#copyAround(allocation, at, skip, length, offset, options);
        if (typeof data === 'number') await zeroRange(this.#file, offset + skip, length, options?.signal);
        else await this.#file.write(offset + skip, data, options);
        for (let i = 0; i < count; i++) offsets[first + i] = offset + i * grain;
      }
      table.markDirty(first, first + count);
      this.#tableWriter.add(table);
    } finally {
      for (let i = first; i < first + count; i++)
        if ((offsets[i] as number) < UNALLOCATED) offsets[i] = offsets[i] === PENDING_ZEROED ? ZEROED : UNALLOCATED;
      table.pins--;
      this.#allocations.delete(allocation);
      for (const wake of allocation.waiting) wake();
    }
  }

  /** The parts of the first and the last new grain that the data leaves out show the parent, unless the grain was zeroes. */
  async #copyAround(
    { table, first, count }: Allocation,
    at: number,
    skip: number,
    length: number,
    offset: number,
    options?: IoOptions,
  ): Promise<void> {
    const end = skip + length;
    const size = count * this.#layout.grainBytes;
    if (skip > 0 && table.offsets[first] === PENDING_UNALLOCATED) await this.#copy(at, skip, offset, options);
    if (end < size && table.offsets[first + count - 1] === PENDING_UNALLOCATED)
      await this.#copy(at + end, size - end, offset + end, options);
  }

  /** What the parent has of a new grain that is written in part. Zeroes need no write: the place is at the end of the file. */
  async #copy(at: number, length: number, offset: number, options?: IoOptions): Promise<void> {
    const total = Math.min(length, this.#below.size - this.#start - at, this.#layout.capacity - at);
    for (let done = 0; done < total; done += COPY_CHUNK) {
      checkAborted(options?.signal);
      const chunk = new Uint8Array(Math.min(COPY_CHUNK, total - done));
      await this.#below.read(this.#start + at + done, chunk, options);
      await this.#file.write(offset + done, chunk, options);
    }
  }

  /** A compressed grain: whole, and at the end of the file. Gives its place. */
  async #append(at: number, skip: number, data: Uint8Array, options?: IoOptions): Promise<number> {
    const whole = Math.min(this.#layout.grainBytes, this.#layout.capacity - at);
    if (skip !== 0 || data.length !== whole)
      throw new BlockError('invalid-option', 'a streamOptimized image is written in whole grains', {
        hint: `write ${this.#layout.grainBytes} bytes at multiples of that`,
      });
    const packed = await (this.#packed as CompressedGrains).pack(at / SECTOR, data);
    const offset = this.#tableWriter.reserve(packed.length);
    await this.#file.write(offset, packed, options);
    return offset;
  }

  #allocationOf(table: GrainTable, index: number): Promise<void> {
    for (const allocation of this.#allocations)
      if (allocation.table === table && index >= allocation.first && index < allocation.first + allocation.count)
        return new Promise((resolve) => allocation.waiting.push(resolve));
    throw new BlockError('io', 'a grain is pending without a write'); // cannot be: the mark and the entry go together
  }
}

function allocated(offset: number): BlockError {
  return new BlockError('io', 'Could not write to allocated cluster for streamOptimized', { offset });
}

/** Entries from `first` on, up to `limit`, that have no grain and no write under way. */
function newRun(table: GrainTable, first: number, limit: number): number {
  let end = first + 1;
  while (end < limit && (table.offsets[end] === UNALLOCATED || table.offsets[end] === ZEROED)) end++;
  return end - first;
}
