/** Limits of the raw format. */

/** Virtual sizes are multiples of this, bytes: the unit in which disks are addressed. */
export const SECTOR = 512;

/** Bytes at the start of a disk that a format's `probe` sees, and that `protectHeader` therefore guards. */
export const PROBE_SIZE = 2048;

/** Zeroes are written in pieces of at most this many bytes. */
export const ZERO_CHUNK = 1 << 20;
