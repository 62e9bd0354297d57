/**
 * A region tree flattened: sorted, disjoint ranges, each showing a part of one RAM, ROM or IO region. Immutable.
 *
 * Filled from the highest priority down: each region takes what is still free of its window.
 * Invariants: ranges ascend, do not touch unless they differ in region, contiguity or read-only flag, and none is empty.
 */
import { MAX_FLAT_RANGES } from './limits.ts';
import { MemoryMapError } from './mem-tx.ts';
import type { MemoryRegion } from './memory-region.ts';
import type { IoHandler } from './io-ops.ts';
import type { RamBlock } from './ram-block.ts';

export class FlatRange {
  /** First address. */
  readonly start: number;
  /** First address after the range. */
  readonly end: number;
  readonly region: MemoryRegion;
  /** Offset in `region` of `start`. */
  readonly regionOffset: number;
  readonly readonly: boolean;
  /** RAM or ROM contents; null for a device. */
  readonly block: RamBlock | null;
  /** Add to an address to get the offset in `block` (may be negative). */
  readonly blockDelta: number;
  readonly handler: IoHandler | null;
  /** Add to an address to get the device's register offset (may be negative). */
  readonly regionDelta: number;

  constructor(start: number, end: number, region: MemoryRegion, regionOffset: number, readonly: boolean) {
    this.start = start;
    this.end = end;
    this.region = region;
    this.regionOffset = regionOffset;
    this.readonly = readonly;
    this.block = region.block;
    this.blockDelta = region.blockOffset + regionOffset - start;
    this.handler = region.handler;
    this.regionDelta = regionOffset - start;
  }

  equals(other: FlatRange): boolean {
    return (
      this.start === other.start &&
      this.end === other.end &&
      this.region === other.region &&
      this.regionOffset === other.regionOffset &&
      this.readonly === other.readonly
    );
  }
}

export class FlatView {
  readonly ranges: readonly FlatRange[];

  constructor(ranges: readonly FlatRange[]) {
    this.ranges = ranges;
  }

  /** Index of the range that holds `address`, or -1. */
  indexOf(address: number): number {
    const ranges = this.ranges;
    let low = 0;
    let high = ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const range = ranges[middle] as FlatRange;
      if (address < range.start) high = middle - 1;
      else if (address >= range.end) low = middle + 1;
      else return middle;
    }
    return -1;
  }
}

export function flatten(root: MemoryRegion): FlatView {
  const ranges: FlatRange[] = [];
  render(ranges, root, 0, 0, root.size, false);
  return new FlatView(merge(ranges));
}

/** Draws the part of `region` that falls into `from`..`to`, with the region's byte 0 at address `base` (may be negative for aliases). */
function render(
  ranges: FlatRange[],
  region: MemoryRegion,
  base: number,
  from: number,
  to: number,
  readonly: boolean,
): void {
  if (!region.enabled) return;
  const start = Math.max(from, base);
  const end = Math.min(to, base + region.size);
  if (start >= end) return;
  const isReadonly = readonly || region.readonly;
  if (region.target !== null) {
    render(ranges, region.target, base - region.targetOffset, start, end, isReadonly);
    return;
  }
  for (const child of region.children) render(ranges, child, base + child.offset, start, end, isReadonly);
  if (region.kind !== 'container') fillGaps(ranges, region, base, start, end, isReadonly);
}

function fillGaps(
  ranges: FlatRange[],
  region: MemoryRegion,
  base: number,
  start: number,
  end: number,
  readonly: boolean,
): void {
  let at = 0;
  let position = start;
  while (at < ranges.length && (ranges[at] as FlatRange).end <= position) at++;
  while (position < end) {
    const next = ranges[at];
    const gapEnd = next === undefined ? end : Math.min(end, next.start);
    if (gapEnd > position) {
      if (ranges.length >= MAX_FLAT_RANGES) throw new MemoryMapError(`more than ${MAX_FLAT_RANGES} ranges in one view`);
      ranges.splice(at, 0, new FlatRange(position, gapEnd, region, position - base, readonly));
      at++;
    }
    if (next === undefined) return;
    position = Math.max(position, next.end);
    at++;
  }
}

function merge(ranges: readonly FlatRange[]): FlatRange[] {
  const merged: FlatRange[] = [];
  for (const range of ranges) {
    const last = merged[merged.length - 1];
    const joins =
      last !== undefined &&
      last.end === range.start &&
      last.region === range.region &&
      last.readonly === range.readonly &&
      last.regionDelta === range.regionDelta;
    if (joins)
      merged[merged.length - 1] = new FlatRange(last.start, range.end, last.region, last.regionOffset, last.readonly);
    else merged.push(range);
  }
  return merged;
}
