/** Named limits of the PCI bus (trust rule 10). PCI Local Bus Specification 3.0. */

/** Functions on one bus: 32 devices of 8 functions (§3.2.2.3.2 "Configuration Mechanism #1"). */
export const MAX_FUNCTIONS = 256;
/** Bytes of conventional configuration space (§6.1). */
export const CONFIG_SIZE = 256;
/** Base address registers of a type 00h header (§6.2.5). */
export const MAX_BARS = 6;
/** Vectors of MSI (§6.8.1.3). */
export const MAX_MSI_VECTORS = 32;
