/** Named limits of the interrupt controllers. */

/** Frequency of the local APIC timer before its divider: one tick per ns of virtual time. */
export const APIC_TIMER_HZ = 1_000_000_000;
/** Shortest time between two interrupts that a periodic timer makes by itself, ns: a guest that programs less loses some. */
export const MIN_TIMER_PERIOD_NS = 10_000;
/** Inputs of the I/O APIC (82093AA: 24). */
export const IO_APIC_PINS = 24;
