/**
 * The e820 memory map of a PC, from its RAM size.
 *
 * Spec: ACPI 6.4 §15 "System Address Map Interfaces". RAM below 4 GiB ends at `lowLimit`; the rest continues at 4 GiB.
 * AMD64 processors keep the last 12 GiB below 1 TiB for HyperTransport.
 */
export interface MemoryRange {
  readonly base: number;
  readonly length: number;
  readonly type: number;
}

export const E820_RAM = 1;
export const E820_RESERVED = 2;
export const E820_ACPI = 3;

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Start of the extended BIOS data area: 639 KiB, as PC firmware reports with a 1 KiB EBDA. */
export const EBDA_ADDRESS = 0x9_fc00;
/** PC boards with PCI leave 3 GiB and up to devices. */
export const DEFAULT_LOW_LIMIT = 3 * GIB;

export interface MemoryMapOptions {
  /** Reserve what an AMD processor with addresses of 40 bits or more does not give to memory. @default false */
  readonly hyperTransport?: boolean;
}

/** AMD HyperTransport I/O Link Specification, "Address map": FD_0000_0000h to FF_FFFF_FFFFh. */
export const HYPER_TRANSPORT: MemoryRange = { base: 0xfd_0000_0000, length: 12 * GIB, type: E820_RESERVED };

/** Ranges in ascending order. `ramSize` is in bytes and at least 1 MiB. */
export function buildMemoryMap(
  ramSize: number,
  lowLimit = DEFAULT_LOW_LIMIT,
  options: MemoryMapOptions = {},
): readonly MemoryRange[] {
  if (!Number.isSafeInteger(ramSize) || ramSize < MIB)
    throw new RangeError(`a PC has at least 1 MiB of RAM, not ${ramSize} bytes`);
  const low = Math.min(ramSize, lowLimit);
  const map: MemoryRange[] = [
    { base: 0, length: EBDA_ADDRESS, type: E820_RAM },
    { base: EBDA_ADDRESS, length: 0xa_0000 - EBDA_ADDRESS, type: E820_RESERVED },
    { base: 0xf_0000, length: 0x1_0000, type: E820_RESERVED },
  ];
  if (low > MIB) map.push({ base: MIB, length: low - MIB, type: E820_RAM });
  map.push({ base: 0xfffc_0000, length: 256 * KIB, type: E820_RESERVED });
  if (ramSize > low) map.push({ base: 4 * GIB, length: ramSize - low, type: E820_RAM });
  if (options.hyperTransport === true) map.push(HYPER_TRANSPORT);
  return map;
}
