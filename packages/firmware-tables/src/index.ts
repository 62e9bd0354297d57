export { buildFirmwareTables, ACPI_ADDRESS, MP_ADDRESS, RSDP_ADDRESS, type PlacedTable } from './firmware-image.ts';
export { buildAcpiTables, type AcpiTables } from './acpi.ts';
export { buildMpTable } from './mp-table.ts';
export {
  buildMemoryMap,
  DEFAULT_LOW_LIMIT,
  HYPER_TRANSPORT,
  E820_ACPI,
  E820_RAM,
  E820_RESERVED,
  EBDA_ADDRESS,
  type MemoryRange,
} from './memory-map.ts';
export { BIOS_DATA_ADDRESS, buildBiosData, buildExtendedBiosData, type BiosDataOptions } from './bios-data.ts';
export { DEFAULT_PC, PCI_LINK_INTERRUPTS, PIRQ_ROUTES, type PcDescription } from './pc-description.ts';
