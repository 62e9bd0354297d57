/**
 * An open image's state and its lookups: header, L1 table, L2 cache, refcounts, locks. The operations (read, write, zero, discard,
 * commit, ...) are functions over it in files of their own; `Qcow2Image` is the public face, and `parts.ts` is where snapshots, bitmaps and
 * encryption join.
 *
 * - Every request is inside `gate`; `alone` (`maintenance.ts`) waits until nobody is. Who changes mapping or refcounts holds `lock`, in `alone` too.
 * - To change an L2 entry: `ownPiece` (`allocation.ts`), change the piece's bytes, `l2.markDirty` in the same turn. An L1 entry: `setL1`; a whole new
 *   table: `l1`, `l1View`, `newL1Offset`. The header: `updateHeader`, which does not flush; see `header-cluster.ts`.
 * - Clusters: `allocateClusters`; `freeLater` and `freeEntry` when a table on disk may still refer to them, `freeUnused` when none ever did.
 * - `commit.ts` has the order in which all of this reaches the disk. A table of one's own is written to new clusters, then `commit`, then
 *   `updateHeader`, flush, `freeLater` of the old one.
 * - Guest offsets past the disk's end work as far as the L1 table goes: that is where VM state stands.
 */
import { AsyncMutex, BlockError, type Storage, type WritableStorage } from '@emkit/storage';
import type { Codecs } from './codecs.ts';
import { AUTOCLEAR_DATA_FILE_RAW, COPIED_HI, INCOMPAT_CORRUPT, INCOMPAT_DATA_FILE } from './constants.ts';
import type { DriverOptions } from './driver-options.ts';
import { Geometry } from './geometry.ts';
import type { Qcow2Header } from './header.ts';
import { HeaderCluster } from './header-cluster.ts';
import { InFlight } from './in-flight.ts';
import { hostOffset, makeRun, mapRun, UNALLOCATED, type Run } from './l2-entry.ts';
import { MAX_HOST_OFFSET } from './limits.ts';
import { type OverlapGuard } from './overlap-guard.ts';
import type { Refcounts } from './refcounts.ts';
import { RequestGate } from './request-gate.ts';
import { TableCache, type Piece } from './table-cache.ts';
import { setU64, viewOf } from './u64.ts';

/** Encrypts and decrypts guest data; in place. Lengths and offsets are multiples of 512. */
export interface DataCipher {
  encrypt(bytes: Uint8Array, guestOffset: number, hostOffset: number): Promise<void> | void;
  decrypt(bytes: Uint8Array, guestOffset: number, hostOffset: number): Promise<void> | void;
}

export interface CoreParts {
  readonly file: Storage;
  /** undefined: opened for reading. */
  readonly writable: WritableStorage | undefined;
  readonly header: Qcow2Header;
  /** What the file has of the first cluster. */
  readonly headerBytes: Uint8Array;
  readonly l1: Uint8Array;
  readonly codecs: Codecs;
  readonly options: DriverOptions;
}

export class Qcow2Core {
  readonly file: Storage;
  readonly writable: WritableStorage | undefined;
  readonly codecs: Codecs;
  readonly options: DriverOptions;
  readonly lock = new AsyncMutex();
  readonly gate = new RequestGate();
  readonly inFlight = new InFlight();
  /** Sectors that are being encrypted and written. */
  readonly sectors = new InFlight();
  readonly l2: TableCache;
  header: Qcow2Header;
  geometry: Geometry;
  /** Where guest data stands: the image file or an external data file. */
  dataFile: Storage;
  /** Bytes of the data file are where they are on the disk. */
  readonly isIdentity: boolean;
  backing: Storage | undefined;
  cipher: DataCipher | undefined;
  /** Present when writable, and for `check`. */
  refcounts: Refcounts | undefined;
  guard: OverlapGuard | undefined;
  /** Called before each change of guest content: for dirty bitmaps. */
  onWrite: ((offset: number, length: number) => void) | undefined;
  /** Add what they know of metadata when the guard is built. */
  readonly guardSources: ((guard: OverlapGuard) => void)[] = [];
  isClosed = false;
  /** Found corrupt in this session: no writes any more. */
  isCorrupt = false;

  l1: Uint8Array;
  l1View: DataView;
  readonly dirtyL1 = new Set<number>();
  /** The L1 table has a new place that the header does not know. */
  newL1Offset: number | undefined;
  /** Guest data was written that an L2 entry in memory refers to: it must be flushed before that entry. */
  isDataPending = false;
  /** Runs of clusters to be freed when no table on disk refers to them: [cluster, count, 1 if they may be discarded]. */
  pendingFrees: number[] = [];
  pendingClusters = 0;
  /** Of `pendingFrees`, those that nobody refers to any more. */
  releasable: number[] = [];
  /** Clusters from here on were never used since the image was opened, and were past the end of the file then. */
  untouchedFrom: number;
  /** Next free byte after packed compressed data; 0: none. */
  compressedEnd = 0;
  /** Clusters that were decompressed last, by where their data stands; cleared when compressed data is freed or written. */
  readonly decompressed = new Map<number, Promise<Uint8Array>>();
  /** Opened dirty for `check`, and not repaired: closing does not make it clean. */
  keepsDirty = false;
  /** See `preallocation.ts`. */
  sparselyPreallocated: boolean | Promise<boolean> | undefined;
  readonly #headerCluster: HeaderCluster;
  readonly #headerLock = new AsyncMutex();
  readonly #run: Run = makeRun();

  constructor(parts: CoreParts) {
    this.file = parts.file;
    this.dataFile = parts.file;
    this.writable = parts.writable;
    this.codecs = parts.codecs;
    this.options = parts.options;
    this.header = parts.header;
    this.#headerCluster = new HeaderCluster(parts.headerBytes);
    this.geometry = new Geometry(parts.header);
    this.isIdentity = (parts.header.incompatibleFeatures & INCOMPAT_DATA_FILE) !== 0n;
    this.l1 = parts.l1;
    this.l1View = viewOf(parts.l1);
    this.l2 = new TableCache(parts.file, this.geometry.pieceBytes, parts.options.l2CacheBytes);
    this.untouchedFrom = this.geometry.clustersFor(parts.file.size);
  }

  get size(): number {
    return this.header.size;
  }

  get isDataFileRaw(): boolean {
    return (this.header.autoclearFeatures & AUTOCLEAR_DATA_FILE_RAW) !== 0n;
  }

  /** Unallocated clusters may be anything but zero, even while the backing file is left closed. */
  get hasBacking(): boolean {
    return this.backing !== undefined || this.header.backingFile !== undefined;
  }

  /** Offset of the L2 table of an L1 entry; 0: there is none. Throws on what cannot be one. Hot path. */
  l2Offset(index: number): number {
    const offset = this.l2OffsetUnchecked(index);
    if (offset % this.geometry.clusterSize !== 0 || offset > MAX_HOST_OFFSET)
      throw this.corruption(
        `L2 table offset 0x${offset.toString(16)} unaligned (L1 index: 0x${index.toString(16)})`,
        this.header.l1TableOffset + index * 8,
      );
    return offset;
  }

  l2OffsetUnchecked(index: number): number {
    return hostOffset(this.l1View.getUint32(index * 8), this.l1View.getUint32(index * 8 + 4));
  }

  isL2Owned(index: number): boolean {
    return (this.l1View.getUint32(index * 8) & COPIED_HI) !== 0;
  }

  /** Changes an L1 entry in memory. With the lock. */
  setL1(index: number, offset: number, isCopied: boolean): void {
    setU64(this.l1View, index * 8, offset);
    if (isCopied) this.l1[index * 8] = (this.l1[index * 8] as number) | 0x80;
    this.dirtyL1.add(index);
  }

  /** The piece of the L2 table that maps a guest offset, undefined when there is no table. Throws a promise's value by its type: a piece at once, or later. Hot path. */
  l2Piece(offset: number): Piece | Promise<Piece> | undefined {
    const { geometry } = this;
    const index = Math.floor(offset / geometry.l1Coverage);
    const table = this.l2Offset(index);
    if (table === 0) return undefined;
    return this.l2.load(table + Math.floor(this.entryIndex(offset) / geometry.pieceEntries) * geometry.pieceBytes);
  }

  /** Index of a guest offset's entry in its L2 table. Hot path. */
  entryIndex(offset: number): number {
    const { geometry } = this;
    return Math.floor((offset % geometry.l1Coverage) / geometry.clusterSize);
  }

  /** The run at a guest offset, of at most `want` bytes. The result is one object, overwritten by the next call. Hot path. */
  map(piece: Piece | undefined, offset: number, want: number, byCopied = false): Run {
    const { geometry } = this;
    const run = this.#run;
    if (piece === undefined) {
      run.type = UNALLOCATED;
      run.length = Math.min(want, geometry.l1Coverage - (offset % geometry.l1Coverage));
      run.isCopied = false;
      run.host = 0;
      return run;
    }
    const index = this.entryIndex(offset) % geometry.pieceEntries;
    mapRun(run, piece.view, geometry, index, offset % geometry.clusterSize, want, byCopied, this.isIdentity);
    return run;
  }

  /** Waits until requests are let in, and enters. */
  async enterGate(): Promise<ReturnType<RequestGate['enter']>> {
    while (this.gate.closed !== undefined) await this.gate.closed;
    this.checkOpen();
    return this.gate.enter();
  }

  checkOpen(): void {
    if (this.isClosed) throw new BlockError('closed', 'the image is closed');
  }

  checkWritable(): WritableStorage {
    this.checkOpen();
    if (this.writable === undefined) throw new BlockError('read-only', 'the image is open for reading only');
    if (this.isCorrupt) throw new BlockError('corrupt-image', 'the image is corrupt and cannot be written');
    return this.writable;
  }

  /**
   * What to throw when metadata is wrong. The first time, a writable image is marked corrupt on disk, so that nobody writes to it before
   * it has been checked. qcow2 spec, "Header", incompatible feature bit 1.
   */
  corruption(message: string, offset?: number): BlockError {
    if (this.writable !== undefined && !this.isCorrupt && !this.isClosed) {
      this.isCorrupt = true;
      // the caller gets its error in any case; a mark that cannot be written changes nothing for it
      if (this.header.version === 3)
        void this.updateHeader((header) => ({
          incompatibleFeatures: header.incompatibleFeatures | INCOMPAT_CORRUPT,
        })).catch(() => {});
      return new BlockError('corrupt-image', `Marking image as corrupt: ${message}`, { offset });
    }
    return new BlockError('corrupt-image', `Image is corrupt: ${message}`, { offset });
  }

  /** Refuses a write of guest data that would destroy metadata. Hot path. */
  checkOverlap(offset: number, length: number): void {
    if (this.isIdentity) return;
    if (offset + length > MAX_HOST_OFFSET)
      throw this.corruption(`Cluster offset 0x${offset.toString(16)} is too large`);
    const hit = this.guard?.hit(offset, length);
    if (hit !== undefined) throw this.corruption(`Preventing invalid write on metadata (overlaps with ${hit})`, offset);
  }

  /** Changes fields of the header on disk. Not flushed. One at a time. */
  updateHeader(change: (header: Qcow2Header) => Partial<Qcow2Header>): Promise<void> {
    return this.#headerLock.run(async () => {
      const file = this.writable;
      if (file === undefined) throw new BlockError('read-only', 'the image is open for reading only');
      const header = { ...this.header, ...change(this.header) };
      await this.#headerCluster.change(file, this.header, header);
      this.header = header;
    });
  }
}
