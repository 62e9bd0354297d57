/**
 * Where things lie in the machine's one WebAssembly memory, and the record formats that generated code and the
 * accelerator share. Everything below RAM_BASE belongs to the translator; guest RAM follows.
 */

/** Control words (absolute addresses). */
export const CTL = {
  /** Set non-zero by a script callback that changed the flow of control: the interpreter returns this code. */
  STATUS: 0x100,
  /** Address of the interpreter op that called out, or of the block header an exit code speaks of. */
  IP: 0x104,
  /** Instructions left in this slice; going below zero leaves to the accelerator. */
  BUDGET: 0x108,
  /** 16-byte value of the memory slow paths. */
  VAL: 0x110,
  /** Header of the block the interpreter is in. */
  TB: 0x120,
  /** Exit record of the region that has just been left. */
  EXIT: 0x124,
  /**
   * Non-zero while something waits that the guest's state may keep from being taken: what an `exit` of kind EXIT_WORK looks at. Regions
   * and cold streams never write it.
   */
  WORK: 0x128,
  /** 16 bytes that are never written: the base of accesses to constant addresses. */
  ZERO: 0x130,
  /** The jump cache's generation, 1 to JUMP_CACHE.GENERATIONS - 1: entries of others are not there. */
  GENERATION: 0x140,
  /** The links' generation, see LINK: not 0. Links of others do not hold. */
  LINKS: 0x144,
  /** With COLD_ASKS.LOOKUP: the pc that is looked for, and the op that jumps there if it is to be linked, or 0. */
  JUMP: 0x148,
  JUMP_OP: 0x14c,
  /** i64: what is to be added to addresses in the code that is running, see `code-place.ts`. 0 for all code that runs where it was translated. */
  PLACE: 0x150,
} as const;

/** Slot addresses are 16-bit: env and interpreter temporaries lie in the first 64 KiB. */
export const ENV_BASE = 0x1000;
export const ENV_LIMIT = 0x1000;
export const TEMP_BASE = 0x2000;
export const TEMP_STRIDE = 16;
export const TEMP_COUNT = 1024;

/** Softmmu TLB: one direct-mapped table per MMU mode (0 supervisor, 1 user). */
export const TLB = {
  BASE: 0x90_0000,
  ENTRIES: 16384,
  ENTRY_SIZE: 32,
  MODE_SIZE: 0x8_0000,
  MODES: 2,
  /** Page address for each access, or all ones: no match. i64; 32-bit code compares the low half. */
  TAG_READ: 0,
  TAG_WRITE: 8,
  TAG_EXEC: 16,
  /** Add to the guest address for the WebAssembly address, modulo 2^32. */
  ADDEND: 24,
  /** Host page (address / 4096); bit 31: the page may be written where no code is (see GRANULES). */
  HOST_PAGE: 28,
} as const;
export const PAGE_BITS = 12;
export const PAGE_MASK = -4096;

/**
 * Jump cache: linear pc -> block header; groups by page so that one page can be dropped alone. CODE is the header, whose address is a multiple of 16 and below 2^27,
 * and in the low bits the generation in which it was entered: all entries go at once when that changes.
 */
export const JUMP_CACHE = {
  BASE: 0x80000,
  ENTRIES: 16384,
  GROUPS: 64,
  GENERATIONS: 512,
  ENTRY_SIZE: 32,
  PC: 0,
  FLAGS: 4,
  CODE: 8,
  CS_BASE: 12,
  /** Where the block's region is entered, see LINK; the header need not be looked at while that holds. 0: not known. */
  LINK: 16,
  /** i64: the block's CTL.PLACE here. */
  PLACE: 24,
  /** CODE is the header's address shifted by so much. */
  CODE_SHIFT: 5,
} as const;

/**
 * Blocks by the host address of their first byte, each address in one set of two entries, the newer one first: what the jump cache has lost (it goes with the mappings) is
 * found here, through the TLB. A block is named by its header, which has its pc and flags; one with MOVABLE is good at other pcs too (`code-place.ts`). Blocks whose
 * code lies in two pages are not here.
 */
export const CODE_TABLE = {
  BASE: 0x70_0000,
  SETS: 65536,
  SET_SIZE: 32,
  ENTRY_SIZE: 16,
  HOST: 0,
  HEADER: 4,
  CS_BASE: 8,
  MOVABLE: 12,
} as const;

/** By index of a region in the function table, 8 bytes: the CTL.PLACE at which it may be entered. */
export const REGION_PLACES = { BASE: 0x10_0000, COUNT: 16_368, SIZE: 8 } as const;

/** Exit records of regions, 16 bytes each. Record 0 is unused. */
export const EXIT_RECORDS = {
  BASE: 0x600_0000,
  COUNT: 0xc_0000,
  SIZE: 16,
  PC: 0,
  KIND: 4,
  INSNS: 6,
  /** Of INSNS in the word at KIND. */
  INSNS_SHIFT: 16,
  /** Of kind COLD: times it was taken for a TLB miss that needed no more than a new entry. */
  REFILLS: 8,
  /** Of kind JUMP: where the last look-up of PC has led to, see LINK. */
  LINK: 8,
  COUNTDOWN: 12,
} as const;
/**
 * A link: index of a region in the function table, above it the number of the entry, and from GENERATION_SHIFT up the generation in which it was made. It holds for as
 * long as that is CTL.LINKS, which changes whenever a region goes or mappings change.
 */
export const LINK = { NUMBER_SHIFT: 14, GENERATION_SHIFT: 20, GENERATIONS: 4096 } as const;
/**
 * Of exits of kind INDIRECT, the most frequent, one in so many is counted in its record: a prime, since with a divisor of the number of exits in a loop it would
 * always be the same ones.
 */
export const INDIRECT_SAMPLE = 7;
/** What an exit record says. */
export const EXIT_KIND = {
  /** Go on at PC. */
  JUMP: 0,
  /** Run the instruction at PC in the cold tier (it missed, faulted, or exists only there). */
  COLD: 1,
  /** The pc is in env already (indirect jump). */
  INDIRECT: 2,
  /** Out of budget before PC. */
  BUDGET: 3,
  /** As INDIRECT, and to the accelerator first if CTL.WORK is set; always. */
  WORK: 4,
  ALWAYS: 5,
} as const;

/** Cold code: streams of 16-byte ops, bump-allocated; full means everything is flushed. */
export const CODE = { BASE: 0xa0_0000, LIMIT: 0x600_0000 } as const;
/**
 * Which 64-byte granules of each host page hold translated code: 8 bytes a page, one bit a granule. A store to a page with
 * code goes on at once where its granules are clear. Covers all of a 4 GiB memory.
 */
export const GRANULES = { BASE: 0x700_0000, BITS: 6 } as const;
/** First byte of guest RAM. */
export const RAM_BASE = 0x800_0000;

/**
 * Fields of a block header (the first op of a cold stream). ENTRY and ENTRY_NUMBER (16 bits each), once a region can be
 * entered there: its index in the function table, and the number of the entry.
 */
export const HEADER = { OP: 0, INSNS: 2, COUNTER: 4, PC: 8, FLAGS: 12, SIZE: 16, ENTRY: 4, ENTRY_NUMBER: 6 } as const;
/** Fields of every other cold op. */
export const FIELD = { OP: 0, DST: 2, A: 4, B: 6, LINK: 4, IMM: 8, PC_DELTA: 12, INSN: 14, SIZE: 16 } as const;

/** Targets that a cold indirect jump remembers: pcs in the words after it, counter in its B field. */
export const TARGET_HISTORY = 32;

/** Return codes of the interpreter and the dispatcher. */
export const LEAVE = {
  /** The pc is in env: find the block. */
  LOOKUP: 1,
  /** The block at CTL.IP has a compiled region (header ENTRY). */
  HOT: 2,
  /** Budget used up; pc is in env. */
  BUDGET: 3,
  /** The block at CTL.IP has become hot; pc is in env. */
  PROMOTE: 4,
  /** An instruction asks the accelerator to look for pending work; pc is in env. */
  WORK: 5,
  /** As LOOKUP, but the block at the pc must run in the cold tier. */
  COLD: 6,
  /** An exit record's countdown ran out: CTL.EXIT names it. As COLD otherwise. */
  RECONSIDER: 7,
  /** The block that was entered is no longer valid (or must be checked again); pc is in env. */
  STALE: 8,
  /** The current instruction must run alone in a block of its own (it writes the block it is in); pc is in env. */
  ALONE: 9,
  /** An exit from region to region has been taken so often that its countdown ran out: CTL.EXIT names it, the pc is in env. */
  GROW: 10,
} as const;

/** What the interpreter's loop returns besides LEAVE codes, to the function around it. */
export const COLD_ASKS = {
  /** The op at CTL.IP is to be done out of line. */
  OUTSIDE: 0,
  /** Go on at CTL.JUMP, which the jump cache does not know. */
  LOOKUP: 15,
} as const;
