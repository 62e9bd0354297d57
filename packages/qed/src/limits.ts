/** Limits of QED images: what the format allows, and what this code takes for its work. */

/** Bytes; QED spec, "Field descriptions": cluster_size is a power of 2 in [2^12, 2^26]. */
export const MIN_CLUSTER_SIZE = 2 ** 12;
export const MAX_CLUSTER_SIZE = 2 ** 26;

/** Clusters; QED spec, "Field descriptions": table_size is a power of 2 in [1, 16]. */
export const MAX_TABLE_SIZE = 16;

/** Bytes of a backing file's name. */
export const MAX_BACKING_NAME = 1023;

/** Bytes of virtual disk: a safe integer, whole sectors. */
export const MAX_IMAGE_SIZE = Math.floor(Number.MAX_SAFE_INTEGER / 512) * 512;

/** Tables are read and cached in slices of at most this many bytes, since one table may have 1 GiB. */
export const SLICE_SIZE = 65536;

/** Bytes of cached slices per open image. */
export const TABLE_CACHE_SIZE = 8 << 20;

/** Bytes that are copied at once from the backing file, or zeroed. */
export const COPY_CHUNK = 1 << 20;

/** Slices of tables that one `status` looks at before it answers with what it has. */
export const STATUS_SLICES = 128;

/** Bytes of L2 tables that a check reads before it gives up: the tables of 64 TiB in clusters of 64 KiB have 8 GiB. */
export const MAX_CHECKED_BYTES = 2 ** 34;

/** Bytes for the map of used clusters during a check. */
export const MAX_CHECK_MEMORY = 2 ** 27;
