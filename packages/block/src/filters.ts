/** Images that stand over one other image and change how it behaves, not what it holds. Made here for programs, by `driver=...` in `openImage`. */
import { BlockError, type AbortSignal, type BlockErrorKind, type BlockImage, type Storage } from '@emkit/storage';
import type { BlockClock } from './environment.ts';

/** Units a second, 0 or absent: no limit. As QEMU's `limits.*`: bursts of up to `max` a second for `maxLength` seconds. */
export interface ThrottleLimits {
  readonly bpsTotal?: number;
  readonly bpsRead?: number;
  readonly bpsWrite?: number;
  readonly iopsTotal?: number;
  readonly iopsRead?: number;
  readonly iopsWrite?: number;
  readonly bpsTotalMax?: number;
  readonly bpsReadMax?: number;
  readonly bpsWriteMax?: number;
  readonly iopsTotalMax?: number;
  readonly iopsReadMax?: number;
  readonly iopsWriteMax?: number;
  /** Seconds; default 1. */
  readonly maxLength?: number;
  /** Bytes that count as one I/O; larger requests count as several. */
  readonly iopsSize?: number;
}
export function throttle(_child: BlockImage, _limits: ThrottleLimits, _clock: BlockClock): BlockImage {
  throw new BlockError('unsupported-feature', 'not written yet');
}

/** What is read from the backing files is written to the top image, so that it is there the next time. `child` must be writable. */
export function copyOnRead(_child: BlockImage): BlockImage {
  throw new BlockError('unsupported-feature', 'not written yet');
}

/** As the `raw` driver's `offset` and `size`: a part of a storage, as a disk. */
export function partOf(_child: Storage, _offset: number, _size?: number): BlockImage {
  throw new BlockError('unsupported-feature', 'not written yet');
}

export interface FaultRule {
  readonly op: 'read' | 'write' | 'flush' | 'writeZeroes' | 'discard' | 'truncate' | 'any';
  /** Only requests that touch these bytes; default all. */
  readonly offset?: number;
  readonly length?: number;
  /** Pass that many matching requests first. */
  readonly after?: number;
  /** One time only. */
  readonly once?: boolean;
  /** Fail with this; absent: no failure (a delay only). Default message is QEMU's "Input/output error". */
  readonly error?: BlockErrorKind;
  /** Do it, then fail: the answer was lost. */
  readonly late?: boolean;
  readonly delayNs?: number;
}
/** As QEMU's blkdebug: faults at chosen requests. `rules` may be changed while it runs. */
export function faultInjector(
  _child: BlockImage,
  _rules: readonly FaultRule[],
  _clock?: BlockClock,
): BlockImage & { rules: readonly FaultRule[] } {
  throw new BlockError('unsupported-feature', 'not written yet');
}

/** Requests reach `child` in multiples of `alignment`; what is not is read, changed and written back, never two of one place at a time. */
export function aligned(_child: BlockImage, _alignment: number, _signal?: AbortSignal): BlockImage {
  throw new BlockError('unsupported-feature', 'not written yet');
}
