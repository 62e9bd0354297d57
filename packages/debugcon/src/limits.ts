/** Named limits of the debug devices. */

/** Bytes of the exit port's region, at most. */
export const MAX_EXIT_SIZE = 4;
