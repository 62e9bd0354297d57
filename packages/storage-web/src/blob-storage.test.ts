import { isBlockError } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { BlobStorage } from './index.ts';

/** A disk with an MBR: partition entries from byte 446 on, 16 bytes each, start and count in sectors. */
function partitionedDisk(partitions: readonly { type: number; start: number; sectors: number }[]): Uint8Array {
  const disk = new Uint8Array(64 * 512);
  const view = new DataView(disk.buffer);
  partitions.forEach(({ type, start, sectors }, i) => {
    view.setUint8(446 + i * 16 + 4, type);
    view.setUint32(446 + i * 16 + 8, start, true);
    view.setUint32(446 + i * 16 + 12, sectors, true);
    disk.fill(i + 1, start * 512, (start + sectors) * 512);
  });
  view.setUint16(510, 0xaa55, true);
  return disk;
}

describe('a file dropped on a page', () => {
  it('is listed and read', async () => {
    const parts = [
      { type: 0x83, start: 8, sectors: 16 },
      { type: 0x82, start: 24, sectors: 8 },
    ];
    const file = new File([partitionedDisk(parts) as never], 'disk.img');
    const disk = new BlobStorage(file);
    const mbr = new Uint8Array(512);
    await disk.read(0, mbr);
    const view = new DataView(mbr.buffer);
    const listed = [0, 1, 2, 3]
      .map((i) => 446 + i * 16)
      .map((at) => ({
        type: view.getUint8(at + 4),
        start: view.getUint32(at + 8, true),
        sectors: view.getUint32(at + 12, true),
      }))
      .filter(({ type }) => type !== 0);
    expect([disk.name, disk.size, listed]).toEqual(['disk.img', 64 * 512, parts]);
    const second = new Uint8Array(8 * 512);
    await disk.read(24 * 512, second);
    expect(second).toEqual(new Uint8Array(8 * 512).fill(2));
  });

  it('reads zeroes past its end, and is read only', async () => {
    const disk = new BlobStorage(new Blob([Uint8Array.of(1, 2, 3)]));
    const buffer = new Uint8Array(5).fill(9);
    await disk.read(1, buffer);
    expect([...buffer]).toEqual([2, 3, 0, 0, 0]);
    expect('write' in disk).toBe(false);
    await expect(disk.read(-1, buffer)).rejects.toMatchObject({ kind: 'out-of-bounds' });
    await expect(disk.read(0, buffer, { signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: 'aborted' });
  });

  it('says so when the file is not there any more', async () => {
    const gone = { size: 10, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }) };
    const short = { size: 10, slice: () => ({ arrayBuffer: () => Promise.resolve(new ArrayBuffer(3)) }) };
    for (const blob of [gone, short]) {
      const error: unknown = await new BlobStorage(blob).read(0, new Uint8Array(5)).catch((e: unknown) => e);
      expect(isBlockError(error, 'io') && error.hint).toContain('choose it again');
    }
  });
});
