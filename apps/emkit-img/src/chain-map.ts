/** Which file of a chain decides each part of a disk, equal neighbours joined: what `map` prints. */
import { mapStatus } from '@emkit/block';
import type { BlockImage } from '@emkit/storage';

export interface MapEntry {
  readonly start: number;
  length: number;
  /** 0 is the image itself, 1 its backing file, ... */
  readonly depth: number;
  /** Some image of the chain has it. */
  readonly present: boolean;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset: number | undefined;
  readonly filename: string | undefined;
}

export async function* mapChain(top: BlockImage, start: number, length: number): AsyncGenerator<MapEntry> {
  let pending: MapEntry | undefined;
  for (let at = start; at < start + length;) {
    const next = await entryAt(top, at, start + length - at);
    if (pending !== undefined && joins(pending, next)) pending.length += next.length;
    else {
      if (pending !== undefined) yield pending;
      pending = next;
    }
    at += next.length;
  }
  if (pending !== undefined) yield pending;
}

async function entryAt(top: BlockImage, start: number, most: number): Promise<MapEntry> {
  const { length, depth, allocated, zero, data, offset, file, image } = await mapStatus(top, start, most);
  const holder = 'file' in image ? (image as BlockImage).file : image;
  return {
    start,
    length,
    depth,
    present: allocated,
    zero,
    data,
    offset,
    filename: offset === undefined ? undefined : (file ?? holder.name),
  };
}

function joins(a: MapEntry, b: MapEntry): boolean {
  return (
    a.zero === b.zero &&
    a.data === b.data &&
    a.present === b.present &&
    a.depth === b.depth &&
    a.filename === b.filename &&
    (a.offset === undefined ? b.offset === undefined : b.offset === a.offset + a.length)
  );
}
