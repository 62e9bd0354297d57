/** Checksums, pointers and layouts of the finished tables, read back with nothing but the specification's offsets. */
import { describe, expect, it } from 'vitest';
import {
  ACPI_ADDRESS,
  buildAcpiTables,
  buildBiosData,
  buildFirmwareTables,
  buildMemoryMap,
  buildMpTable,
  DEFAULT_PC,
  MP_ADDRESS,
  RSDP_ADDRESS,
} from './index.ts';

const sum = (bytes: Uint8Array): number => bytes.reduce((a, b) => (a + b) & 0xff, 0);
const text = (bytes: Uint8Array, at: number, n: number): string => String.fromCharCode(...bytes.subarray(at, at + n));
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function table(fadtRevision: 1 | 3, signature: string): Uint8Array {
  const acpi = buildAcpiTables({ ...DEFAULT_PC, fadtRevision }, ACPI_ADDRESS);
  const at = acpi.offsets.get(signature)!;
  return acpi.bytes.subarray(at, at + view(acpi.bytes).getUint32(at + 4, true));
}

describe('ACPI tables', () => {
  it('are found from the RSDP, each with a right checksum', () => {
    const acpi = buildAcpiTables(DEFAULT_PC, ACPI_ADDRESS);
    expect(text(acpi.rsdp, 0, 8)).toBe('RSD PTR ');
    expect([acpi.rsdp.length, sum(acpi.rsdp)]).toEqual([20, 0]);
    const v = view(acpi.bytes);
    const at = (address: number): number => address - ACPI_ADDRESS;
    const rsdt = at(view(acpi.rsdp).getUint32(16, true));
    expect(text(acpi.bytes, rsdt, 4)).toBe('RSDT');
    const listed: string[] = [];
    for (let i = 36; i < v.getUint32(rsdt + 4, true); i += 4) {
      const t = at(v.getUint32(rsdt + i, true));
      listed.push(text(acpi.bytes, t, 4));
      expect(sum(acpi.bytes.subarray(t, t + v.getUint32(t + 4, true)))).toBe(0);
    }
    expect(listed).toEqual(['FACP', 'APIC', 'WAET']);
    const fadt = acpi.offsets.get('FACP')!;
    const facs = at(v.getUint32(fadt + 36, true));
    const dsdt = at(v.getUint32(fadt + 40, true));
    expect([text(acpi.bytes, facs, 4), facs % 64, text(acpi.bytes, dsdt, 4)]).toEqual(['FACS', 0, 'DSDT']);
    expect(sum(acpi.bytes.subarray(dsdt, dsdt + v.getUint32(dsdt + 4, true)))).toBe(0);
  });
  it('have the FADT of both revisions', () => {
    const one = view(table(1, 'FACP'));
    expect([one.byteLength, one.getUint8(8), one.getUint16(46, true), one.getUint32(48, true)]).toEqual([116, 1, 9, 0]);
    expect([56, 64, 76, 80].map((o) => one.getUint32(o, true))).toEqual([0x600, 0x604, 0x608, 0xafe0]);
    expect([88, 89, 91, 92].map((o) => one.getUint8(o))).toEqual([4, 2, 4, 4]);
    const three = view(table(3, 'FACP'));
    expect([three.byteLength, three.getUint8(8), three.getUint32(112, true) & 0x400]).toEqual([244, 3, 0x400]);
    expect([three.getUint8(116), Number(three.getBigUint64(120, true)), three.getUint8(128)]).toEqual([1, 0xcf9, 6]);
    expect(Number(three.getBigUint64(140, true))).toBe(three.getUint32(40, true));
    const smi = buildAcpiTables({ ...DEFAULT_PC, smi: { port: 0xb2, enable: 0xf1, disable: 0xf0 } }, ACPI_ADDRESS);
    const fadt = smi.offsets.get('FACP')!;
    expect([view(smi.bytes).getUint32(fadt + 48, true), smi.bytes[fadt + 52], smi.bytes[fadt + 53]]).toEqual([
      0xb2, 0xf1, 0xf0,
    ]);
  });
  it('have a MADT with the CPU, the IO-APIC, five overrides and the NMI line', () => {
    const madt = table(1, 'APIC');
    const entries: number[][] = [];
    for (let i = 44; i < madt.length; i += madt[i + 1]!) entries.push([...madt.subarray(i, i + madt[i + 1]!)]);
    expect(entries.map((e) => e[0])).toEqual([0, 1, 2, 2, 2, 2, 2, 4]);
    expect(entries[0]).toEqual([0, 8, 0, 0, 1, 0, 0, 0]);
    expect(entries[2]).toEqual([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    expect(entries[4]).toEqual([2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0]);
  });
  it('have a DSDT that holds PCI0, the links and _S5', () => {
    const dsdt = text(table(1, 'DSDT'), 0, table(1, 'DSDT').length);
    for (const name of ['PCI0', '_PRT', 'LNKA', 'LNKD', 'LNKS', '_S5_', 'COM1', 'P40C', 'C000'])
      expect(dsdt).toContain(name);
    expect(dsdt).not.toContain('COM2');
    const two = buildAcpiTables({ ...DEFAULT_PC, serialPorts: 2, hasKeyboard: false }, ACPI_ADDRESS);
    expect(text(two.bytes, 0, two.bytes.length)).toContain('COM2');
    expect(text(two.bytes, 0, two.bytes.length)).not.toContain('KBD_');
  });
  it('refuse an unaligned address', () => {
    expect(() => buildAcpiTables(DEFAULT_PC, 0xe0010)).toThrow('64-byte');
  });
});

describe('MP table', () => {
  it('has right checksums, lengths and entry counts', () => {
    const mp = buildMpTable(DEFAULT_PC, MP_ADDRESS);
    const v = view(mp);
    expect([text(mp, 0, 4), v.getUint32(4, true), sum(mp.subarray(0, 16))]).toEqual(['_MP_', MP_ADDRESS + 16, 0]);
    const config = mp.subarray(16);
    expect([text(config, 0, 4), sum(config)]).toEqual(['PCMP', 0]);
    expect(view(config).getUint16(4, true)).toBe(config.length);
    let at = 44;
    const kinds: number[] = [];
    while (at < config.length) {
      kinds.push(config[at]!);
      at += config[at] === 0 ? 20 : 8;
    }
    expect(at).toBe(config.length);
    expect(kinds.length).toBe(view(config).getUint16(34, true));
    expect([0, 1, 2, 3, 4].map((k) => kinds.filter((x) => x === k).length)).toEqual([1, 2, 1, 15, 2]);
  });
});

describe('memory map', () => {
  it('splits RAM at the PCI window', () => {
    const ram = (n: number) => buildMemoryMap(n).filter((r) => r.type === 1);
    expect(ram(128 << 20)).toEqual([
      { base: 0, length: 0x9fc00, type: 1 },
      { base: 1 << 20, length: 127 << 20, type: 1 },
    ]);
    expect(ram(4 * 2 ** 30).slice(1)).toEqual([
      { base: 1 << 20, length: 3 * 2 ** 30 - 2 ** 20, type: 1 },
      { base: 2 ** 32, length: 2 ** 30, type: 1 },
    ]);
    expect(() => buildMemoryMap(1000)).toThrow('at least 1 MiB');
  });
});

describe('firmware image', () => {
  it('places everything in order, aligned, without overlap, in 64 KiB of ACPI space', () => {
    const placed = buildFirmwareTables({ serialPorts: 4, hasFloppy: true, fadtRevision: 3, apicIds: [0, 1, 2, 3] });
    for (let i = 1; i < placed.length; i++)
      expect(placed[i]!.address).toBeGreaterThanOrEqual(placed[i - 1]!.address + placed[i - 1]!.bytes.length);
    expect([RSDP_ADDRESS % 16, MP_ADDRESS % 16]).toEqual([0, 0]);
    expect(placed.map((p) => p.name)).toEqual([
      'BIOS data area',
      'extended BIOS data area',
      'ACPI tables',
      'RSDP',
      'MP table',
    ]);
  });
  it('has the BIOS data that kernels read', () => {
    const bda = view(buildBiosData({ serialPorts: [0x3f8, 0x2f8] }));
    expect([bda.getUint16(0, true), bda.getUint16(2, true), bda.getUint16(4, true)]).toEqual([0x3f8, 0x2f8, 0]);
    expect([bda.getUint16(0x0e, true), bda.getUint16(0x13, true)]).toEqual([0x9fc0, 639]);
    expect((bda.getUint16(0x10, true) >> 9) & 7).toBe(2);
  });
});
