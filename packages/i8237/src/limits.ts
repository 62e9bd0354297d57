/** Named limits of the DMA controllers. Intel 8237A data sheet 231466. */

export const CHANNELS = 8;
/** Calls of device handlers in one round of service; what is left waits for the next. */
export const MAX_SERVICE_CALLS = 64;
/** Pause after a round that used up its calls, ns: a device that never drops its request must not stop time. About 64 bus transfers. */
export const SERVICE_PAUSE_NS = 64_000;
/** A byte channel moves at most 64 KiB, a word channel 128 KiB, before terminal count. */
export const MAX_TRANSFER_UNITS = 0x10000;
