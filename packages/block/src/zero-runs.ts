/** Where in a buffer the zeroes are, in whole units: what a sparse copy goes by. */
import { isZero } from '@emkit/storage';

/** Zeroes come in long runs: each step that was zero is followed by one so many times as long. */
const GROWTH = 4;

/** Length of the run of units that begins at `from` and is all zero or all not; `zero` says which. Hot path. */
export function nextRun(
  bytes: Uint8Array,
  from: number,
  unit: number,
): { readonly length: number; readonly zero: boolean } {
  const { length } = bytes;
  const zero = isZero(bytes.subarray(from, from + unit));
  let end = Math.min(from + unit, length);
  if (zero) {
    for (let step = unit; end < length;) {
      if (isZero(bytes.subarray(end, end + step))) {
        end = Math.min(end + step, length);
        step *= GROWTH;
      } else if (step === unit) break;
      else step = unit;
    }
  } else {
    for (; end < length; end += unit) {
      // most units of data show themselves by their first byte
      while (end < length && bytes[end] !== 0) end += unit;
      if (end >= length || isZero(bytes.subarray(end, end + unit))) break;
    }
    end = Math.min(end, length);
  }
  return { length: end - from, zero };
}
