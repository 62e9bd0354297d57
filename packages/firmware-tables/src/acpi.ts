/**
 * The ACPI tables of a board without firmware: RSDP, RSDT, FADT, FACS, DSDT, MADT, WAET.
 *
 * Spec: ACPI 6.4 §5.2 (revision 1 layouts: ACPI 1.0b §5.2); WAET: "Windows ACPI Emulated Devices Table" 1.0. No HPET table: the
 * board has none. Invariants: every table is 16-byte aligned inside `bytes`, FACS 64-byte aligned, all checksums are right.
 */
import { createByteWriter, type ByteWriter } from './byte-writer.ts';
import { dsdtBody } from './dsdt.ts';
import type { PcDescription } from './pc-description.ts';

const HEADER = 36;
const RSDP_SIZE = 20;
const FACS_SIZE = 64;

export interface AcpiTables {
  /** All tables but the RSDP, to be put at `address`. */
  readonly address: number;
  readonly bytes: Uint8Array;
  /** To be put at a 16-byte boundary in 0xE0000-0xFFFFF, where an operating system looks for it. */
  readonly rsdp: Uint8Array;
  /** Offset of each table in `bytes`, by signature. */
  readonly offsets: ReadonlyMap<string, number>;
}

function table(signature: string, size: number, revision: number): ByteWriter {
  const w = createByteWriter(size);
  w.text(0, signature, 4);
  w.u32(4, size);
  w.u8(8, revision);
  w.text(10, 'EMKIT', 6);
  w.text(16, 'EMKTPC', 8);
  w.u32(24, 1);
  w.text(28, 'EMKT', 4);
  w.u32(32, 1);
  return w;
}

function finish(w: ByteWriter): Uint8Array {
  w.checksum(9, 0, w.bytes.length);
  return w.bytes;
}

/** FADT flags: WBINVD, C1 on every CPU, sleep button is not a fixed feature, RTC wakes from S4, PM timer is reliable. */
const FADT_FLAGS = (1 << 0) | (1 << 2) | (1 << 5) | (1 << 7) | (1 << 15);
const RESET_REG_SUP = 1 << 10;

function genericAddress(w: ByteWriter, offset: number, port: number, bits: number): void {
  w.u8(offset, 1); // system I/O
  w.u8(offset + 1, bits);
  w.u64(offset + 4, port);
}

function fadt(pc: PcDescription, facs: number, dsdt: number): Uint8Array {
  const three = pc.fadtRevision === 3;
  const w = table('FACP', three ? 244 : 116, pc.fadtRevision);
  w.u32(36, facs);
  w.u32(40, dsdt);
  w.u8(44, 1); // multiple APIC
  w.u16(46, pc.sciInterrupt);
  if (pc.smi !== undefined) {
    w.u32(48, pc.smi.port);
    w.u8(52, pc.smi.enable);
    w.u8(53, pc.smi.disable);
  }
  w.u32(56, pc.pmBase);
  w.u32(64, pc.pmBase + 4);
  w.u32(76, pc.pmBase + 8);
  w.u32(80, pc.gpeBase);
  w.u8(88, 4);
  w.u8(89, 2);
  w.u8(91, 4);
  w.u8(92, 4);
  w.u16(96, 0x0fff); // no C2: latency above 100 us
  w.u16(98, 0x0fff); // no C3: latency above 1000 us
  w.u8(108, 0x32); // century byte in CMOS
  w.u32(112, FADT_FLAGS | (three ? RESET_REG_SUP : 0));
  if (three) {
    genericAddress(w, 116, 0xcf9, 8);
    w.u8(128, 0x06); // PIIX3 reset control: hard reset
    w.u64(132, facs);
    w.u64(140, dsdt);
    genericAddress(w, 148, pc.pmBase, 32);
    genericAddress(w, 172, pc.pmBase + 4, 16);
    genericAddress(w, 208, pc.pmBase + 8, 32);
    genericAddress(w, 220, pc.gpeBase, 32);
  }
  return finish(w);
}

/** Interrupt source overrides: the PIT's line, and the lines that PCI may use (active high, level). */
export function interruptOverrides(): readonly {
  readonly isa: number;
  readonly gsi: number;
  readonly flags: number;
}[] {
  const LEVEL_ACTIVE_HIGH = 0x0d;
  return [{ isa: 0, gsi: 2, flags: 0 }, ...[5, 9, 10, 11].map((n) => ({ isa: n, gsi: n, flags: LEVEL_ACTIVE_HIGH }))];
}

function madt(pc: PcDescription): Uint8Array {
  const overrides = interruptOverrides();
  const w = table('APIC', HEADER + 8 + pc.apicIds.length * 8 + 12 + overrides.length * 10 + 6, 1);
  w.u32(36, pc.localApicAddress);
  w.u32(40, 1); // PCAT_COMPAT: there is an 8259 pair too
  let at = 44;
  pc.apicIds.forEach((id, i) => {
    w.u8(at, 0);
    w.u8(at + 1, 8);
    w.u8(at + 2, i);
    w.u8(at + 3, id);
    w.u32(at + 4, 1);
    at += 8;
  });
  w.u8(at, 1);
  w.u8(at + 1, 12);
  w.u8(at + 2, pc.ioApicId);
  w.u32(at + 4, pc.ioApicAddress);
  at += 12;
  for (const o of overrides) {
    w.u8(at, 2);
    w.u8(at + 1, 10);
    w.u8(at + 3, o.isa);
    w.u32(at + 4, o.gsi);
    w.u16(at + 8, o.flags);
    at += 10;
  }
  // NMI on LINT1 of every processor.
  w.u8(at, 4);
  w.u8(at + 1, 6);
  w.u8(at + 2, 0xff);
  w.u8(at + 5, 1);
  return finish(w);
}

/** Builds the tables for `address`, which must be a multiple of 64. */
export function buildAcpiTables(pc: PcDescription, address: number): AcpiTables {
  if (address % 64 !== 0) throw new RangeError('ACPI tables start on a 64-byte boundary');
  const facs = createByteWriter(FACS_SIZE);
  facs.text(0, 'FACS', 4);
  facs.u32(4, FACS_SIZE);
  const body = dsdtBody(pc);
  const dsdt = table('DSDT', HEADER + body.length, 1);
  dsdt.bytes.set(body, HEADER);
  const offsets = new Map<string, number>();
  const parts: { at: number; bytes: Uint8Array }[] = [];
  let next = 0;
  const add = (signature: string, bytes: Uint8Array): number => {
    const at = next;
    parts.push({ at, bytes });
    offsets.set(signature, at);
    next = Math.ceil((at + bytes.length) / 16) * 16;
    return address + at;
  };
  const facsAt = add('FACS', facs.bytes);
  const dsdtAt = add('DSDT', finish(dsdt));
  const waet = table('WAET', 40, 1);
  waet.u32(36, 2); // the PM timer can be read once
  const listed = [add('FACP', fadt(pc, facsAt, dsdtAt)), add('APIC', madt(pc)), add('WAET', finish(waet))];
  const rsdt = table('RSDT', HEADER + listed.length * 4, 1);
  listed.forEach((at, i) => rsdt.u32(HEADER + i * 4, at));
  const rsdtAt = add('RSDT', finish(rsdt));
  const bytes = new Uint8Array(next);
  for (const part of parts) bytes.set(part.bytes, part.at);
  const rsdp = createByteWriter(RSDP_SIZE);
  rsdp.text(0, 'RSD PTR ', 8);
  rsdp.text(9, 'EMKIT', 6);
  rsdp.u32(16, rsdtAt);
  rsdp.checksum(8, 0, RSDP_SIZE);
  return { address, bytes, rsdp: rsdp.bytes, offsets };
}
