import { describe, expect, it } from 'vitest';
import { loadedRanges } from './elf-ranges.ts';

/** An ELF-64 file with one segment: linked high, loaded low. */
function elf(type: number): Uint8Array {
  const file = new DataView(new ArrayBuffer(64 + 56));
  file.setUint32(0, 0x7f454c46);
  file.setUint8(4, 2);
  file.setBigUint64(32, 64n, true);
  file.setUint16(54, 56, true);
  file.setUint16(56, 1, true);
  file.setUint32(64, type, true);
  file.setBigUint64(64 + 16, 0xffffffff80100000n, true);
  file.setBigUint64(64 + 24, 0x100000n, true);
  file.setBigUint64(64 + 40, 0x2000n, true);
  return new Uint8Array(file.buffer);
}

describe('ranges of an ELF file', () => {
  it('are those of its loaded segments, at both addresses', () => {
    expect(loadedRanges(elf(1))).toEqual(['0x100000+0x2000', '0xffffffff80100000+0x2000']);
  });
  it('are none of other files and other segments', () => {
    expect(loadedRanges(elf(4))).toEqual([]);
    expect(loadedRanges(new Uint8Array(100))).toEqual([]);
    expect(loadedRanges(elf(1).subarray(0, 70))).toEqual([]);
  });
});
