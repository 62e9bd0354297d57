/**
 * Writes to clusters that the file does not have yet: space at the end of the file, the data with what surrounds it in its cluster, and
 * then the table entry. QED spec, "Unallocated L2 tables and data clusters", "Zero data clusters".
 *
 * What a power cut can leave: the need-check bit is in the file before anything else changes. Without a backing file an entry may become
 * durable before its data: the cluster then reads as zeroes, as it did, or lies beyond the end and is repaired to read so. With a
 * backing file the data is flushed before the entry is written, since the cluster would otherwise hide what the backing file has.
 * Space is only ever taken from the end, so no cluster has foreign bytes.
 */
import { AsyncMutex } from '@emkit/storage';
import type { IoOptions, Storage, WritableStorage } from '@emkit/storage';
import { Barrier } from './barrier.ts';
import { Claims } from './claims.ts';
import { ZERO_CLUSTER } from './cluster-map.ts';
import type { ClusterMap, Run } from './cluster-map.ts';
import type { HeaderFile } from './header-file.ts';
import { COPY_CHUNK } from './limits.ts';

/** What the allocator must know of its image. */
export interface Disk {
  readonly size: number;
  /** Unallocated parts are not just zero: there is a backing file, open or only named. */
  readonly hasBacking: boolean;
  readonly backing: Storage | undefined;
}

export class Allocator {
  /** Held while metadata is written. */
  readonly lock = new AsyncMutex();
  readonly claims = new Claims();
  /** Changes of tables so far. */
  changes = 0;
  /** A write of metadata failed: what the file has is not known, so the image must be checked when it is opened next. */
  isUncertain = false;
  readonly #file: WritableStorage;
  readonly #map: ClusterMap;
  readonly #header: HeaderFile;
  readonly #disk: Disk;
  readonly #barrier: Barrier;

  constructor(file: WritableStorage, map: ClusterMap, header: HeaderFile, disk: Disk) {
    this.#file = file;
    this.#map = map;
    this.#header = header;
    this.#disk = disk;
    this.#barrier = new Barrier(() => file.flush());
  }

  /**
   * Writes what `run` of the disk's clusters without data takes of `bytes` (undefined: zeroes, `length` of them). Gives the bytes done; 0:
   * somebody else was there first, look again.
   */
  allocate(offset: number, length: number, bytes: Uint8Array | undefined, options?: IoOptions): Promise<number> {
    return this.#claimed(offset, length, async (run) => {
      const { clusterSize } = this.#map.geometry;
      const first = Math.floor(offset / clusterSize);
      const count = Math.floor((offset + run.length - 1) / clusterSize) - first + 1;
      const isWhole = run.length === count * clusterSize && bytes !== undefined;
      const at = await this.#reserve(count * clusterSize, !isWhole);
      const part = bytes?.subarray(0, run.length);
      if (run.kind === 'none' && !isWhole && this.#disk.backing !== undefined)
        await this.#writeWithBacking(at, first * clusterSize, count * clusterSize, offset, run.length, part, options);
      else if (part !== undefined) await this.#file.write(at + offset - first * clusterSize, part, options);
      if (this.#disk.hasBacking) await this.#barrier.pass();
      await this.#enter(first, count, at);
    });
  }

  /** Whole clusters become zero clusters. The range may end with the disk instead of a cluster. Gives the bytes done, as `allocate`. */
  zero(offset: number, length: number): Promise<number> {
    return this.#claimed(offset, length, async (run) => {
      if (run.kind === 'zero') return;
      const { clusterSize } = this.#map.geometry;
      await this.#reserve(0, false);
      await this.#enter(Math.floor(offset / clusterSize), Math.ceil(run.length / clusterSize), ZERO_CLUSTER);
    });
  }

  async #claimed(offset: number, length: number, body: (run: Run) => Promise<void>): Promise<number> {
    const { clusterSize } = this.#map.geometry;
    const release = this.claims.take(Math.floor(offset / clusterSize), Math.floor((offset + length - 1) / clusterSize));
    if (typeof release !== 'function') {
      await release;
      return 0;
    }
    try {
      // what was looked up before the claim may have changed
      const run = await this.#map.lookup(offset, length);
      if (run.kind === 'data') return 0;
      await body(run);
      return run.length;
    } finally {
      release();
    }
  }

  /** Space at the end of the file; `grow`: it must read as zero where nothing is written. */
  #reserve(bytes: number, grow: boolean): Promise<number> {
    return this.lock.run(async () => {
      await this.#header.setNeedCheck();
      const at = this.#map.end;
      this.#map.end += bytes;
      if (grow) await this.#file.truncate(this.#map.end);
      return at;
    });
  }

  #enter(first: number, count: number, at: number): Promise<void> {
    return this.lock.run(async () => {
      this.changes++;
      try {
        await this.#map.enter(this.#file, first, count, at);
      } catch (error) {
        this.isUncertain = true;
        throw error;
      }
    });
  }

  /** The clusters' bytes from `start`: the backing file's, but for the `length` new ones at `offset`. Nothing past the disk's end is copied. */
  async #writeWithBacking(
    at: number,
    start: number,
    total: number,
    offset: number,
    length: number,
    bytes: Uint8Array | undefined,
    options?: IoOptions,
  ): Promise<void> {
    const tail = offset + length;
    const end = Math.min(start + total, this.#disk.size, this.#disk.backing?.size ?? 0);
    if (total <= COPY_CHUNK) {
      const all = new Uint8Array(total);
      const headLength = Math.max(0, Math.min(offset, end) - start);
      await Promise.all([
        this.#readBacking(start, all.subarray(0, headLength), options),
        this.#readBacking(tail, all.subarray(tail - start, Math.max(tail, end) - start), options),
      ]);
      if (bytes !== undefined) all.set(bytes, offset - start);
      return this.#file.write(at, all, options);
    }
    await this.#copy(start, Math.min(offset, end), at, options);
    if (bytes !== undefined) await this.#file.write(at + offset - start, bytes, options);
    await this.#copy(tail, end, at + tail - start, options);
  }

  async #copy(from: number, to: number, at: number, options?: IoOptions): Promise<void> {
    if (to <= from) return;
    const chunk = new Uint8Array(Math.min(COPY_CHUNK, to - from));
    for (let done = from; done < to; done += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, to - done));
      await this.#readBacking(done, part, options);
      await this.#file.write(at + done - from, part, options);
    }
  }

  async #readBacking(offset: number, part: Uint8Array, options?: IoOptions): Promise<void> {
    if (part.length > 0) await this.#disk.backing?.read(offset, part, options);
  }
}
