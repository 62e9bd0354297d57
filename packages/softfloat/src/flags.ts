/** Bit names of the x87 control and status words and of MXCSR. SDM Vol. 1 §8.1.3, §8.1.5, §10.2.3. */

/** Exception flags: the same bits in FSW and MXCSR. */
export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 16;
export const PE = 32;
/** FSW condition codes. After an inexact result C1 says "rounded up". */
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;

/** FCW: exception masks in bits 0-5 (the flag positions), PC in 8-9, RC in 10-11. */
export const FCW_PC = 0x300;
export const FCW_PC_64 = 0x300;
export const FCW_RC = 0xc00;
/** MXCSR: DAZ, masks in bits 7-12, RC in 13-14, FTZ. */
export const MXCSR_DAZ = 0x40;
export const MXCSR_MASK_SHIFT = 7;
export const MXCSR_RC_SHIFT = 13;
export const MXCSR_FTZ = 0x8000;

/** Rounding control values (both words). */
export const RC_NEAREST = 0;
export const RC_DOWN = 1;
export const RC_UP = 2;
export const RC_ZERO = 3;
