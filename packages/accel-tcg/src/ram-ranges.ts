/** Where the page walker in the core module finds plain RAM: the largest ranges of the flat view that lie in the one memory. */
import { MMU } from '@emkit/codegen';
import type { FlatRange } from '@emkit/memory';

const PAGE = 4096;

/** Whole pages of writable RAM in a range, as the walker wants them; null: none. */
function pagesOf(range: FlatRange): { first: number; count: number; host: number } | null {
  const { block } = range;
  if (block === null || block.hostOffset < 0 || range.readonly) return null;
  const first = Math.ceil(range.start / PAGE);
  const count = Math.floor(range.end / PAGE) - first;
  const host = block.hostOffset + range.blockDelta + first * PAGE;
  return count > 0 && host % PAGE === 0 ? { first, count, host: host / PAGE } : null;
}

/** What does not fit into the table is script's to find. */
export function writeRamRanges(i32: Int32Array, ranges: readonly FlatRange[]): void {
  const plain = ranges.map(pagesOf).filter((r) => r !== null);
  plain.sort((a, b) => b.count - a.count);
  for (let k = 0; k < MMU.RANGE_COUNT; k++) {
    const at = (MMU.RANGES + k * MMU.RANGE_SIZE) >> 2;
    const r = plain[k];
    i32[at] = r?.first ?? 0;
    i32[at + 1] = r?.count ?? 0;
    i32[at + 2] = r?.host ?? 0;
  }
}
