/** Named sizes of the PIIX4 power management function. Intel 82371AB (PIIX4) data sheet 290562-001, chapter 7. */

/** Frequency of the power management timer, Hz (ACPI 6.4 §4.8.2.1 "Power Management Timer"). */
export const PM_TIMER_HZ = 3579545;
/** The timer counts in 24 bits. */
export const PM_TIMER_BITS = 24;
/** Bytes of the I/O block at PMBASE. */
export const PM_BLOCK_SIZE = 64;
/** General purpose events. */
export const GPE_COUNT = 16;
