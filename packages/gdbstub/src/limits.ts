/** Bounds of a debugger's requests. */

/** Longest packet accepted or sent, in bytes of payload; told to gdb as PacketSize. */
export const MAX_PACKET = 0x4000;
/** Breakpoints and watchpoints of one session. */
export const MAX_BREAKPOINTS = 1024;
/** Longest watched range. */
export const MAX_WATCH_BYTES = 4096;
