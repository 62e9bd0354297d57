/** Any sensible board gives tables that read back: lengths, checksums, no overlap. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildFirmwareTables, DEFAULT_PC } from './index.ts';

describe('any board', () => {
  it('gives tables that can be walked', () => {
    const board = fc.record({
      apicIds: fc.uniqueArray(fc.nat(254), { minLength: 1, maxLength: 64 }),
      serialPorts: fc.nat(4),
      hasKeyboard: fc.boolean(),
      hasFloppy: fc.boolean(),
      fadtRevision: fc.constantFrom(1 as const, 3 as const),
      pciMemoryStart: fc.constantFrom(0x80000000, 0xc0000000, 0xe0000000),
      pmBase: fc.constantFrom(0x600, 0xb000),
    });
    fc.assert(
      fc.property(board, (b) => {
        const placed = buildFirmwareTables({ ...DEFAULT_PC, ...b });
        const acpi = placed.find((p) => p.name === 'ACPI tables')!.bytes;
        const v = new DataView(acpi.buffer, acpi.byteOffset, acpi.byteLength);
        let at = 64; // past the FACS, which has no checksum
        let seen = 0;
        while (at + 8 <= acpi.length) {
          const length = v.getUint32(at + 4, true);
          expect(length).toBeGreaterThanOrEqual(36);
          expect(acpi.subarray(at, at + length).reduce((a, x) => (a + x) & 0xff, 0)).toBe(0);
          at = Math.ceil((at + length) / 16) * 16;
          seen++;
        }
        expect([at, seen]).toEqual([acpi.length, 5]);
      }),
      { seed: 99, numRuns: 60 },
    );
  });
});
