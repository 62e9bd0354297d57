/** Named limits of the interval timer. */

/** Input clock, Hz (14.31818 MHz / 12). */
export const PIT_HZ = 1_193_182;
/** Shortest time between two interrupts that the device makes by itself, ns: a guest that programs less loses edges. */
export const MIN_EDGE_NS = 10_000;
