/** Named sizes of the 440FX board logic. Intel 82441FX data sheet (290549-001); Intel 82371SB (PIIX3) data sheet (290550-002). */

/** PAM windows: one of 64 KiB at 0xF0000 and twelve of 16 KiB from 0xC0000. 82441FX §3.2.18, Table 3-2. */
export const PAM_WINDOWS = 13;
export const PIRQ_LINES = 4;
export const ISA_IRQS = 16;
