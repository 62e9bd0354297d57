/**
 * The MP table: floating pointer and configuration table, for systems that look for it when they find no ACPI.
 *
 * Spec: Intel MultiProcessor Specification 1.4, chapter 4. Buses: PCI 0 and ISA 1. Every ISA interrupt has an entry; the four
 * PCI pins of the slots are not listed, since the PIIX3 router gives them to ISA lines.
 */
import { interruptOverrides } from './acpi.ts';
import { createByteWriter } from './byte-writer.ts';
import type { PcDescription } from './pc-description.ts';

const POINTER_SIZE = 16;
const CONFIG_HEADER = 44;

/** Floating pointer and configuration table, one after the other; `address` (16-byte aligned) is where the pointer goes. */
export function buildMpTable(pc: PcDescription, address: number): Uint8Array {
  if (address % 16 !== 0) throw new RangeError('the MP floating pointer lies on a 16-byte boundary');
  const isa = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
  const entries = pc.apicIds.length + 2 + 1 + isa.length + 2;
  const size = CONFIG_HEADER + pc.apicIds.length * 20 + (entries - pc.apicIds.length) * 8;
  const w = createByteWriter(POINTER_SIZE + size);
  w.text(0, '_MP_', 4);
  w.u32(4, address + POINTER_SIZE);
  w.u8(8, 1);
  w.u8(9, 4);
  w.checksum(10, 0, POINTER_SIZE);

  const base = POINTER_SIZE;
  w.text(base, 'PCMP', 4);
  w.u16(base + 4, size);
  w.u8(base + 6, 4);
  w.text(base + 8, 'EMKIT', 8);
  w.text(base + 16, 'PC', 12);
  w.u16(base + 34, entries);
  w.u32(base + 36, pc.localApicAddress);
  let at = base + CONFIG_HEADER;
  pc.apicIds.forEach((id, i) => {
    w.u8(at, 0);
    w.u8(at + 1, id);
    w.u8(at + 2, 0x14); // integrated local APIC version
    w.u8(at + 3, i === 0 ? 3 : 1); // enabled, boot processor
    w.u32(at + 4, pc.cpuSignature);
    w.u32(at + 8, pc.cpuFeatures);
    at += 20;
  });
  for (const [id, name] of [[0, 'PCI'], [1, 'ISA']] as const) {
    w.u8(at, 1);
    w.u8(at + 1, id);
    w.text(at + 2, name, 6);
    at += 8;
  }
  w.u8(at, 2);
  w.u8(at + 1, pc.ioApicId);
  w.u8(at + 2, 0x11);
  w.u8(at + 3, 1);
  w.u32(at + 4, pc.ioApicAddress);
  at += 8;
  const overrides = interruptOverrides();
  for (const irq of isa) {
    const over = overrides.find((o) => o.isa === irq);
    interrupt(at, 3, 0, over?.flags ?? 0, irq, pc.ioApicId, over?.gsi ?? irq);
    at += 8;
  }
  interrupt(at, 4, 3, 0, 0, 0xff, 0); // the 8259 pair as external interrupt on LINT0
  interrupt(at + 8, 4, 1, 0, 0, 0xff, 1); // NMI on LINT1
  w.checksum(base + 7, base, base + size);
  return w.bytes;

  /** Entry types 3 (I/O interrupt) and 4 (local interrupt), ISA bus. */
  function interrupt(offset: number, entry: number, kind: number, flags: number, source: number, apic: number, pin: number): void {
    w.u8(offset, entry);
    w.u8(offset + 1, kind);
    w.u16(offset + 2, flags);
    w.u8(offset + 4, 1);
    w.u8(offset + 5, source);
    w.u8(offset + 6, apic);
    w.u8(offset + 7, pin);
  }
}
