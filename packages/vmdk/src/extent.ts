/** What a disk is made of: an extent is a range of the disk with a file of its own, or without one. Offsets here count from its beginning. */
import type { BlockStatus, IoOptions, Storage } from '@emkit/storage';

/** What shows where an extent has nothing: the parent disk. Offsets are those of the whole disk. */
export interface Below {
  /** Bytes of the parent; 0: there is none. */
  readonly size: number;
  /** Fills the buffer; zeroes past the parent's end. */
  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void>;
}

export interface VmdkExtent {
  /** Where it begins in the disk. */
  readonly start: number;
  readonly length: number;
  /** For `info`: the extent's type as in the descriptor; empty for the image file itself. */
  readonly format: string;
  readonly filename: string;
  readonly grainBytes?: number | undefined;
  readonly compressed?: boolean | undefined;
  readonly file: Storage | undefined;
  /** Why it cannot be written, if so. */
  readonly readOnlyReason: string | undefined;

  read(at: number, buffer: Uint8Array, options?: IoOptions): Promise<void>;
  write(at: number, data: Uint8Array, options?: IoOptions): Promise<void>;
  writeZeroes(at: number, length: number, options?: IoOptions): Promise<void>;
  status(at: number, length: number, options?: IoOptions): Promise<BlockStatus>;
  /** Everything that was written is on disk when it resolves. */
  flush(options?: IoOptions): Promise<void>;
  /** Says that the file was closed in order. Called after `flush`. */
  finish(): Promise<void>;
  /** Looks at all metadata; reports and throws at the first thing that is wrong. */
  check(report: (line: string) => void, options?: IoOptions): Promise<void>;
}
