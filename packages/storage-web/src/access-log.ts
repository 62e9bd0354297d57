/** Which blocks were asked for, in the order of the first time: from one run of a program, the prefetch list for the next. Bounded. */
import { MAX_ACCESSED } from './limits.ts';

/** Bytes. */
export type ByteRange = readonly [offset: number, length: number];

export class AccessLog {
  readonly #seen = new Set<number>();

  /** Blocks from `first` to `last`. */
  note(first: number, last: number): void {
    for (let index = first; index <= last && this.#seen.size < MAX_ACCESSED; index++) this.#seen.add(index);
  }

  /** Neighbours that follow each other are one range. */
  ranges(blockSize: number, size: number): ByteRange[] {
    const ranges: [number, number][] = [];
    for (const index of this.#seen) {
      const offset = index * blockSize;
      const length = Math.min(blockSize, size - offset);
      const before = ranges.at(-1);
      if (before !== undefined && before[0] + before[1] === offset) before[1] += length;
      else ranges.push([offset, length]);
    }
    return ranges;
  }
}
