/**
 * Counts what the image refers to: header, L1 and L2 tables of the disk and of its snapshots, data, snapshot table, bitmaps, encryption
 * header, and the refcount structures themselves.
 *
 * A table that several snapshots share is read once and counted as often as it is used. All offsets come from the image: what lies past
 * the end of the file is reported and not counted, so the work is bounded by the file.
 *
 * Spec: qcow2, "Host cluster management", "Cluster mapping", "Snapshots", "Bitmaps".
 */
import { checkAborted, isBlockError, type Storage } from '@emkit/storage';
import { checkTableEntry, loadBitmapDirectory, readBitmapsExtension } from './bitmap-directory.ts';
import { ClusterCounts } from './check-counts.ts';
import { hex64, type CheckState } from './check-state.ts';
import { COMPRESSED_HI, COPIED_HI, CRYPT_LUKS, ZERO_LO } from './constants.ts';
import { cryptoHeaderArea } from './encryption-header.ts';
import { compressedExtent, hostOffset, makeRun } from './l2-entry.ts';
import { MAX_CHECK_TABLE_BYTES } from './limits.ts';
import type { Snapshot } from './snapshot-table.ts';
import { getU64, viewOf } from './u64.ts';

const L1_RESERVED_HI = 0x7f000000;
const L1_RESERVED_LO = 0x1ff;
const L2_RESERVED_HI = 0x3f000000;
const L2_RESERVED_LO = 0x1fe;
const PARALLEL_READS = 16;

export interface Counted {
  readonly counts: ClusterCounts;
  /** The refcount table and its blocks, as counted. */
  readonly refcountClusters: readonly number[];
  /** Corruptions that do not lie in the refcount structures. */
  readonly structural: number;
  readonly needsRebuild: boolean;
}

export async function countReferences(state: CheckState, snapshots: readonly Snapshot[]): Promise<Counted> {
  const counter = new ReferenceCounter(state);
  const { header, geometry } = state;
  counter.region(0, geometry.clusterSize);
  await counter.table(header.l1TableOffset, header.l1Size, true);
  for (const snapshot of snapshots) await counter.table(snapshot.l1TableOffset, snapshot.l1Size, false);
  await counter.sharedTables();
  if (header.nbSnapshots > 0)
    counter.region(
      header.snapshotsOffset,
      snapshots.reduce((sum, s) => sum + s.entryBytes, 0),
    );
  if (header.cryptMethod === CRYPT_LUKS) {
    const area = cryptoHeaderArea(header);
    if (area !== undefined) counter.region(area.offset, area.length);
  }
  await countBitmaps(state, counter);
  const structural = state.corruptions;
  const { refcountClusters, needsRebuild } = await countRefcounts(state, counter);
  return { counts: counter.counts, refcountClusters, structural, needsRebuild };
}

class ReferenceCounter {
  readonly counts = new ClusterCounts();
  readonly #state: CheckState;
  /** How many L1 entries refer to an L2 table that is not yet looked into. */
  readonly #tables = new ClusterCounts();
  /** L2 tables of the disk itself, in order. */
  #active: number[] = [];
  #tableBytes = 0;
  #nextContiguous = 0;
  readonly #run = makeRun();

  constructor(state: CheckState) {
    this.#state = state;
  }

  region(offset: number, length: number, times = 1): void {
    if (length <= 0) return;
    const state = this.#state;
    const { clusterSize, maxRefcount } = state.geometry;
    if (offset + length - state.fileSize >= clusterSize) {
      state.corruption(
        `ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset 0x${offset.toString(16)} size 0x${length.toString(16)}`,
        times,
      );
      return;
    }
    const last = Math.floor((offset + length - 1) / clusterSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster++) {
      if (this.counts.add(cluster, times) <= maxRefcount) continue;
      this.counts.add(cluster, maxRefcount - this.counts.get(cluster));
      state.corruption(`ERROR: overflow cluster offset=0x${(cluster * clusterSize).toString(16)}`);
      state.line(
        '  Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the image cannot be opened for writing',
      );
    }
  }

  /** An L1 table: of the disk, or of a snapshot. */
  async table(offset: number, size: number, isActive: boolean): Promise<void> {
    const state = this.#state;
    const { clusterSize } = state.geometry;
    this.region(offset, size * 8);
    this.#tableBytes += size * 8;
    if (this.#tableBytes > MAX_CHECK_TABLE_BYTES) {
      state.error('ERROR: the L1 tables are too large to be checked');
      return;
    }
    const unaligned: number[] = [];
    await state.eachPiece(offset, size * 8, (view) => {
      for (let at = 0; at + 8 <= view.byteLength; at += 8) {
        const hi = view.getUint32(at);
        const lo = view.getUint32(at + 4);
        if (hi === 0 && lo === 0) continue;
        if ((hi & L1_RESERVED_HI) !== 0 || (lo & L1_RESERVED_LO) !== 0)
          state.corruption(`ERROR found L1 entry with reserved bits set: ${hex64(hi, lo)}`);
        const l2 = hostOffset(hi, lo);
        if (l2 === 0 && !isActive) continue;
        this.region(l2, clusterSize);
        if (l2 % clusterSize !== 0) {
          state.corruption(`ERROR l2_offset=${l2.toString(16)}: Table is not cluster aligned; L1 entry corrupted`);
          unaligned.push(l2);
        } else if (l2 < state.fileSize) {
          this.#tables.add(l2 / clusterSize, 1);
          if (isActive) this.#active.push(l2);
        }
      }
    });
    for (const l2 of unaligned) await state.eachPiece(l2, clusterSize, (view) => this.#entries(view, 1, isActive));
    if (isActive) this.#flatten();
  }

  /** So that 4 million table offsets take 32 MiB and not more. */
  #flatten(): void {
    this.#active = Array.from(Float64Array.from(this.#active));
  }

  /** Looks into every L2 table that was counted, those of the disk first and in its order. */
  async sharedTables(): Promise<void> {
    const { clusterSize } = this.#state.geometry;
    await this.#visit(this.#active, true);
    this.#active = [];
    for (const first of this.#tables.pages()) {
      const offsets: number[] = [];
      for (let cluster = first; cluster < first + this.#tables.pageClusters; cluster++)
        if (this.#tables.get(cluster) > 0) offsets.push(cluster * clusterSize);
      await this.#visit(offsets, false);
    }
  }

  async #visit(offsets: readonly number[], isActive: boolean): Promise<void> {
    const { file, fileSize, geometry } = this.#state;
    const { clusterSize } = geometry;
    for (let i = 0; i < offsets.length; i += PARALLEL_READS) {
      const some = offsets.slice(i, i + PARALLEL_READS).filter((offset) => this.#tables.get(offset / clusterSize) > 0);
      const read = await Promise.all(
        some.map((offset) => readTable(file, offset, Math.min(clusterSize, fileSize - offset))),
      );
      checkAborted(this.#state.signal);
      read.forEach((bytes, k) => {
        const cluster = (some[k] as number) / clusterSize;
        const times = this.#tables.get(cluster);
        if (times === 0) return;
        this.#tables.add(cluster, -times);
        this.#entries(viewOf(bytes), times, isActive);
      });
    }
  }

  /** The entries of an L2 table, or of a piece of one. Hot path. */
  #entries(view: DataView, times: number, isActive: boolean): void {
    const { entrySize } = this.#state.geometry;
    this.#nextContiguous = 0; // a table after another is no fragment, as QEMU counts
    for (let at = 0; at + entrySize <= view.byteLength; at += entrySize) {
      const hi = view.getUint32(at);
      const lo = view.getUint32(at + 4);
      if (hi === 0 && lo === 0 && entrySize === 8) continue;
      if ((hi & COMPRESSED_HI) !== 0) this.#compressedEntry(view, at, times, isActive);
      else this.#standardEntry(view, at, times, isActive);
    }
  }

  #compressedEntry(view: DataView, at: number, times: number, isActive: boolean): void {
    const state = this.#state;
    let hi = view.getUint32(at);
    const lo = view.getUint32(at + 4);
    const { geometry } = state;
    if (state.hasDataFile) {
      state.corruption(
        `ERROR compressed cluster ${at / geometry.entrySize} with data file, entry=0x${hex64(hi, lo)}`,
        times,
      );
      return;
    }
    if ((hi & COPIED_HI) !== 0) {
      state.corruption(
        `ERROR: coffset=0x${hex64(hi & 0x3fffffff, lo)}: copied flag must never be set for compressed clusters`,
        times,
      );
      hi &= ~COPIED_HI;
    }
    if (geometry.isExtended && (view.getUint32(at + 8) !== 0 || view.getUint32(at + 12) !== 0))
      state.corruption(
        `ERROR compressed cluster ${at / geometry.entrySize} with non-zero subcluster allocation bitmap, entry=0x${hex64(hi >>> 0, lo)}`,
        times,
      );
    compressedExtent(this.#run, hi, lo, geometry.clusterBits);
    this.region(this.#run.host, this.#run.compressedLength, times);
    if (!isActive) return;
    state.allocated++;
    state.compressed++;
    state.fragmented++; // they are not where a sequential read wants them, by their nature
  }

  #standardEntry(view: DataView, at: number, times: number, isActive: boolean): void {
    const state = this.#state;
    const { clusterSize, isExtended } = state.geometry;
    const hi = view.getUint32(at);
    const lo = view.getUint32(at + 4);
    if ((hi & L2_RESERVED_HI) !== 0 || (lo & L2_RESERVED_LO) !== 0)
      state.corruption(`ERROR found l2 entry with reserved bits set: ${hex64(hi, lo)}`, times);
    const offset = hostOffset(hi, lo);
    const hasHost = offset !== 0 || (state.hasDataFile && (hi & COPIED_HI) !== 0);
    const zeroes = isExtended ? view.getUint32(at + 8) : 0;
    const data = isExtended ? view.getUint32(at + 12) : 0;
    if (!hasHost) {
      if (data !== 0) state.corruption('ERROR: Unallocated cluster has non-zero subcluster allocation map', times);
      return;
    }
    if ((zeroes & data) !== 0)
      state.corruption(
        `ERROR offset=${offset.toString(16)}: Allocated cluster has corrupted subcluster allocation bitmap`,
        times,
      );
    if (offset % clusterSize !== 0) {
      const isZero = isExtended ? data === 0 : (lo & ZERO_LO) !== 0;
      state.corruption(
        isZero
          ? `ERROR offset=${offset.toString(16)}: Preallocated ${isExtended ? 'cluster' : 'zero cluster'} is not properly aligned; L2 entry corrupted.`
          : `ERROR offset=${offset.toString(16)}: Data cluster is not properly aligned; L2 entry corrupted.`,
        times,
      );
    }
    if (isActive) {
      state.allocated++;
      if (this.#nextContiguous !== 0 && offset !== this.#nextContiguous) state.fragmented++;
      this.#nextContiguous = offset + clusterSize;
    }
    if (state.hasDataFile) return;
    if (offset % clusterSize === 0 && offset < state.fileSize && this.#addOne(offset / clusterSize, times)) return;
    this.region(offset, clusterSize, times);
  }

  /** The common case of `region`: one cluster, and its count has room. Hot path. */
  #addOne(cluster: number, times: number): boolean {
    if (this.counts.get(cluster) + times > this.#state.geometry.maxRefcount) return false;
    this.counts.add(cluster, times);
    return true;
  }
}

async function readTable(file: Storage, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.ceil(Math.max(0, length) / 16) * 16);
  await file.read(offset, bytes);
  return bytes;
}

async function countBitmaps(state: CheckState, counter: ReferenceCounter): Promise<void> {
  const { header, geometry, file } = state;
  try {
    const extension = readBitmapsExtension(header);
    if (extension === undefined) return;
    counter.region(extension.directoryOffset, extension.directorySize);
    const bitmaps = await loadBitmapDirectory(file, header);
    for (const bitmap of bitmaps) {
      counter.region(bitmap.tableOffset, bitmap.tableSize * 8);
      await state.eachPiece(bitmap.tableOffset, bitmap.tableSize * 8, (view, start) => {
        const end = Math.min(view.byteLength, bitmap.tableSize * 8 - start);
        for (let at = 0; at + 8 <= end; at += 8) {
          const hi = view.getUint32(at);
          const lo = view.getUint32(at + 4);
          if (!checkTableEntry(hi, lo, geometry.clusterSize)) state.corruptions++;
          else if (hostOffset(hi, lo) !== 0) counter.region(hostOffset(hi, lo), geometry.clusterSize);
        }
      });
    }
  } catch (error) {
    if (!isBlockError(error) || error.kind === 'aborted' || error.kind === 'io') throw error;
    state.corruption(`ERROR: ${error.message}`);
  }
}

async function countRefcounts(
  state: CheckState,
  counter: ReferenceCounter,
): Promise<{ refcountClusters: number[]; needsRebuild: boolean }> {
  const { header, geometry } = state;
  const { clusterSize } = geometry;
  const refcountClusters: number[] = [];
  const tableBytes = header.refcountTableClusters * clusterSize;
  const before = state.corruptions;
  counter.region(header.refcountTableOffset, tableBytes);
  if (state.corruptions === before)
    for (let i = 0; i < header.refcountTableClusters; i++)
      refcountClusters.push(header.refcountTableOffset / clusterSize + i);
  let needsRebuild = false;
  await state.eachPiece(header.refcountTableOffset, tableBytes, (view, start) => {
    for (let at = 0; at + 8 <= view.byteLength; at += 8) {
      const offset = getU64(view, at);
      if (offset === 0) continue;
      const index = (start + at) / 8;
      const isReserved = (view.getUint32(at + 4) & 0x1ff) !== 0;
      if (isReserved || offset % clusterSize !== 0) {
        state.corruption(
          isReserved
            ? `ERROR refcount table entry ${index} has reserved bits set`
            : `ERROR refcount block ${index} is not cluster aligned; refcount table entry corrupted`,
        );
        needsRebuild = true;
        continue;
      }
      const cluster = offset / clusterSize;
      if (cluster >= state.fileClusters) {
        state.corruption(`ERROR refcount block ${index} is outside image`);
        needsRebuild = true;
        continue;
      }
      counter.region(offset, clusterSize);
      refcountClusters.push(cluster);
      const count = counter.counts.get(cluster);
      if (count !== 1) {
        state.corruption(`ERROR refcount block ${index} refcount=${count}`);
        needsRebuild = true;
      }
    }
  });
  return { refcountClusters, needsRebuild };
}
