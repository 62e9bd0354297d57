/** Copies one disk to another, by what their images know of data and zeroes: `convert`, and the engine of the jobs. */
import { BlockError, type BlockImage, type IoOptions, type Storage } from '@emkit/storage';
import type { BlockClock } from './environment.ts';

export interface CopyOptions extends IoOptions {
  /** Copied range of the source; default all of it. It goes to the same offsets of the target plus `targetOffset`. */
  readonly offset?: number | undefined;
  readonly length?: number | undefined;
  readonly targetOffset?: number | undefined;
  /** Runs of zeroes at least this long are not written (`-S`); 0: everything is written out as data. Default 4096. */
  readonly minZeroRun?: number | undefined;
  /** The target reads as zero where it was not written (a new image): zeroes are skipped. Default false: they are written. */
  readonly targetIsZero?: boolean | undefined;
  /** What the source's chain down to this image does not have is left alone, since the target has the same backing file (`-B`). */
  readonly sharedBacking?: Storage | 'all' | undefined;
  /** Requests at a time (`-m`), 1 to 16 in QEMU; default 8. */
  readonly parallel?: number | undefined;
  /** Writes may overtake each other (`-W`). */
  readonly outOfOrder?: boolean | undefined;
  /** Cluster by cluster through `writeCompressed` (`-c`). */
  readonly compressed?: boolean | undefined;
  /** Bytes per request; default 2 MiB. */
  readonly bufferSize?: number | undefined;
  /** Bytes a second (`-r`). */
  readonly speed?: number | undefined;
  readonly clock?: BlockClock | undefined;
  /** Unreadable parts are written as zeroes and counted (`--salvage`). */
  readonly salvage?: ((error: unknown, offset: number, length: number) => void) | undefined;
  /** Bytes of the range that are done, of all; called at least once a buffer. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface CopyResult {
  /** Bytes written as data, and as zeroes or left out as such. */
  readonly dataBytes: number;
  readonly zeroBytes: number;
}

/** The target is at least as large, and is not flushed. A signal ends it with `aborted`, and nothing is in flight when it rejects. */
export function copyImage(
  _source: BlockImage | Storage,
  _target: BlockImage | Storage,
  _options: CopyOptions = {},
): Promise<CopyResult> {
  throw new BlockError('unsupported-feature', 'not written yet');
}
