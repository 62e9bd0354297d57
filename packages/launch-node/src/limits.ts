/** Named limits of this package. */
export const LIMITS = {
  /** Larger files are no caches of ours. */
  CACHE_FILE_BYTES: 64 * 1024 * 1024,
  /** Compiled code of other versions of Node or of the command goes when it is this old. */
  KEPT_DAYS: 30,
} as const;
