/**
 * The small storage interface: what a disk format needs from the world, and all of it that a reader must provide is `size` and
 * `read`. A file, a byte array, a Blob, a URL, a network block device and an open disk image are all storages.
 *
 * Offsets and lengths are bytes, safe integers (up to 2^53-1: 8 PiB). Calls may overlap in time; a storage does not order them: who
 * needs "this before that" awaits this first. Written data may be lost in a crash until `flush` has resolved.
 *
 * A method that rejects does so with a `BlockError`; what a failed write has changed is undefined within its range, and nothing
 * outside of it has changed.
 */

/** Options of every request. */
export interface IoOptions {
  /** Ends the request early with a `BlockError` of kind `aborted`; a write may then have been done in part. */
  readonly signal?: AbortSignal | undefined;
}

/** The part of the web's AbortSignal that is used here, so that no DOM types are needed. */
export interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface ZeroOptions extends IoOptions {
  /** The space may be given back, so that a later write can fail for lack of it. */
  readonly unmap?: boolean | undefined;
}

/** What is known about a range that begins at the offset asked for. */
export interface Extent {
  /** Bytes from the offset asked for to which this applies; at least 1, at most what was asked for. */
  readonly length: number;
  /** Reads as zeroes for certain. */
  readonly zero: boolean;
  /** Is backed by space of its own. False with `zero`: a hole. */
  readonly data: boolean;
}

/** Read-only storage is one without `write`. */
export interface Storage {
  /** Bytes. Grows with writes past the end where those are possible, and with `truncate`. */
  readonly size: number;
  /**
   * True when a call may block the thread until it is done, and returns a settled promise: the fastest way where blocking is right
   * (a command line tool, a worker), the wrong one on a thread that serves others.
   */
  readonly mayBlock?: boolean | undefined;
  /** For messages: a path, a URL. */
  readonly name?: string | undefined;
  /** Fills `buffer` from `offset`. Bytes at and past `size` read as zero. `buffer` belongs to the callee until the promise settles. */
  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void>;
  /** Writes all of `buffer` at `offset`, growing the storage if need be. */
  write?(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void>;
  /** Resolves when every write that had resolved before the call will survive a crash. */
  flush?(options?: IoOptions): Promise<void>;
  /** Sets `size`; a grown part reads as zero. */
  truncate?(size: number, options?: IoOptions): Promise<void>;
  /** Gives up whatever it holds; further calls reject. Does not flush. */
  close?(): Promise<void>;

  /** Makes a range read as zero, cheaply if possible. Absent: write zeroes. May grow the storage. */
  writeZeroes?(offset: number, length: number, options?: ZeroOptions): Promise<void>;
  /** The range's content is not needed any more: it reads as it did or as zeroes. A hint; absent: nothing happens. */
  discard?(offset: number, length: number, options?: IoOptions): Promise<void>;
  /** What is known about the range; absent: everything is data. `length` > 0 and within `size`. */
  extent?(offset: number, length: number, options?: IoOptions): Promise<Extent>;
}

/** A storage that can be written. */
export type WritableStorage = Storage & Required<Pick<Storage, 'write' | 'flush' | 'truncate'>>;
