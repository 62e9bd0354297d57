/** Bounds on what image files, option strings and callers can make this package hold. Each has a test at the limit and beyond. */

export const LIMITS = {
  /** Images in one backing chain, the top one included. */
  CHAIN_DEPTH: 64,
  /** Nodes in one graph. */
  NODES: 1024,
  /** Characters of a file name or option string, `json:` included; QEMU keeps paths up to 4095 bytes. */
  SPEC_LENGTH: 65536,
  /** Levels of an option tree. */
  OPTION_DEPTH: 16,
  /** Keys in an option tree, all levels together. */
  OPTION_KEYS: 1024,
  /** Requests that one node passes to its driver at a time; more wait their turn. */
  IN_FLIGHT: 256,
  /** Bits of a dirty bitmap in memory (16 MiB); a larger disk gets a coarser granularity. */
  BITMAP_BITS: 2 ** 27,
  /** Events that a fault injector takes. */
  FAULT_RULES: 1024,
  /** Bytes of one buffer of a copy. */
  COPY_BUFFER: 64 * 1024 * 1024,
  /** Errors of a job that are passed over, all together, before it ends with one. */
  IGNORED_ERRORS: 1000,
  /** Buffers of a copy that are in use at a time. */
  COPY_REQUESTS: 64,
} as const;
