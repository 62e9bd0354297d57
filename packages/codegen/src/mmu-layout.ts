/**
 * What the page walker in the core module and the accelerator's softmmu share in the one memory, beside the TLB itself: whether and
 * how to walk, where plain RAM lies, which entries have been filled, which host pages hold code.
 */

/** Control words (absolute addresses). */
export const MMU = {
  /** What `Target.pageWalkControl` says: mode (low bits) and flags, see page-walk.ts; 0: script walks. */
  WALK: 0x200,
  /** Lengths of the two lists of filled entries, and their members: 16-bit indices of entries, each once. */
  LOCAL_COUNT: 0x204,
  GLOBAL_COUNT: 0x208,
  LOCAL_LIST: 0x2_0000,
  GLOBAL_LIST: 0x4_0000,
  /** Entries made without script, for profiles. */
  FILLS: 0x20c,
  /** Address of the access that a region was left for, or of the fetch that the last look-up of a block asked the walker about; 8 bytes. */
  MISS: 0x210,
  /** The page walker's refusal was a fault with this error code; -1: something else, for script to judge. */
  FAULT: 0x218,
  /** Ranges of plain RAM, likeliest first, up to the first without pages: physical page, pages, host page. */
  RANGES: 0x220,
  RANGE_COUNT: 8,
  RANGE_SIZE: 12,
  /** Ways into the page-fault handler, see fault-entry.ts, up to the first without a function: block flags, function table index. */
  ENTRIES: 0x280,
  ENTRY_COUNT: 8,
  ENTRY_SIZE: 8,
} as const;

/**
 * A region's result is the number of its exit record, and from this bit up what it missed in the TLB, if that is why it left: 1 read,
 * 2 write; + 2 in the table of user mode. The address is in MMU.MISS.
 */
export const MISS_SHIFT = 24;
export const missCode = (isWrite: boolean, isUser: boolean): number => 1 + (isWrite ? 1 : 0) + (isUser ? 2 : 0);

/** In a TLB entry's HOST_PAGE beside the page's number. */
export const PAGE_NUMBER = 0xf_ffff;
/** The page may be written, whatever its write tag says; the tag is withheld while it holds code. */
export const MAY_WRITE = 1 << 31;
/** The mapping survives a flush of all that is not global. */
export const IS_GLOBAL = 1 << 30;
/** The entry is a member of the list. */
export const IN_LOCAL = 1 << 29;
export const IN_GLOBAL = 1 << 28;

/** One bit for each host page of a 4 GiB memory: stores to it take the slow path. */
export const CODE_PAGES = { BASE: 0x7f8_0000, BYTES: 0x2_0000 } as const;
