/** Named limits of the memory core (trust rule 10). Each is exercised by a test. */

/** Guest page size used by dirty tracking and by {@link AddressSpace.lookupPage}: 4 KiB on x86. */
export const PAGE_SIZE = 4096;

/** Whole 64-bit space. The only size above 2^53 that a region may have; a double holds it exactly. */
export const SIZE_2_64 = 18446744073709551616;

/** Containers and aliases may nest this deep; deeper trees are refused when they are built. */
export const MAX_REGION_DEPTH = 64;

/** Most ranges one flat view may have. A guest cannot reach it: BARs and windows are counted in hundreds. */
export const MAX_FLAT_RANGES = 16384;

/** x86 port space: 64 Ki ports (SDM Vol. 1, "I/O Port Addressing"). */
export const PORT_SPACE_SIZE = 0x10000;
