/** Named limits of the UART. */

/** Bytes of each FIFO (PC16550D §8.0). */
export const FIFO_SIZE = 16;
/** Bytes of guest output that are collected before they go to the back end unasked. */
export const OUTPUT_BUFFER_SIZE = 1024;
