/** Encodings compared with the bytes that the specification's grammar gives (worked out by hand) and that iasl makes. */
import { describe, expect, it } from 'vitest';
import * as aml from './aml.ts';
import { busRange, dma, io, isaIrq, levelInterrupts, memoryRange, resourceTemplate } from './resource-template.ts';

describe('AML encoder', () => {
  it('encodes package lengths at each size border', () => {
    expect(aml.packageLength(0)).toEqual([1]);
    expect(aml.packageLength(62)).toEqual([63]);
    expect(aml.packageLength(63)).toEqual([0x41, 4]); // 65 = 0x41
    expect(aml.packageLength(0xfff - 2)).toEqual([0x4f, 0xff]);
    expect(aml.packageLength(0xfff - 1)).toEqual([0x81, 0x00, 0x01]); // 0x1001
    expect(aml.packageLength(0xfffff - 3)).toEqual([0x8f, 0xff, 0xff]);
    expect(aml.packageLength(0xfffff - 2)).toEqual([0xc1, 0x00, 0x00, 0x01]);
  });
  it('encodes names and paths', () => {
    const s = (t: string) => [...t].map((c) => c.charCodeAt(0));
    expect(aml.path('_HID')).toEqual(s('_HID'));
    expect(aml.path('ISA')).toEqual(s('ISA_'));
    expect(aml.path('\\_SB.PCI0')).toEqual([0x5c, 0x2e, ...s('_SB_PCI0')]);
    expect(aml.path('^^A.B.C')).toEqual([0x5e, 0x5e, 0x2f, 3, ...s('A___B___C___')]);
    expect(aml.path('\\')).toEqual([0x5c, 0]);
    expect(() => aml.path('toolong')).toThrow(RangeError);
    expect(() => aml.path('A..B')).toThrow(RangeError);
  });
  it('encodes integers, strings, EISA ids', () => {
    expect([0, 1, 2, 0xff, 0x100, 0xffff, 0x10000].map((n) => aml.integer(n))).toEqual([
      [0],
      [1],
      [0x0a, 2],
      [0x0a, 0xff],
      [0x0b, 0, 1],
      [0x0b, 0xff, 0xff],
      [0x0c, 0, 0, 1, 0],
    ]);
    expect(() => aml.integer(2 ** 32)).toThrow(RangeError);
    expect(aml.text('ab')).toEqual([0x0d, 0x61, 0x62, 0]);
    // ACPI 6.4 §19.6.37 gives EISAID("PNP0C09") as 0x090CD041.
    expect(aml.eisaId('PNP0C09')).toEqual([0x0c, 0x41, 0xd0, 0x0c, 0x09]);
  });
  it('encodes \\_S5 as every ACPI system has it', () => {
    const s5 = aml.name('\\_S5', aml.packageOf(aml.ZERO, aml.ZERO, aml.ZERO, aml.ZERO));
    expect(s5).toEqual([0x08, 0x5c, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x06, 0x04, 0, 0, 0, 0]);
  });
  it('encodes methods, conditions and fields', () => {
    expect(aml.method('_STA', 0, false, aml.giveBack(aml.integer(0x0f)))).toEqual([
      0x14, 0x09, 0x5f, 0x53, 0x54, 0x41, 0x00, 0xa4, 0x0a, 0x0f,
    ]);
    expect(aml.when(aml.equal(aml.arg(0), aml.ONE), aml.store(aml.ZERO, aml.local(1)))).toEqual([
      0xa0, 0x07, 0x93, 0x68, 0x01, 0x70, 0x00, 0x61,
    ]);
    expect(aml.otherwise(aml.giveBack(aml.ZERO))).toEqual([0xa1, 0x03, 0xa4, 0x00]);
    expect(aml.operationRegion('P40C', aml.PCI_CONFIG, 0x60, 4).slice(6)).toEqual([2, 0x0a, 0x60, 0x0a, 4]);
    expect(
      aml
        .field('R', [
          ['', 4],
          ['F', 8],
          ['', 100],
        ])
        .slice(3),
    ).toEqual([...aml.path('R'), 1, 0, 4, ...aml.path('F'), 8, 0, 0x44, 6]);
    expect(aml.createDwordField(aml.arg(0), 5, 'IRQ0')).toEqual([0x8a, 0x68, 0x0a, 5, ...aml.path('IRQ0')]);
  });
});

describe('resource descriptors', () => {
  it('have the layouts of ACPI 6.4 §6.4', () => {
    expect(io(0x3f8, 8)).toEqual([0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8]);
    expect(isaIrq(4)).toEqual([0x22, 0x10, 0]);
    expect(isaIrq(12)).toEqual([0x22, 0, 0x10]);
    expect(dma(4)).toEqual([0x2a, 0x10, 0]);
    expect(levelInterrupts(5, 10)).toEqual([0x89, 10, 0, 9, 2, 5, 0, 0, 0, 10, 0, 0, 0]);
    expect(busRange(0, 255).length).toBe(16);
    expect(memoryRange(0xa0000, 0xbffff, true).length).toBe(26);
    expect(memoryRange(0xa0000, 0xbffff, true).slice(22)).toEqual([0, 0, 2, 0]);
    expect(resourceTemplate(isaIrq(1)).slice(-2)).toEqual([0x79, 0]);
  });
});
