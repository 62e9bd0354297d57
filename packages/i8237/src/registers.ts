/** 8237A registers and bits. Data sheet "Register Description" and Figure 6 "Software Command Codes and Register Codes". */

/** Register codes, A3-A0; 0-7 are address and count of channels 0-3. */
export const DmaReg = {
  COMMAND: 0x8,
  REQUEST: 0x9,
  MASK: 0xa,
  MODE: 0xb,
  CLEAR_FLIP_FLOP: 0xc,
  MASTER_CLEAR: 0xd,
  CLEAR_MASK: 0xe,
  ALL_MASK: 0xf,
} as const;

/** Command register. */
export const COMMAND_MEMORY_TO_MEMORY = 1 << 0;
export const COMMAND_DISABLE = 1 << 2;

/** Mode register. */
export const MODE_TYPE_MASK = 3 << 2;
export const MODE_VERIFY = 0 << 2;
/** Device to memory. */
export const MODE_WRITE = 1 << 2;
/** Memory to device. */
export const MODE_READ = 2 << 2;
export const MODE_AUTO_INIT = 1 << 4;
export const MODE_DECREMENT = 1 << 5;
export const MODE_SELECT_MASK = 3 << 6;
export const MODE_CASCADE = 3 << 6;

/** Page registers 0x80-0x8F: channel -> offset. IBM PC AT technical reference, "DMA page registers"; the others are latches. */
export const PAGE_BASE = 0x80;
export const PAGE_OF_CHANNEL: readonly number[] = [0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa];
