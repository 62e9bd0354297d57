import { describe, expect, it } from 'vitest';
import { Disk, powerCuts, Recorder, WriteLog } from '@emkit/storage-testbed';
import { isBlockError, type BlockImage, type CheckResult } from '@emkit/storage';
import { Header } from './constants.ts';
import { qcow2 } from './index.ts';
import { MAX_REPORT_LINES } from './limits.ts';

const CLUSTER = 4096;
const SIZE = 60 * CLUSTER;

async function sample(options: Record<string, string> = {}): Promise<{ disk: Disk; content: Uint8Array }> {
  const disk = new Disk(0, 'image');
  await qcow2.create?.(disk, { size: SIZE, options: { cluster_size: String(CLUSTER), ...options } });
  const image = await qcow2.open(disk);
  for (let i = 0; i < 30; i++) await image.write?.(((i * 17) % 60) * CLUSTER, new Uint8Array(CLUSTER).fill(i + 1));
  await image.snapshots?.create({ name: 's' });
  await image.write?.(0, new Uint8Array(CLUSTER * 3).fill(77));
  await image.close();
  return { disk, content: await contentOf(disk) };
}

async function contentOf(disk: Disk): Promise<Uint8Array> {
  const image = await qcow2.open(disk.fork(), { readOnly: true });
  const bytes = new Uint8Array(SIZE);
  await image.read(0, bytes);
  await image.close();
  return bytes;
}

const long = (disk: Disk, at: number): number => {
  const bytes = new Uint8Array(8);
  disk.get(at, bytes);
  return Number(new DataView(bytes.buffer).getBigUint64(0));
};
const put = (disk: Disk, at: number, value: bigint): void => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  disk.put(at, bytes);
};
const refcountBlock = (disk: Disk): number => long(disk, long(disk, Header.REFCOUNT_TABLE_OFFSET));

/** Ways to break an image whose content stays readable. */
const damages: readonly (readonly [string, (disk: Disk) => void])[] = [
  [
    'counts too high and too low',
    (disk) => {
      for (const within of [4, 13]) {
        const byte = new Uint8Array(1);
        disk.get(refcountBlock(disk) + within, byte);
        disk.put(refcountBlock(disk) + within, Uint8Array.of((byte[0] as number) ^ 3));
      }
    },
  ],
  ['counts of zero', (disk) => disk.put(refcountBlock(disk) + 10, new Uint8Array(8))],
  ['a lost refcount block', (disk) => put(disk, long(disk, Header.REFCOUNT_TABLE_OFFSET), 0n)],
  ['an unaligned refcount block', (disk) => put(disk, long(disk, Header.REFCOUNT_TABLE_OFFSET), 0x1200n)],
  ['a refcount block past the end', (disk) => put(disk, long(disk, Header.REFCOUNT_TABLE_OFFSET), 0x100000000n)],
  ['a lost refcount table', (disk) => put(disk, Header.REFCOUNT_TABLE_OFFSET, 0x10000000n)],
  [
    'COPIED flags that are wrong',
    (disk) => {
      const l1 = long(disk, Header.L1_TABLE_OFFSET);
      const entry = new Uint8Array(1);
      disk.get(l1, entry);
      disk.put(l1, Uint8Array.of((entry[0] as number) ^ 0x80));
    },
  ],
];

const repair = async (image: BlockImage): Promise<CheckResult | undefined> => image.check?.({ repair: 'all' });

describe.each(damages)('an image with %s', (_, damage) => {
  it.each([{}, { refcount_bits: '2' }, { compat: '0.10' }] as const)('is repaired: %o', async (options) => {
    const { disk, content } = await sample(options as Record<string, string>);
    damage(disk);
    const before = await (await qcow2.open(disk.fork(), { readOnly: true, forCheck: true })).check?.();
    expect((before?.corruptions ?? 0) + (before?.leaks ?? 0) + (before?.checkErrors ?? 0)).toBeGreaterThan(0);
    const image = await qcow2.open(disk, { forCheck: true });
    expect(await repair(image)).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
    expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0, corruptionsFixed: 0 });
    await image.write?.(CLUSTER * 50, new Uint8Array(CLUSTER).fill(content[CLUSTER * 50] as number));
    await image.close();
    expect((await contentOf(disk)).every((byte, i) => byte === content[i])).toBe(true);
    const again = await qcow2.open(disk, { readOnly: true });
    expect(await again.check?.()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
  });

  it('loses nothing when the power is cut while it is repaired', async () => {
    const { disk, content } = await sample();
    damage(disk);
    const log = new WriteLog();
    const image = await qcow2.open(new Recorder(disk.fork(), log), { forCheck: true });
    await repair(image);
    await image.close();
    let cuts = 0;
    for (const cut of powerCuts(log, { subsets: 3 })) {
      cuts++;
      const left = cut.disks[0] as Disk;
      const after = await qcow2.open(left, { forCheck: true });
      expect(await repair(after)).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
      await after.close();
      expect((await contentOf(left)).every((byte, i) => byte === content[i])).toBe(true);
    }
    expect(cuts).toBeGreaterThan(1);
  });
});

describe('check', () => {
  it('repairs leaks only, when that is what is asked for', async () => {
    const { disk } = await sample();
    disk.put(refcountBlock(disk) + 60 * 2, Uint8Array.of(0, 1));
    disk.resize(Math.max(disk.size, 61 * CLUSTER));
    const image = await qcow2.open(disk, { forCheck: true });
    const lines: string[] = [];
    const result = await image.check?.({ repair: 'leaks', report: (line) => lines.push(line) });
    expect(result).toMatchObject({ leaks: 0, leaksFixed: 1, corruptions: 0 });
    expect(lines).toEqual(['Leaked cluster 60 refcount=1 reference=0', 'Repairing cluster 60 refcount=1 reference=0']);
    await image.close();
  });

  it('does not rebuild when it may repair leaks only', async () => {
    const { disk } = await sample();
    disk.put(refcountBlock(disk) + 10, new Uint8Array(2));
    const image = await qcow2.open(disk, { forCheck: true });
    await expect(image.check?.({ repair: 'leaks' })).rejects.toMatchObject({
      kind: 'corrupt-image',
      message: 'Check failed: Input/output error',
    });
  });

  it('changes nothing that is open for reading only', async () => {
    const { disk } = await sample();
    const image = await qcow2.open(disk, { readOnly: true });
    await expect(repair(image)).rejects.toSatisfy((error) => isBlockError(error, 'read-only'));
  });

  it('ends when it is aborted', async () => {
    const { disk } = await sample();
    const image = await qcow2.open(disk, { readOnly: true });
    await expect(image.check?.({ signal: AbortSignal.abort('enough') })).rejects.toMatchObject({ kind: 'aborted' });
  });

  it('lists so many findings and counts the rest', async () => {
    const disk = new Disk(0, 'image');
    await qcow2.create?.(disk, { size: 2 ** 30, options: { cluster_size: '512', refcount_bits: '1' } });
    const block = refcountBlock(disk);
    const tables = Math.ceil(MAX_REPORT_LINES / 4096) + 2;
    // every entry of the refcount table is one and the same block, all of whose counts are 1
    disk.put(block, new Uint8Array(512).fill(0xff));
    for (let i = 0; i < Math.min(64, tables); i++)
      put(disk, long(disk, Header.REFCOUNT_TABLE_OFFSET) + i * 8, BigInt(block));
    disk.resize(64 * 4096 * 512);
    const image = await qcow2.open(disk, { readOnly: true, forCheck: true });
    const lines: string[] = [];
    const result = await image.check?.({ report: (line) => lines.push(line) });
    expect(lines.length).toBe(MAX_REPORT_LINES + 1);
    expect(lines.at(-1)).toBe('Further findings are counted, but not listed');
    expect(result?.leaks).toBeGreaterThan(MAX_REPORT_LINES);
  });

  it('takes memory for what the image refers to, not for what it claims', async () => {
    const disk = new Disk(0, 'image');
    await qcow2.create?.(disk, { size: 2 ** 46, options: { cluster_size: '2097152' } });
    const image = await qcow2.open(disk);
    for (let i = 0; i < 10; i++) await image.write?.(i * 2 ** 42, new Uint8Array(512).fill(1));
    await image.close();
    disk.resize(2 ** 50);
    const again = await qcow2.open(disk, { readOnly: true });
    expect(await again.check?.()).toMatchObject({
      corruptions: 0,
      leaks: 0,
      totalClusters: 2 ** 25,
      allocatedClusters: 10,
    });
  });
});
