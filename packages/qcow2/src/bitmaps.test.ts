import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryStorage, type BlockImage } from '@emkit/storage';
import { Disk, powerCuts, Recorder, WriteLog } from '@emkit/storage-testbed';
import { DirtyBits } from './bitmap-bits.ts';
import {
  encodeBitmapDirectory,
  encodeBitmapsExtension,
  loadBitmapDirectory,
  tableSizeFor,
} from './bitmap-directory.ts';
import { AUTOCLEAR_BITMAPS, Extension } from './constants.ts';
import { parseHeader, type Qcow2Header } from './header.ts';
import { withExtension } from './header-extensions.ts';
import { qcow2 } from './index.ts';
import { MAX_BITMAP_DIRECTORY_BYTES, MAX_BITMAP_NAME_BYTES, MAX_BITMAPS } from './limits.ts';

const MIB = 1024 * 1024;

async function fresh(options: Record<string, string> = {}): Promise<MemoryStorage> {
  const file = new MemoryStorage();
  await qcow2.create?.(file, { size: 8 * MIB, options: { cluster_size: '4096', ...options } });
  return file;
}
const ranges = async (image: BlockImage, name: string): Promise<unknown> => [
  ...((await image.bitmaps?.dirtyRanges(name)) ?? []),
];

describe('bits', () => {
  it('are a set of numbers', () => {
    const run = fc.tuple(fc.nat(100_000), fc.nat(40_000));
    fc.assert(
      fc.property(fc.array(run, { maxLength: 8 }), fc.nat(250_000), (runs, end) => {
        const bits = new DirtyBits();
        const model = new Set<number>();
        for (const [first, length] of runs) {
          bits.set(first, first + length);
          for (let i = first; i < first + length; i++) model.add(i);
        }
        bits.truncate(end);
        const found: number[] = [];
        for (const [from, to] of bits.runs()) for (let i = from; i < to; i++) found.push(i);
        const wanted = [...model].filter((i) => i < end).sort((a, b) => a - b);
        expect(found.length).toBe(wanted.length);
        expect(found.every((value, i) => value === wanted[i])).toBe(true);
        const bytes = new Uint8Array(40_000);
        bits.orInto(0, bytes);
        const copy = new DirtyBits();
        copy.orBytes(0, bytes);
        expect([...copy.runs()]).toEqual([...bits.runs()]);
      }),
      { numRuns: 12 },
    );
  });
});

describe('bitmaps', () => {
  it('that are dirty as a whole take no space, however large the disk', async () => {
    const size = 2 ** 40 + 123 * 512;
    const file = new MemoryStorage();
    await qcow2.create!(file, { size });
    let image = await qcow2.open(file);
    await image.bitmaps!.add({ name: 'all', granularity: 512 });
    await image.bitmaps!.merge('all', [[0, size]]);
    await image.close();
    expect(file.size).toBeLessThan(2 << 20);
    image = await qcow2.open(file);
    expect([...(await image.bitmaps!.dirtyRanges('all'))]).toEqual([[0, size]]);
    expect(await image.check!()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.bitmaps!.clear('all');
    await image.close();
    image = await qcow2.open(file);
    expect([...(await image.bitmaps!.dirtyRanges('all'))]).toEqual([]);
    expect(await image.check!()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.close();
  });

  it('record what is written while they are enabled, over several openings', async () => {
    const file = await fresh();
    let image = await qcow2.open(file);
    await image.bitmaps?.add({ name: 'on', granularity: 65536 });
    await image.bitmaps?.add({ name: 'off', granularity: 512, enabled: false });
    await image.write?.(MIB + 5, new Uint8Array(10));
    await image.close();
    image = await qcow2.open(file);
    expect(image.bitmaps?.list()).toEqual([
      { name: 'on', granularity: 65536, enabled: true, inUse: false },
      { name: 'off', granularity: 512, enabled: false, inUse: false },
    ]);
    await image.writeZeroes?.(3 * MIB, MIB);
    await image.bitmaps?.merge('off', [[1, 513]]);
    expect(await ranges(image, 'on')).toEqual([
      [MIB, MIB + 65536],
      [3 * MIB, 4 * MIB],
    ]);
    expect(await ranges(image, 'off')).toEqual([[0, 1024]]);
    expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.close();
    image = await qcow2.open(file, { readOnly: true });
    expect(await ranges(image, 'off')).toEqual([[0, 1024]]);
    expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0 });
    await expect(image.bitmaps?.clear('on')).rejects.toMatchObject({ kind: 'read-only' });
  });

  it('follow the size of the disk', async () => {
    const file = await fresh();
    let image = await qcow2.open(file);
    await image.bitmaps?.add({ name: 'b', granularity: 512 });
    await image.write?.(8 * MIB - 512, new Uint8Array(512));
    await expect(image.resize?.(MIB)).rejects.toMatchObject({ kind: 'invalid-option' });
    expect(await ranges(image, 'b')).toEqual([[8 * MIB - 512, 8 * MIB]]);
    await image.snapshots?.create({ name: 's' });
    await image.resize?.(4 * MIB, { shrink: true });
    await image.resize?.(100 * MIB);
    await image.write?.(90 * MIB, new Uint8Array(1));
    await image.close();
    image = await qcow2.open(file);
    expect(await ranges(image, 'b')).toEqual([[90 * MIB, 90 * MIB + 512]]);
    expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.snapshots?.apply('s');
    await image.close();
    image = await qcow2.open(file);
    expect(await ranges(image, 'b')).toEqual([[0, 8 * MIB]]);
    expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0 });
    await image.bitmaps?.clear('b');
    await image.close();
    image = await qcow2.open(file);
    expect(await ranges(image, 'b')).toEqual([]);
    await image.bitmaps?.remove('b');
    await image.close();
    image = await qcow2.open(file);
    expect(image.bitmaps?.list()).toEqual([]);
    expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0 });
  });

  it.each([
    [{ name: '' }, 'invalid-option'],
    [{ name: 'x'.repeat(MAX_BITMAP_NAME_BYTES + 1) }, 'invalid-option'],
    [{ name: 'g', granularity: 256 }, 'invalid-option'],
    [{ name: 'g', granularity: 2 ** 32 }, 'invalid-option'],
    [{ name: 'g', granularity: 3000 }, 'invalid-option'],
    [{ name: 'there' }, 'exists'],
  ])('refuse %o', async (bitmap, kind) => {
    const image = await qcow2.open(await fresh());
    await image.bitmaps?.add({ name: 'there' });
    await image.bitmaps?.add({ name: 'x'.repeat(MAX_BITMAP_NAME_BYTES) });
    await expect(image.bitmaps?.add(bitmap)).rejects.toMatchObject({ kind });
    await expect(image.bitmaps?.clear('nobody')).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('need version 3', async () => {
    const image = await qcow2.open(await fresh({ compat: '0.10' }));
    await expect(image.bitmaps?.add({ name: 'b' })).rejects.toMatchObject({ kind: 'unsupported-feature' });
  });

  it('are forgotten after a writer that does not know them', async () => {
    const file = await fresh();
    const image = await qcow2.open(file);
    await image.bitmaps?.add({ name: 'b' });
    await image.close();
    await file.write(95, Uint8Array.of(0)); // autoclear_features
    expect((await qcow2.open(file, { readOnly: true })).bitmaps?.list()).toEqual([]);
  });
});

describe('after a power cut', () => {
  it('a bitmap is either known not to be trusted, or has everything that was written', async () => {
    const disk = new Disk(0, 'image');
    await qcow2.create?.(disk, { size: MIB, options: { cluster_size: '4096' } });
    const first = await qcow2.open(disk);
    await first.bitmaps?.add({ name: 'b', granularity: 512 });
    await first.write?.(0, new Uint8Array(512));
    await first.close();
    const log = new WriteLog();
    const image = await qcow2.open(new Recorder(disk.fork(), log));
    const opened = log.tick();
    await image.write?.(MIB / 2, new Uint8Array(1024).fill(1));
    const written = log.tick();
    await image.bitmaps?.add({ name: 'c', enabled: false });
    await image.close();
    let trusted = 0;
    for (const cut of powerCuts(log, { subsets: 4 })) {
      const after = await qcow2.open(cut.disks[0] as Disk, { readOnly: true });
      const result = await after.check?.();
      expect(result).toMatchObject({ corruptions: 0, checkErrors: 0 });
      const bitmap = after.bitmaps?.list().find(({ name }) => name === 'b');
      if (bitmap === undefined || bitmap.inUse) continue;
      trusted++;
      const has = JSON.stringify(await ranges(after, 'b'));
      if (cut.time > written)
        expect(has).toBe(
          JSON.stringify([
            [0, 512],
            [MIB / 2, MIB / 2 + 1024],
          ]),
        );
      else expect(cut.time).toBeLessThanOrEqual(opened);
    }
    expect(trusted).toBeGreaterThan(0);
  });
});

describe('a bitmap directory', () => {
  const entry = {
    tableOffset: 8192,
    tableSize: tableSizeFor(8 * MIB, 16, 4096),
    flags: 2,
    granularityBits: 16,
    name: 'b',
    extra: new Uint8Array(0),
  };
  async function load(
    change: (directory: Uint8Array, view: DataView) => void,
    extension: Partial<{ count: number; directorySize: number; directoryOffset: number }> = {},
  ): Promise<unknown> {
    const file = await fresh();
    const directory = encodeBitmapDirectory([entry]);
    change(directory, new DataView(directory.buffer));
    const at = Math.ceil(file.size / 4096) * 4096;
    await file.write(at, directory);
    const base = parseHeader(file.bytes().subarray(0, 4096));
    const data = encodeBitmapsExtension({
      count: 1,
      directorySize: directory.length,
      directoryOffset: at,
      ...extension,
    });
    const header: Qcow2Header = {
      ...base,
      autoclearFeatures: AUTOCLEAR_BITMAPS,
      extensions: withExtension(base.extensions, Extension.BITMAPS, data),
    };
    return loadBitmapDirectory(file, header);
  }

  it('is read as it was written', async () => {
    expect(await load(() => undefined)).toEqual([entry]);
  });

  it.each<[string, (directory: Uint8Array, view: DataView) => void]>([
    ['unaligned table', (_, v) => v.setUint32(4, 8193)],
    ['huge table', (_, v) => v.setUint32(8, 0xffffffff)],
    ['empty table', (_, v) => v.setUint32(8, 0)],
    ['unknown flags', (_, v) => v.setUint32(12, 8)],
    ['unknown type', (_, v) => v.setUint8(16, 2)],
    ['fine granularity', (_, v) => v.setUint8(17, 8)],
    ['coarse granularity', (_, v) => v.setUint8(17, 32)],
    ['long name', (_, v) => v.setUint16(18, 0xffff)],
    ['no name', (_, v) => v.setUint16(18, 0)],
    ['long extra data', (_, v) => v.setUint32(20, 0xffffffff)],
  ])('with %s is refused', async (_, change) => {
    await expect(load(change)).rejects.toMatchObject({ name: 'BlockError', kind: 'invalid-format' });
  });

  it.each([
    { count: 0 },
    { count: 2 },
    { count: MAX_BITMAPS + 1 },
    { directorySize: MAX_BITMAP_DIRECTORY_BYTES + 1 },
    { directorySize: MAX_BITMAP_DIRECTORY_BYTES },
    { directoryOffset: 512 },
    { directoryOffset: 2 ** 53 - 4096 },
  ])('whose extension says %o is refused', async (extension) => {
    await expect(load(() => undefined, extension)).rejects.toMatchObject({
      name: 'BlockError',
      kind: 'invalid-format',
    });
  });
});
