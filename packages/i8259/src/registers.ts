/** Ports and command bits of the 8259A. Intel 8259A data sheet (231468-003), "Programming the 8259A"; figures 7 and 8. */

export const MASTER_PORT = 0x20;
export const SLAVE_PORT = 0xa0;
/** The input of the master that the slave drives on a PC. */
export const CASCADE_LINE = 2;

/** A0 = 0. */
export const ICW1 = 1 << 4;
export const ICW1_IC4 = 1 << 0;
export const ICW1_SNGL = 1 << 1;
export const ICW1_LTIM = 1 << 3;
export const OCW3 = 1 << 3;

/** Vector bits 7-3; bits 2-0 are the level. */
export const ICW2_MASK = 0xf8;

export const ICW4_AEOI = 1 << 1;
export const ICW4_SFNM = 1 << 4;
export const ICW4_MASK = 0x1f;

/** OCW2 bits 7-5: R, SL, EOI. */
export const Ocw2 = {
  ROTATE_AEOI_CLEAR: 0,
  EOI: 1,
  NOP: 2,
  SPECIFIC_EOI: 3,
  ROTATE_AEOI_SET: 4,
  ROTATE_EOI: 5,
  SET_PRIORITY: 6,
  ROTATE_SPECIFIC_EOI: 7,
} as const;

export const OCW3_RIS = 1 << 0;
export const OCW3_RR = 1 << 1;
export const OCW3_POLL = 1 << 2;
export const OCW3_SMM = 1 << 5;
export const OCW3_ESMM = 1 << 6;

/** Poll word: bit 7 says that there is an interrupt, bits 2-0 which. */
export const POLL_INTERRUPT = 1 << 7;
/** Level that is reported when the request has gone before the acknowledge. */
export const SPURIOUS_LEVEL = 7;
