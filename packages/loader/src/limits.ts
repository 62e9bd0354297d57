/** Named limits of the loaders. Each bounds work or memory that a kernel file could otherwise choose. */

/** ELF program headers read from one file (PN_XNUM and its escape are refused). */
export const MAX_PROGRAM_HEADERS = 128;
/** Bytes of one PT_NOTE segment that are searched. */
export const MAX_NOTE_BYTES = 64 * 1024;
/** Multiboot or PVH modules in one boot. */
export const MAX_MODULES = 64;
/** Longest command line for protocols that state no limit of their own (multiboot, PVH). */
export const MAX_COMMAND_LINE = 4096;
/** Entries of `boot_params.e820_table` (boot.rst "zero-page", E820_MAX_ENTRIES_ZEROPAGE). */
export const MAX_E820_ENTRIES = 128;
/** The multiboot header must lie in the first 8192 bytes (multiboot 0.6.96 §3.1 "OS image format"). */
export const MULTIBOOT_SEARCH = 8192;
/** Code symbols read from one file (a distribution's kernel has about 100,000). */
export const MAX_SYMBOLS = 1_000_000;
/** An address farther behind a symbol than this is not in it. */
export const MAX_SYMBOL_REACH = 1 << 20;
