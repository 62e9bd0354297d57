/**
 * An extent of grains: hosted sparse, stream-optimized, COWD, seSparse. Reads, tells the status, checks; writing is `SparseWriter`'s.
 * Tables and grains past the end of the file read as zeroes, as QEMU has it.
 */
import { BlockError, checkAborted, type BlockStatus, type IoOptions, type Storage } from '@emkit/storage';
import type { Caches } from './caches.ts';
import type { GrainCodec } from './codec.ts';
import { CompressedGrains } from './compressed-grains.ts';
import type { Below, VmdkExtent } from './extent.ts';
import { ZEROED, type GrainLayout } from './grain-layout.ts';
import { readsZero, type GrainTable } from './grain-table.ts';
import { GrainTables } from './grain-tables.ts';
import { Parts } from './settle.ts';
import { SparseWriter } from './sparse-writer.ts';

/** Tables that one call of `status` looks at before it gives what it has. */
const STATUS_TABLES = 64;

export interface SparseExtentSetup {
  readonly file: Storage;
  readonly layout: GrainLayout;
  readonly start: number;
  /** Number of the extent in the disk. */
  readonly number: number;
  readonly format: string;
  readonly filename: string;
  /** Writing was asked for and is possible. */
  readonly isWritable: boolean;
  readonly readOnlyReason?: string | undefined;
  readonly below: Below;
  readonly caches: Caches;
  readonly codec: GrainCodec;
}

export class SparseExtent implements VmdkExtent {
  readonly start: number;
  readonly length: number;
  readonly format: string;
  readonly filename: string;
  readonly file: Storage;
  readonly grainBytes: number;
  readonly compressed: boolean;
  readonly readOnlyReason: string | undefined;
  readonly #layout: GrainLayout;
  readonly #below: Below;
  readonly #tables: GrainTables;
  readonly #packed: CompressedGrains | undefined;
  readonly #writer: SparseWriter | undefined;
  /** Bytes of the extent that one table covers. */
  readonly #coverage: number;

  constructor(setup: SparseExtentSetup) {
    const { file, layout } = setup;
    this.file = file;
    this.start = setup.start;
    this.length = layout.capacity;
    this.format = setup.format;
    this.filename = setup.filename;
    this.grainBytes = layout.grainBytes;
    this.compressed = layout.compressed;
    this.readOnlyReason = setup.readOnlyReason ?? layout.readOnlyReason;
    this.#layout = layout;
    this.#below = setup.below;
    this.#coverage = layout.grainBytes * layout.tableEntries;
    this.#tables = new GrainTables(file, layout, setup.caches, setup.number, setup.isWritable);
    this.#packed = layout.compressed
      ? new CompressedGrains(file, layout, setup.codec, setup.caches.grains, setup.number)
      : undefined;
    if (setup.isWritable) this.#writer = new SparseWriter(setup, this.#tables, this.#packed);
  }

  /** Hot path. */
  read(at: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const grain = this.grainBytes;
    if (this.#packed === undefined && buffer.length > 0) {
      const table = this.#tables.cached(Math.floor(at / this.#coverage));
      if (table !== undefined) {
        const within = at % this.#coverage;
        const index = Math.floor(within / grain);
        const last = Math.ceil((within + buffer.length) / grain);
        const offset = table.offsets[index] as number;
        if (offset > ZEROED && last <= table.offsets.length && table.run(index, last, grain) === last - index)
          return this.file.read(offset + (within % grain), buffer, options);
      }
    }
    return this.#read(at, buffer, options);
  }

  async #read(at: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const parts = new Parts();
    try {
      for (let done = 0; done < buffer.length;) {
        checkAborted(options?.signal);
        const run = await this.#runAt(at + done, buffer.length - done);
        parts.add(this.#readRun(run.offset, at + done, buffer.subarray(done, done + run.length), options));
        done += run.length;
        if (parts.isFull) await parts.settle();
      }
    } finally {
      await parts.settle();
    }
  }

  #readRun(offset: number, at: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    if (offset > ZEROED) {
      if (this.#packed !== undefined) return this.#packed.read(offset, at % this.grainBytes, buffer);
      return this.file.read(offset + (at % this.grainBytes), buffer, options);
    }
    if (!readsZero(offset) && this.#below.size > this.start + at)
      return this.#below.read(this.start + at, buffer, options);
    buffer.fill(0);
    return Promise.resolve();
  }

  /** The longest run from `at` on that is one request; a compressed grain is one by itself. */
  async #runAt(at: number, length: number, isStatus = false): Promise<{ offset: number; length: number }> {
    const table = await this.#table(at);
    const grain = this.grainBytes;
    const index = Math.floor((at % this.#coverage) / grain);
    const offset = table.offsets[index] as number;
    if (Number.isNaN(offset))
      throw new BlockError('corrupt-image', `grain table entry ${index} of table ${table.index} is invalid`, {
        offset: table.primary + index * this.#layout.entryBytes,
        field: 'grain table',
      });
    const within = at % grain;
    const limit = Math.min(table.offsets.length, index + Math.ceil((within + length) / grain));
    let count = 1;
    if (this.#packed === undefined || offset <= ZEROED) count = table.run(index, limit, grain);
    else if (isStatus) while (index + count < limit && (table.offsets[index + count] as number) > ZEROED) count++;
    return { offset, length: Math.min(count * grain - within, length) };
  }

  #table(at: number): GrainTable | Promise<GrainTable> {
    const index = Math.floor(at / this.#coverage);
    return this.#tables.cached(index) ?? this.#tables.get(index);
  }

  write(at: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#writable().write(at, data, options);
  }

  writeZeroes(at: number, length: number, options?: IoOptions): Promise<void> {
    return this.#writable().writeZeroes(at, length, options);
  }

  #writable(): SparseWriter {
    if (this.#writer === undefined)
      throw new BlockError('read-only', this.readOnlyReason ?? 'the image was opened read-only');
    return this.#writer;
  }

  async status(at: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    const first = await this.#runAt(at, length, true);
    let end = at + first.length;
    const kind = kindOf(first.offset);
    const place = first.offset + (at % this.grainBytes);
    for (let looked = 0; end < at + length && looked < STATUS_TABLES; looked++) {
      checkAborted(options?.signal);
      if (kind === 'none') end = await this.#skipAbsent(end, at + length, options);
      if (end >= at + length) break;
      const next = await this.#runAt(end, at + length - end, true);
      if (kindOf(next.offset) !== kind) break;
      // compressed grains go together wherever they stand
      if (kind === 'data' && !this.compressed && next.offset !== place + (end - at)) break;
      end += next.length;
    }
    const total = end - at;
    if (kind === 'none') return { length: total, allocated: false, data: false, zero: this.#below.size === 0 };
    if (kind === 'zero') return { length: total, allocated: true, data: false, zero: true };
    if (this.compressed) return { length: total, allocated: true, data: true, zero: false, compressed: true };
    return {
      length: total,
      allocated: true,
      data: true,
      zero: false,
      offset: place,
      file: this.file.name ?? this.filename,
    };
  }

  /** From `at`, if a table begins there, to the first table that exists. */
  async #skipAbsent(at: number, end: number, options?: IoOptions): Promise<number> {
    if (at % this.#coverage !== 0) return at;
    const index = at / this.#coverage;
    if (this.#tables.cached(index) !== undefined) return at;
    const next = await this.#tables.directory.next(index, Math.ceil(end / this.#coverage), options);
    return Math.min(end, next * this.#coverage);
  }

  flush(options?: IoOptions): Promise<void> {
    if (this.#writer !== undefined) return this.#writer.flush(options);
    return this.file.flush === undefined ? Promise.resolve() : this.file.flush(options);
  }

  finish(): Promise<void> {
    return this.#writer === undefined ? Promise.resolve() : this.#writer.finish();
  }

  /** Every grain begins within the file. As QEMU's: the first that does not ends it. */
  async check(report: (line: string) => void, options?: IoOptions): Promise<void> {
    const tables = Math.ceil(this.length / this.#coverage);
    for (let index = 0; index < tables; index++) {
      checkAborted(options?.signal);
      if (this.#tables.cached(index) === undefined) index = await this.#tables.directory.next(index, tables, options);
      if (index >= tables) return;
      const table = await this.#tables.get(index);
      const count = Math.min(table.offsets.length, Math.ceil((this.length - index * this.#coverage) / this.grainBytes));
      for (let i = 0; i < count; i++) {
        const offset = table.offsets[i] as number;
        // NaN as well
        if (offset <= ZEROED || offset < this.file.size) continue;
        const sector = (this.start + index * this.#coverage + i * this.grainBytes) / 512;
        report(`ERROR: cluster offset for sector ${sector} points after EOF`);
        throw new BlockError('corrupt-image', `the grain of sector ${sector} is outside of the file`, {
          offset: table.primary + i * this.#layout.entryBytes,
          field: 'grain table',
        });
      }
    }
  }
}

function kindOf(offset: number): 'none' | 'zero' | 'data' {
  if (offset > ZEROED) return 'data';
  return readsZero(offset) ? 'zero' : 'none';
}
