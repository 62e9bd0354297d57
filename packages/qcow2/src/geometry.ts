/** Sizes that follow from cluster_bits, refcount_order and extended L2 entries. qcow2 spec, "Host cluster management", "Cluster mapping". */
import { INCOMPAT_EXTL2 } from './constants.ts';
import type { Qcow2Header } from './header.ts';
import { MAX_CACHE_PIECE } from './limits.ts';

export class Geometry {
  readonly clusterBits: number;
  readonly clusterSize: number;
  readonly isExtended: boolean;
  /** Bytes of an L2 entry: 8, or 16 with a subcluster bitmap. */
  readonly entrySize: 8 | 16;
  /** L2 entries of a table. */
  readonly l2Entries: number;
  /** Guest bytes of an L1 entry. */
  readonly l1Coverage: number;
  readonly subclusters: 1 | 32;
  readonly subclusterSize: number;
  /** L2 tables and refcount blocks are cached in pieces of so many bytes. */
  readonly pieceBytes: number;
  /** L2 entries of a piece. */
  readonly pieceEntries: number;
  /** Pieces of a cluster. */
  readonly pieces: number;
  readonly refcountOrder: number;
  readonly refcountBits: number;
  /** Refcounts of a block. */
  readonly refcountsPerBlock: number;
  readonly refcountsPerPiece: number;
  /** Largest count; capped where a number is not exact any more. */
  readonly maxRefcount: number;

  constructor(header: Pick<Qcow2Header, 'clusterBits' | 'incompatibleFeatures' | 'refcountOrder'>) {
    this.clusterBits = header.clusterBits;
    this.clusterSize = 2 ** header.clusterBits;
    this.isExtended = (header.incompatibleFeatures & INCOMPAT_EXTL2) !== 0n;
    this.entrySize = this.isExtended ? 16 : 8;
    this.l2Entries = this.clusterSize / this.entrySize;
    this.l1Coverage = this.l2Entries * this.clusterSize;
    this.subclusters = this.isExtended ? 32 : 1;
    this.subclusterSize = this.clusterSize / this.subclusters;
    this.pieceBytes = Math.min(this.clusterSize, MAX_CACHE_PIECE);
    this.pieceEntries = this.pieceBytes / this.entrySize;
    this.pieces = this.clusterSize / this.pieceBytes;
    this.refcountOrder = header.refcountOrder;
    this.refcountBits = 2 ** header.refcountOrder;
    this.refcountsPerBlock = (this.clusterSize * 8) / this.refcountBits;
    this.refcountsPerPiece = (this.pieceBytes * 8) / this.refcountBits;
    this.maxRefcount = this.refcountBits >= 53 ? Number.MAX_SAFE_INTEGER : 2 ** this.refcountBits - 1;
  }

  /** Clusters that `bytes` take. */
  clustersFor(bytes: number): number {
    return Math.ceil(bytes / this.clusterSize);
  }

  /** L1 entries that a disk of `size` bytes needs. */
  l1SizeFor(size: number): number {
    return Math.ceil(size / this.l1Coverage);
  }

  alignDown(offset: number): number {
    return offset - (offset % this.clusterSize);
  }

  alignUp(offset: number): number {
    return Math.ceil(offset / this.clusterSize) * this.clusterSize;
  }
}
