/**
 * A disk format as a value (`BlockDriver`), and an open disk (`BlockImage`). An image is itself a storage, the virtual disk, so images
 * stack. What a format cannot do is an absent method, never one that throws "not supported".
 *
 * Crash safety is the format's: whatever the order in which un-flushed writes reach the disk below, an image that is opened again has
 * everything that was acknowledged and then flushed, and `check` finds at worst leaks.
 */
import type { ImageInfo } from './image-info.ts';
import type { Extent, IoOptions, Storage } from './storage.ts';

/** A part of the virtual disk. As QEMU's "block status". */
export interface BlockStatus extends Extent {
  /** This image itself decides what is read here; false: its backing file does, or zeroes where there is none. */
  readonly allocated: boolean;
  /** Where in the image file (or `file`) the bytes stand as they are, if they do; compressed or encrypted bytes have none. */
  readonly offset?: number | undefined;
  /** Name of the file that `offset` counts in, when it is not the image file. */
  readonly file?: string | undefined;
  readonly compressed?: boolean | undefined;
}

/** How an image refers to another file. Every byte of it comes from the image and is not to be trusted. */
export interface Reference {
  readonly kind: 'backing' | 'data-file' | 'extent' | 'parent';
  /** As it stands in the image: a path, relative to the image that has it, or `json:{...}`, or `nbd://...`. */
  readonly name: string;
  /** Name of the format that the image says it has. */
  readonly format?: string | undefined;
  /** Open for writing. */
  readonly writable?: boolean | undefined;
  /** Bytes, if the image knows. */
  readonly size?: number | undefined;
}

/**
 * Opens (and for new images makes) the files that an image names. Without one, an image that needs another file does not open: to follow
 * a name out of an image is the caller's decision.
 */
export interface Resolver {
  open(reference: Reference, options?: IoOptions): Promise<Storage>;
  /** A new, empty file beside the image; replaces one of the same name. */
  create?(name: string, options?: IoOptions): Promise<Storage>;
}

export interface OpenOptions extends IoOptions {
  /** Default: true exactly when the storage has no `write`. A read-only image changes no byte, not even to repair itself. */
  readonly readOnly?: boolean | undefined;
  /** `none`: leave the backing file closed, as `info` and `check` do (unallocated parts then read as zeroes); default: `resolver` opens it. */
  readonly backing?: 'none' | Storage | undefined;
  readonly resolver?: Resolver | undefined;
  /** Leave every other file closed too (data file, extents): only metadata can then be read. As QEMU's `BDRV_O_NO_IO`. */
  readonly metadataOnly?: boolean | undefined;
  /** Open a dirty image without repairing it first: for `check`. */
  readonly forCheck?: boolean | undefined;
  /** The passphrase of an encrypted image, UTF-8. */
  readonly secret?: (() => Promise<Uint8Array> | Uint8Array) | undefined;
  /** The driver's own, in QEMU's names and string values ("lazy-refcounts": "on"). Unknown ones are `invalid-option`. */
  readonly driverOptions?: Readonly<Record<string, string>> | undefined;
}

/** One `-o` option: the table behind `create`, `amend`, `-o help`. A format's rows stand in the order in which `create` names them. */
export interface OptionSpec {
  readonly name: string;
  readonly type: 'string' | 'size' | 'bool' | 'number' | 'enum';
  readonly values?: readonly string[] | undefined;
  /** The value that `create` names where none was given; absent: it is not named then. */
  readonly default?: string | undefined;
  readonly help: string;
  /** `amend` may change it. */
  readonly amendable?: boolean | undefined;
}

export interface CreateOptions extends IoOptions {
  /** Virtual bytes. */
  readonly size: number;
  /** `-o` options by name, values as typed (sizes as decimal bytes). Unknown ones are `invalid-option`. */
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** For formats of several files, and for a backing file whose size is to be taken over or checked. */
  readonly resolver?: Resolver | undefined;
  readonly secret?: (() => Promise<Uint8Array> | Uint8Array) | undefined;
  /** For what is random (salts, UUIDs, CIDs); default: the platform's `crypto.getRandomValues`. */
  readonly random?: ((bytes: Uint8Array) => void) | undefined;
}

/** Space that an image would take; bytes. As `qemu-img measure`. */
export interface Measurement {
  /** File size of a new image with the data that was measured. */
  readonly required: number;
  /** File size when all of the disk is written. */
  readonly fullyAllocated: number;
  /** For persistent bitmaps, when there are any. */
  readonly bitmaps?: number | undefined;
}

export interface BlockDriver {
  /** As in `-f NAME`. */
  readonly name: string;
  /** How sure the driver is that this is its format, 0 (not) to 100 (magic and version fit). `head`: the first 2048 bytes, fewer when the file is shorter. */
  probe(head: Uint8Array, name?: string): number;
  open(storage: Storage, options?: OpenOptions): Promise<BlockImage>;
  /** Writes an empty image into `storage`, which is truncated first. */
  create?(storage: Storage, options: CreateOptions): Promise<void>;
  readonly createOptions?: readonly OptionSpec[] | undefined;
  /** `dataBytes(granularity)` gives the bytes of the source that are data when it is cut into pieces of that size. */
  measure?(options: CreateOptions, dataBytes: (granularity: number) => Promise<number>): Promise<Measurement>;
}

export type Preallocation = 'off' | 'metadata' | 'falloc' | 'full';

export interface ResizeOptions extends IoOptions {
  readonly preallocation?: Preallocation | undefined;
  /** Without it a smaller size is refused with `invalid-option`, since data is lost. */
  readonly shrink?: boolean | undefined;
}

/** What `check` found and did; QEMU's words. Counts are clusters. */
export interface CheckResult {
  readonly corruptions: number;
  readonly corruptionsFixed: number;
  readonly leaks: number;
  readonly leaksFixed: number;
  /** Things that could not be looked at. */
  readonly checkErrors: number;
  readonly imageEndOffset?: number | undefined;
  readonly totalClusters?: number | undefined;
  readonly allocatedClusters?: number | undefined;
  readonly fragmentedClusters?: number | undefined;
  readonly compressedClusters?: number | undefined;
}

export interface CheckOptions extends IoOptions {
  /** What to repair; default nothing. */
  readonly repair?: 'leaks' | 'all' | undefined;
  /** One line for each finding, in QEMU's words, without the newline. */
  readonly report?: ((line: string) => void) | undefined;
}

export interface BlockImage extends Storage {
  readonly driver: string;
  /** Virtual bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Requests that are multiples of this take no read-modify-write; 1 if nothing matters. */
  readonly alignment: number;
  /** Unit of allocation, bytes, if there is one. */
  readonly clusterSize?: number | undefined;
  /** The image file. */
  readonly file: Storage;
  /** Read where this image has nothing; shorter than this image: zeroes follow. */
  readonly backing: Storage | undefined;
  /** What the header says about the backing file, whether it is open or not. */
  readonly backingReference: Reference | undefined;

  /** Of this layer only. `length` > 0 and within `size`. */
  status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus>;
  info(options?: IoOptions): Promise<ImageInfo>;
  /** Flushes, marks the image clean, and closes it with what it opened itself; the storages it was given stay open. */
  close(): Promise<void>;

  check?(options?: CheckOptions): Promise<CheckResult>;
  resize?(size: number, options?: ResizeOptions): Promise<void>;
  /**
   * `data` is whole clusters, of which the last may be cut by the disk's end; the range must be unallocated or is replaced. None all zero: that is
   * `writeZeroes`.
   */
  writeCompressed?(offset: number, data: Uint8Array, options?: IoOptions): Promise<void>;
  /** Unallocate: the backing file (or zeroes) shows again. For commit; cluster-aligned. */
  unallocate?(offset: number, length: number, options?: IoOptions): Promise<void>;
  /** Unallocate everything: after a commit. */
  makeEmpty?(options?: IoOptions): Promise<void>;
  /** Puts another storage behind this image, without a change to the file. The old one stays open and is the caller's. */
  setBacking?(backing: Storage | undefined): void;
  /** Changes the name in the header; undefined: no backing file. */
  setBackingReference?(reference: { name: string; format?: string | undefined } | undefined): Promise<void>;
  /** Changes options of an existing image; progress in parts of the whole, 0 to 1. */
  amend?(
    options: Readonly<Record<string, string>>,
    extra?: IoOptions & {
      readonly onProgress?: (done: number) => void;
      readonly force?: boolean;
      /** The secret that an option names by its ID, UTF-8. */
      readonly secrets?: (id: string) => Promise<Uint8Array> | Uint8Array;
    },
  ): Promise<void>;
  readonly snapshots?: SnapshotStore | undefined;
  readonly bitmaps?: BitmapStore | undefined;
}

/** An internal snapshot. */
export interface SnapshotInfo {
  /** Unique within the image. */
  readonly id: string;
  readonly name: string;
  /** Bytes of saved machine state; 0: disk only. */
  readonly vmStateSize: number;
  /** ms since 1970. */
  readonly date: number;
  /** Virtual time of the guest, ns. */
  readonly vmClock: number;
  /** Instructions executed; undefined: not recorded. */
  readonly icount?: number | undefined;
  /** Virtual bytes of the disk when it was taken. */
  readonly diskSize: number;
}

export interface SnapshotStore {
  list(): readonly SnapshotInfo[];
  create(
    snapshot: { name: string; date?: number; vmClock?: number; icount?: number; vmState?: Uint8Array },
    options?: IoOptions,
  ): Promise<SnapshotInfo>;
  /** The disk becomes what it was. `key`: an ID or a name, looked up in this order. */
  apply(key: string, options?: IoOptions): Promise<void>;
  delete(key: string, options?: IoOptions): Promise<void>;
  /** The disk as it was, read only. Valid until the image is closed or the snapshot deleted. */
  open(key: string): Promise<Storage & { status(offset: number, length: number): Promise<BlockStatus> }>;
  /** Fills `buffer` from the saved machine state. */
  readVmState(key: string, offset: number, buffer: Uint8Array): Promise<void>;
}

/** A persistent dirty bitmap. */
export interface BitmapInfo {
  readonly name: string;
  /** Bytes per bit, a power of two. */
  readonly granularity: number;
  /** Records writes while the image is open. */
  readonly enabled: boolean;
  /** It was not closed in order: its content cannot be trusted. */
  readonly inUse: boolean;
}

export interface BitmapStore {
  list(): readonly BitmapInfo[];
  add(bitmap: { name: string; granularity?: number; enabled?: boolean }): Promise<void>;
  remove(name: string): Promise<void>;
  clear(name: string): Promise<void>;
  setEnabled(name: string, enabled: boolean): Promise<void>;
  /** Sets in `target` what is dirty in `source`, which may be another image's. */
  merge(target: string, source: DirtyRanges): Promise<void>;
  dirtyRanges(name: string): Promise<DirtyRanges>;
}

/** Dirty parts in order, byte ranges [start, end). */
export type DirtyRanges = Iterable<readonly [start: number, end: number]>;
