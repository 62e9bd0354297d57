/**
 * Everything a board without firmware writes before it enters a kernel: where each piece goes.
 *
 * Layout: BIOS data 0x400, EBDA 0x9FC00, ACPI tables from 0xE0000 (shadow RAM of the board), RSDP 0xF0000, MP pointer and table
 * 0xF0040. Everything from 0xE0000 on is below 1 MiB, so the board's memory must answer reads there.
 */
import { buildAcpiTables } from './acpi.ts';
import { BIOS_DATA_ADDRESS, buildBiosData, buildExtendedBiosData } from './bios-data.ts';
import { buildMpTable } from './mp-table.ts';
import { EBDA_ADDRESS } from './memory-map.ts';
import { DEFAULT_PC, type PcDescription } from './pc-description.ts';

export const ACPI_ADDRESS = 0xe_0000;
export const RSDP_ADDRESS = 0xf_0000;
export const MP_ADDRESS = 0xf_0040;

export interface PlacedTable {
  readonly name: string;
  readonly address: number;
  readonly bytes: Uint8Array;
}

const SERIAL_PORTS = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/** All pieces in ascending order of address, none overlapping. */
export function buildFirmwareTables(description: Partial<PcDescription> = {}): readonly PlacedTable[] {
  const pc: PcDescription = { ...DEFAULT_PC, ...description };
  const acpi = buildAcpiTables(pc, ACPI_ADDRESS);
  if (ACPI_ADDRESS + acpi.bytes.length > RSDP_ADDRESS) throw new RangeError('ACPI tables exceed 64 KiB');
  return [
    {
      name: 'BIOS data area',
      address: BIOS_DATA_ADDRESS,
      bytes: buildBiosData({ serialPorts: SERIAL_PORTS.slice(0, pc.serialPorts) }),
    },
    { name: 'extended BIOS data area', address: EBDA_ADDRESS, bytes: buildExtendedBiosData() },
    { name: 'ACPI tables', address: ACPI_ADDRESS, bytes: acpi.bytes },
    { name: 'RSDP', address: RSDP_ADDRESS, bytes: acpi.rsdp },
    { name: 'MP table', address: MP_ADDRESS, bytes: buildMpTable(pc, MP_ADDRESS) },
  ];
}
