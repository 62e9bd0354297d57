/** Bounds on what an image may ask for. All are checked before anything is allocated or read. */

/** Text of a descriptor. As QEMU's. */
export const MAX_DESCRIPTOR_BYTES = (1 << 20) - 1;

/** Extents of one disk: 32 TiB in pieces of 2 GiB. */
export const MAX_EXTENTS = 16384;

/** Entries of a grain directory. As QEMU's; with the usual 512 grains of 64 KiB in a table this is 1 PiB. Directories are read in pieces. */
export const MAX_DIRECTORY_ENTRIES = 32 * 1024 * 1024;

/** Entries of a grain table of a hosted sparse extent. The format says 512. */
export const MAX_TABLE_ENTRIES = 512;

/** Bytes of a grain: 1 GiB. As QEMU's. No buffer of this size is ever made. */
export const MAX_GRAIN_BYTES = 0x200000 * 512;

/** Bytes of a grain that is compressed: it has to be in memory as a whole. Writers use 64 KiB. Its packed form may be twice that. */
export const MAX_COMPRESSED_GRAIN_BYTES = 1024 * 1024;

/** Depth of a chain of parents. */
export const MAX_PARENTS = 128;

/** Memory for grain tables, decoded, of all extents of one image. */
export const TABLE_CACHE_BYTES = 4 * 1024 * 1024;

/** Grain tables with entries that are not on disk yet, of one extent; one more, and they are written. */
export const MAX_DIRTY_TABLES = 256;

/** Memory for pieces of grain directories, decoded, of all extents of one image. */
export const DIRECTORY_CACHE_BYTES = 1024 * 1024;

/** Memory for grains that were decompressed, of all extents of one image; one grain is always kept. */
export const GRAIN_CACHE_BYTES = 1024 * 1024;

/** Parts of one request that are under way at once. */
export const MAX_PARALLEL_RUNS = 32;
