/**
 * Consistency check and repair: QED spec, "Consistency checking". Counts are those of qemu-img 7.2, as the recorded images show: an entry
 * that points nowhere is one corruption and can be repaired (it becomes unallocated); a cluster with two users is one for each user but the
 * first and cannot; a table that shares clusters with something is not looked into; leaks are counted and stay.
 *
 * Reads the file, not the image's caches. Bounded: each table is read once, and no more than `MAX_CHECKED_BYTES` of them.
 */
import { checkAborted } from '@emkit/storage';
import type { AbortSignal, CheckResult, Storage, WritableStorage } from '@emkit/storage';
import { ClusterSet } from './cluster-set.ts';
import { fileClusters, readU64, writeU64 } from './header.ts';
import type { Geometry } from './header.ts';
import { MAX_CHECKED_BYTES, SLICE_SIZE } from './limits.ts';

const ENTRY_SIZE = 8;
const SECTOR = 512;

export interface CheckTarget {
  readonly file: Storage;
  readonly geometry: Geometry;
  readonly imageSize: number;
  /** Repair; the caller flushes. */
  readonly repair?: WritableStorage | undefined;
  readonly signal?: AbortSignal | undefined;
}

export function checkTables(target: CheckTarget): Promise<CheckResult> {
  return new Checker(target).run();
}

class Checker {
  readonly #target: CheckTarget;
  readonly #used = new ClusterSet();
  readonly #end: number;
  #corruptions = 0;
  #fixed = 0;
  #errors = 0;
  #allocated = 0;
  #fragmented = 0;
  #lastOffset = 0;
  #budget = MAX_CHECKED_BYTES;

  constructor(target: CheckTarget) {
    this.#target = target;
    const { clusterSize } = target.geometry;
    this.#end = fileClusters(target.file.size, clusterSize) * clusterSize;
  }

  async run(): Promise<CheckResult> {
    const { geometry, imageSize } = this.#target;
    const { clusterSize, l1Offset, headerBytes } = geometry;
    this.#markTable(l1Offset);
    await this.#visit(l1Offset, (entry) => this.#l1Entry(entry));
    const clusters = (this.#end - headerBytes) / clusterSize;
    return {
      corruptions: this.#corruptions,
      corruptionsFixed: this.#fixed,
      leaks: clusters - this.#used.count,
      leaksFixed: 0,
      checkErrors: this.#errors,
      totalClusters: Math.ceil(imageSize / clusterSize),
      allocatedClusters: this.#allocated,
      fragmentedClusters: this.#fragmented,
      compressedClusters: 0,
    };
  }

  /**
   * Gives what the entry should be; its table is looked into before the next entry is: who comes first is the rightful user of a cluster.
   */
  async #l1Entry(entry: number): Promise<number> {
    if (!this.#isValid(entry, this.#target.geometry.tableBytes)) return this.#invalid(entry);
    const shared = this.#markTable(entry);
    this.#corruptions += shared;
    if (shared > 0) return entry;
    this.#lastOffset = 0;
    await this.#visit(entry, (value) => this.#l2Entry(value));
    return entry;
  }

  #l2Entry(entry: number): number {
    if (entry === 1) return entry;
    const { clusterSize } = this.#target.geometry;
    this.#allocated++;
    if (this.#lastOffset !== 0 && entry !== this.#lastOffset + clusterSize) this.#fragmented++;
    this.#lastOffset = entry;
    if (!this.#isValid(entry, clusterSize)) return this.#invalid(entry);
    if (!this.#used.add(entry / clusterSize)) this.#corruptions++;
    return entry;
  }

  #isValid(offset: number, bytes: number): boolean {
    const { clusterSize, headerBytes } = this.#target.geometry;
    return offset >= headerBytes && offset <= this.#end - bytes && offset % clusterSize === 0;
  }

  #invalid(entry: number): number {
    if (this.#target.repair === undefined) {
      this.#corruptions++;
      return entry;
    }
    this.#fixed++;
    return 0;
  }

  /** Gives the number of clusters that somebody else uses too. */
  #markTable(offset: number): number {
    const { clusterSize, tableBytes } = this.#target.geometry;
    let shared = 0;
    for (let at = offset; at < offset + tableBytes; at += clusterSize) if (!this.#used.add(at / clusterSize)) shared++;
    return shared;
  }

  /** `fix` gives the right value of each entry that is not 0. Holes are skipped where the file knows them. */
  async #visit(table: number, fix: (entry: number) => number | Promise<number>): Promise<void> {
    const { file, geometry, repair, signal } = this.#target;
    const slice = new Uint8Array(Math.min(geometry.tableBytes, SLICE_SIZE));
    for (let done = 0; done < geometry.tableBytes;) {
      checkAborted(signal);
      const at = table + done;
      const hole = await this.#holeAt(at, geometry.tableBytes - done);
      if (hole > 0) {
        done += hole;
        continue;
      }
      if (this.#budget < slice.length) {
        this.#errors++;
        return;
      }
      this.#budget -= slice.length;
      await file.read(at, slice, { signal });
      const changed = await fixSlice(slice, fix);
      if (repair !== undefined && changed !== undefined)
        await repair.write(at + changed.start, slice.subarray(changed.start, changed.end));
      done += slice.length;
    }
  }

  /** Bytes of whole slices from here that are known to be zero. */
  async #holeAt(offset: number, length: number): Promise<number> {
    const { file, geometry, signal } = this.#target;
    const step = Math.min(geometry.tableBytes, SLICE_SIZE);
    const within = Math.min(length, file.size - offset);
    if (file.extent === undefined || within <= 0) return 0;
    const extent = await file.extent(offset, within, { signal });
    return extent.zero ? Math.floor(extent.length / step) * step : 0;
  }
}

/** Gives the sectors that changed, if any. */
async function fixSlice(
  slice: Uint8Array,
  fix: (entry: number) => number | Promise<number>,
): Promise<{ start: number; end: number } | undefined> {
  const view = new DataView(slice.buffer);
  let first = -1;
  let last = -1;
  for (let at = 0; at < slice.length; at += ENTRY_SIZE) {
    const entry = readU64(view, at);
    if (entry === 0) continue;
    const fixed = fix(entry);
    // most are known at once
    const right = typeof fixed === 'number' ? fixed : await fixed;
    if (right === entry) continue;
    writeU64(view, at, right);
    if (first < 0) first = at;
    last = at;
  }
  if (first < 0) return undefined;
  return { start: first - (first % SECTOR), end: last - (last % SECTOR) + SECTOR };
}
