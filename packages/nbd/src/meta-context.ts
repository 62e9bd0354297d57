/**
 * What a server can tell about parts of an export besides their bytes. NBD protocol, "Metadata contexts"; the names that begin with
 * `qemu:` are described in QEMU's docs/interop/nbd.txt.
 */
import type { BlockImage, DirtyRanges, IoOptions, Storage } from '@emkit/storage';
import { NBD_STATE_HOLE, NBD_STATE_ZERO } from './protocol.ts';

export interface MetaExtent {
  /** Bytes from the offset asked for, at least 1, at most what was asked for. */
  readonly length: number;
  /** 32 bits, as the context defines them. */
  readonly flags: number;
}

export interface MetaContext {
  /** `NAMESPACE:LEAF`. */
  readonly name: string;
  /** `length` > 0 and within the export. */
  extent(offset: number, length: number): Promise<MetaExtent>;
}

/** `base:allocation` of any storage; one that cannot say is data everywhere. */
export function baseAllocation(storage: Storage): MetaContext {
  return {
    name: 'base:allocation',
    async extent(offset, length) {
      if (storage.extent === undefined) return { length, flags: 0 };
      const extent = await storage.extent(offset, length);
      return {
        length: extent.length,
        flags: (extent.data ? 0 : NBD_STATE_HOLE) | (extent.zero ? NBD_STATE_ZERO : 0),
      };
    },
  };
}

const isImage = (storage: Storage): storage is BlockImage => 'status' in storage && 'backing' in storage;

/** Backing files deeper than this count as one. */
const MAX_DEPTH = 1024;

/** `qemu:allocation-depth`: 1 where the image itself has the bytes, 2 its backing file, and so on; 0 where none of them does. */
export function allocationDepth(image: Storage): MetaContext {
  return {
    name: 'qemu:allocation-depth',
    async extent(offset, length) {
      let layer: Storage = image;
      let limit = length;
      for (let depth = 1; ; depth++) {
        if (!isImage(layer) || depth === MAX_DEPTH) return { length: limit, flags: depth };
        const status: { length: number; allocated: boolean } = await layer.status(offset, limit);
        limit = Math.min(limit, status.length);
        if (status.allocated) return { length: limit, flags: depth };
        const backing: Storage | undefined = layer.backing;
        if (backing === undefined) return { length: limit, flags: 0 };
        // what a short backing file lacks counts as its own, as QEMU has it
        if (offset >= backing.size) return { length: limit, flags: depth + 1 };
        limit = Math.min(limit, backing.size - offset);
        layer = backing;
      }
    },
  };
}

/**
 * `qemu:dirty-bitmap:NAME`: bit 0 where the bitmap is set. `ranges` is asked once, at the first question, and again after `changed`
 * says that the bitmap may have changed.
 */
export function dirtyBitmap(
  name: string,
  ranges: (options?: IoOptions) => Promise<DirtyRanges> | DirtyRanges,
  changed: () => boolean = () => false,
): MetaContext {
  let known: Promise<readonly (readonly [number, number])[]> | undefined;
  return {
    name: `qemu:dirty-bitmap:${name}`,
    async extent(offset, length) {
      if (known === undefined || changed()) known = Promise.resolve(ranges()).then((all) => [...all]);
      const list = await known;
      // the first range that ends behind the offset
      let low = 0;
      for (let high = list.length; low < high;) {
        const middle = (low + high) >> 1;
        if ((list[middle] as readonly [number, number])[1] > offset) high = middle;
        else low = middle + 1;
      }
      const next = list[low];
      if (next === undefined) return { length, flags: 0 };
      if (next[0] > offset) return { length: Math.min(length, next[0] - offset), flags: 0 };
      return { length: Math.min(length, next[1] - offset), flags: 1 };
    },
  };
}

/** Contexts that `queries` choose; none: all. A query of LIST may stop after a colon and then means all below. */
export function selectContexts(
  contexts: readonly MetaContext[],
  queries: readonly string[],
  list: boolean,
): readonly MetaContext[] {
  if (list && queries.length === 0) return contexts;
  const exact = new Set(queries);
  const prefixes = list ? queries.filter((query) => query.endsWith(':')) : [];
  return contexts.filter(({ name }) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix)));
}
