/** Named limits of the format and of this implementation; each is tested at the limit and beyond. qcow2 spec, "Header". */

/** 512 bytes (spec) to 2 MiB (what QEMU opens). */
export const MIN_CLUSTER_BITS = 9;
export const MAX_CLUSTER_BITS = 21;
/** Extended L2 entries need clusters of 16 KiB, so that a subcluster is a sector or more. */
export const MIN_EXTENDED_CLUSTER_BITS = 14;
/** refcount_bits = 1 << refcount_order. */
export const MAX_REFCOUNT_ORDER = 6;
/** Bytes of an L1 table, as QEMU. */
export const MAX_L1_BYTES = 32 * 1024 * 1024;
/** Bytes of the refcount table, as QEMU. */
export const MAX_REFCOUNT_TABLE_BYTES = 8 * 1024 * 1024;
export const MAX_SNAPSHOTS = 65536;
/** Bytes of a backing file name. */
export const MAX_BACKING_NAME_BYTES = 1023;
/** Bytes of a format name in its header extension: what fits QEMU's buffer. */
export const MAX_FORMAT_NAME_BYTES = 15;
/** Header extensions of one image; the first cluster bounds them too. */
export const MAX_HEADER_EXTENSIONS = 4096;
/** Host offsets have 56 bits in the tables (spec, "Cluster mapping"); a number is exact to 53. */
export const MAX_HOST_OFFSET = 2 ** 53 - 2 ** MAX_CLUSTER_BITS;
/** Bytes of a virtual disk. */
export const MAX_VIRTUAL_SIZE = 2 ** 53 - 2 ** MAX_CLUSTER_BITS;

/** Default bytes of L2 tables in memory, and of refcount blocks. */
export const DEFAULT_L2_CACHE_BYTES = 32 * 1024 * 1024;
export const DEFAULT_REFCOUNT_CACHE_BYTES = 8 * 1024 * 1024;
/** L2 tables and refcount blocks are cached in pieces of at most this size. */
export const MAX_CACHE_PIECE = 65536;
/** Freed runs of clusters that may wait for the next commit. */
export const MAX_PENDING_FREES = 32768;
/** Bytes that one request of ours to the storage has at most, when it is ours to choose. */
export const MAX_COPY_BYTES = 4 * 1024 * 1024;
/** Lines of a check's report; further findings are counted only. */
export const MAX_REPORT_LINES = 100_000;
/** Bytes of L1 tables that a check looks at, snapshots' included. */
export const MAX_CHECK_TABLE_BYTES = 2 ** 34;
/** Bytes of a snapshot's extra data, and of the whole snapshot table, as QEMU. */
export const MAX_SNAPSHOT_EXTRA_BYTES = 1024;
export const MAX_SNAPSHOT_TABLE_BYTES = 64 * 1024 * 1024;
/** Persistent bitmaps: how many, bytes of their directory, of one bitmap, of a name; all as QEMU. */
export const MAX_BITMAPS = 65535;
export const MAX_BITMAP_DIRECTORY_BYTES = 1024 * 65535;
export const MAX_BITMAP_BYTES = 512 * 1024 * 1024;
export const MAX_BITMAP_NAME_BYTES = 1023;
export const MIN_GRANULARITY_BITS = 9;
export const MAX_GRANULARITY_BITS = 31;
