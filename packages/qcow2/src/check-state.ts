/** What the parts of a check share: the image as it stands on disk, the counters, and the lines of the report. */
import { checkAborted, type AbortSignal, type Storage, type WritableStorage } from '@emkit/storage';
import { INCOMPAT_DATA_FILE } from './constants.ts';
import { Geometry } from './geometry.ts';
import type { Qcow2Header } from './header.ts';
import { MAX_REPORT_LINES } from './limits.ts';
import { viewOf } from './u64.ts';

export interface CheckTarget {
  readonly file: Storage;
  readonly header: Qcow2Header;
  /** For a repair. */
  readonly writer?: WritableStorage | undefined;
  /** Changes fields of the header on disk; not flushed. */
  readonly updateHeader?: ((change: Partial<Qcow2Header>) => Promise<void>) | undefined;
}

const READ_BYTES = 1024 * 1024;

export class CheckState {
  readonly file: Storage;
  readonly header: Qcow2Header;
  readonly geometry: Geometry;
  readonly hasDataFile: boolean;
  readonly fileSize: number;
  /** Clusters of the file, the last one maybe cut. */
  readonly fileClusters: number;
  readonly signal: AbortSignal | undefined;
  corruptions = 0;
  corruptionsFixed = 0;
  leaks = 0;
  leaksFixed = 0;
  checkErrors = 0;
  allocated = 0;
  compressed = 0;
  fragmented = 0;
  readonly #report: ((line: string) => void) | undefined;
  #lines = 0;

  constructor(target: CheckTarget, report: ((line: string) => void) | undefined, signal: AbortSignal | undefined) {
    this.file = target.file;
    this.header = target.header;
    this.geometry = new Geometry(target.header);
    this.hasDataFile = (target.header.incompatibleFeatures & INCOMPAT_DATA_FILE) !== 0n;
    this.fileSize = target.file.size;
    this.fileClusters = this.geometry.clustersFor(this.fileSize);
    this.#report = report;
    this.signal = signal;
  }

  /** A finding, in QEMU's words. Counted by the caller; only so many are listed. */
  line(text: string): void {
    if (this.#report === undefined || this.#lines > MAX_REPORT_LINES) return;
    this.#report(this.#lines++ === MAX_REPORT_LINES ? 'Further findings are counted, but not listed' : text);
  }

  corruption(text: string, times = 1): void {
    this.corruptions += times;
    this.line(text);
  }

  error(text: string): void {
    this.checkErrors++;
    this.line(text);
  }

  /** Calls `body` with a table of big-endian entries, piece by piece, without reading past the end of the file. */
  async eachPiece(
    offset: number,
    length: number,
    body: (view: DataView, at: number) => Promise<void> | void,
  ): Promise<void> {
    const end = Math.min(length, Math.max(0, this.fileSize - offset));
    for (let at = 0; at < end; at += READ_BYTES) {
      checkAborted(this.signal);
      const bytes = new Uint8Array(Math.min(READ_BYTES, Math.ceil((end - at) / 16) * 16, length - at));
      await this.file.read(offset + at, bytes);
      await body(viewOf(bytes), at);
    }
  }
}

const hex = (value: number): string => value.toString(16);

/** A 64-bit entry as C prints it with %x. */
export const hex64 = (hi: number, lo: number): string => (hi === 0 ? hex(lo) : hex(hi) + hex(lo).padStart(8, '0'));
