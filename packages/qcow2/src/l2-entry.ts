/**
 * L2 entries: what a guest range maps to. qcow2 spec, "Cluster mapping", "Extended L2 Entries".
 *
 * Entries are read as two 32-bit halves; offsets are below 2^56 and multiples of 512, so exact in a number.
 */
import { COMPRESSED_HI, COPIED_HI, ZERO_LO } from './constants.ts';
import type { Geometry } from './geometry.ts';
import { TWO_32 } from './u64.ts';

/** What a subcluster (without extended entries: a cluster) is. `_ALLOC`: has a place in the file that is not read. */
export const UNALLOCATED = 0;
export const UNALLOCATED_ALLOC = 1;
export const ZERO_PLAIN = 2;
export const ZERO_ALLOC = 3;
export const NORMAL = 4;
export const COMPRESSED = 5;
export const INVALID = 6;

/** A stretch of guest bytes of one kind. One object is used over and over: take what is needed before the next call. */
export interface Run {
  type: number;
  /** Guest bytes from the offset asked for. */
  length: number;
  /** Where the first of them stands, for NORMAL, ZERO_ALLOC and UNALLOCATED_ALLOC; of COMPRESSED data its first byte. */
  host: number;
  /** The cluster's refcount is one. */
  isCopied: boolean;
  /** Bytes of compressed data, up to the end of its last sector. */
  compressedLength: number;
}

export function makeRun(): Run {
  return { type: UNALLOCATED, length: 0, host: 0, isCopied: false, compressedLength: 0 };
}

/** Hot path. */
export function hostOffset(hi: number, lo: number): number {
  return (hi & 0x00ffffff) * TWO_32 + ((lo & 0xfffffe00) >>> 0);
}

/** The type of subcluster `sub`. `at`: byte offset of the entry. `isIdentity`: external data file, where offset 0 is one. Hot path. */
export function entryType(view: DataView, at: number, sub: number, isExtended: boolean, isIdentity: boolean): number {
  const hi = view.getUint32(at);
  if ((hi & COMPRESSED_HI) !== 0) return COMPRESSED;
  const lo = view.getUint32(at + 4);
  const hasHost = (hi & 0x00ffffff) !== 0 || (lo & 0xfffffe00) !== 0 || (isIdentity && hi >>> 31 === 1);
  if (!isExtended) {
    if ((lo & ZERO_LO) !== 0) return hasHost ? ZERO_ALLOC : ZERO_PLAIN;
    return hasHost ? NORMAL : UNALLOCATED;
  }
  const bit = (1 << sub) >>> 0;
  const isZero = (view.getUint32(at + 8) & bit) !== 0;
  const isAllocated = (view.getUint32(at + 12) & bit) !== 0;
  if (isAllocated) return isZero || !hasHost ? INVALID : NORMAL;
  if (isZero) return hasHost ? ZERO_ALLOC : ZERO_PLAIN;
  return hasHost ? UNALLOCATED_ALLOC : UNALLOCATED;
}

/** Fills `run` with the compressed descriptor of an entry; x of the spec is 62 - (cluster_bits - 8). */
export function compressedExtent(run: Run, hi: number, lo: number, clusterBits: number): void {
  const shift = 70 - clusterBits - 32;
  const offset = ((hi & 0x3fffffff) % 2 ** shift) * TWO_32 + lo;
  const sectors = Math.floor((hi & 0x3fffffff) / 2 ** shift);
  run.host = offset;
  run.compressedLength = (sectors + 1) * 512 - (offset % 512);
}

/** The upper half of the entry for compressed data; the lower half is the offset's own. */
export function compressedHi(offset: number, length: number, clusterBits: number): number {
  const shift = 70 - clusterBits - 32;
  const sectors = Math.floor((offset + length - 1) / 512) - Math.floor(offset / 512);
  return (COMPRESSED_HI | (Math.floor(offset / TWO_32) + sectors * 2 ** shift)) >>> 0;
}

/**
 * The run of one kind that begins at byte `within` of the cluster of entry `index`, inside this piece of a table and of at most `want`
 * bytes. With `byCopied`, it ends where the COPIED flag changes. Hot path.
 */
export function mapRun(
  run: Run,
  view: DataView,
  geometry: Geometry,
  index: number,
  within: number,
  want: number,
  byCopied: boolean,
  isIdentity: boolean,
): void {
  const { clusterSize, entrySize, isExtended, subclusters, subclusterSize } = geometry;
  let at = index * entrySize;
  let sub = isExtended ? Math.floor(within / subclusterSize) : 0;
  const type = entryType(view, at, sub, isExtended, isIdentity);
  const hi = view.getUint32(at);
  const lo = view.getUint32(at + 4);
  run.type = type;
  run.isCopied = (hi & COPIED_HI) !== 0;
  run.compressedLength = 0;
  if (type === COMPRESSED) {
    compressedExtent(run, hi, lo, geometry.clusterBits);
    run.length = Math.min(want, clusterSize - within);
    return;
  }
  const hasHost = type === NORMAL || type === ZERO_ALLOC || type === UNALLOCATED_ALLOC;
  const host = hasHost ? hostOffset(hi, lo) : 0;
  run.host = hasHost ? host + within : 0;
  let length = subclusterSize - (within % subclusterSize);
  const end = geometry.pieceBytes;
  let clusters = 0;
  if (!isExtended) {
    const step = hasHost ? clusterSize : 0;
    clusters = sameEntries(
      view,
      at,
      step,
      Math.min((end - at) / entrySize - 1, Math.ceil((want - length) / clusterSize)),
    );
    at += clusters * entrySize;
    length += clusters * clusterSize;
  }
  while (length < want) {
    if (++sub === subclusters) {
      sub = 0;
      clusters++;
      at += entrySize;
      if (at >= end) break;
      const nextHi = view.getUint32(at);
      if (byCopied && ((nextHi & COPIED_HI) !== 0) !== run.isCopied) break;
      if (hasHost && hostOffset(nextHi, view.getUint32(at + 4)) !== host + clusters * clusterSize) break;
    }
    if (entryType(view, at, sub, isExtended, isIdentity) !== type) break;
    length += subclusterSize;
  }
  run.length = Math.min(length, want);
}

/**
 * How many of the next plain entries are this one again, each `step` further in the file. Not past a multiple of 4 GiB, from where on the upper half is
 * another. Words are read as signed ones: unsigned ones of 32 bits are objects on the heap in code that V8 has not optimised. Hot path.
 */
function sameEntries(view: DataView, at: number, step: number, most: number): number {
  const hi = view.getInt32(at);
  let lo = view.getInt32(at + 4);
  const last = step === 0 ? most : Math.min(most, Math.floor((TWO_32 - 1 - (lo >>> 0)) / step));
  for (let count = 0; count < last; count++) {
    at += 8;
    lo = (lo + step) | 0;
    if (view.getInt32(at) !== hi || view.getInt32(at + 4) !== lo) return count;
  }
  return Math.max(0, last);
}
