/** Named limits of fw_cfg (trust rule 10). */

/** Bytes of a file name in the directory, with its terminating zero. */
export const MAX_FILE_NAME = 56;
/** Most files in the directory. */
export const MAX_FILES = 256;
/** Largest item: lengths in the directory are 32 bits; this keeps offsets far below that. */
export const MAX_ITEM_BYTES = 1 << 30;
/** Zeroes are written in pieces of this size. */
export const ZERO_CHUNK = 65536;
