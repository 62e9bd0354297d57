/** Where in a buffer the zeroes are, in whole units: what a sparse copy goes by. */
import { isZero } from '@emkit/storage';

/** Length of the run of units that begins at `from` and is all zero or all not; `zero` says which. Hot path. */
export function nextRun(
  bytes: Uint8Array,
  from: number,
  unit: number,
): { readonly length: number; readonly zero: boolean } {
  const zero = isZero(bytes.subarray(from, from + unit));
  let end = Math.min(from + unit, bytes.length);
  while (end < bytes.length && isZero(bytes.subarray(end, end + unit)) === zero)
    end = Math.min(end + unit, bytes.length);
  return { length: end - from, zero };
}
