/** Against qemu-img 7.2: persistent bitmaps made, changed and read by either side; dirty parts as qemu-nbd would export them. */
import type { BlockImage } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { qcow2 } from '../src/index.ts';
import { Bench } from './qemu.ts';

const bench = new Bench();
afterAll(() => bench.done());
const FILE = 'disk.qcow2';
const KIB = 1024;
const open = (): Promise<BlockImage> => qcow2.open(bench.file(FILE));
const clean = (): void => expect(bench.tryImg('check', FILE)).toMatchObject({ status: 0 });
type Info = { 'format-specific': { data: { bitmaps?: unknown } } };
const listed = (): unknown => (bench.json('info', FILE) as Info)['format-specific'].data.bitmaps;

async function dirty(image: BlockImage, name: string): Promise<unknown> {
  return [...((await image.bitmaps?.dirtyRanges(name)) ?? [])].map(([start, end]) => [start / KIB, end / KIB]);
}

/** What qemu-img sees in a bitmap: merged into one of an image of its own, each part is looked for with ours, so ask map of a pull image. */
function theirs(name: string): void {
  bench.img('bitmap', '--merge', name, FILE, 'probe');
}

describe.each([{ cluster_size: '65536' }, { cluster_size: '512' }, { cluster_size: '2097152' }])(
  'bitmaps with %j',
  ({ cluster_size }) => {
    it('go back and forth', async () => {
      bench.img('create', '-f', 'qcow2', '-o', `cluster_size=${cluster_size}`, FILE, '8M');
      bench.img('bitmap', '--add', '-g', '32K', FILE, 'b0');
      bench.img('bitmap', '--add', '--disable', FILE, 'off');
      bench.io(FILE, 'write 100k 10k', 'write 4M 64k');
      let image = await open();
      expect(await dirty(image, 'b0')).toEqual([
        [96, 128],
        [4096, 4160],
      ]);
      expect(await dirty(image, 'off')).toEqual([]);
      expect((await image.info()).formatSpecific?.data['bitmaps']).toEqual([
        { flags: ['auto'], name: 'b0', granularity: 32768 },
        { flags: [], name: 'off', granularity: Math.max(4096, Math.min(65536, Number(cluster_size))) },
      ]);
      await image.write?.(1024 * KIB, new Uint8Array(1));
      await image.bitmaps?.add({ name: 'ours', granularity: 4096 });
      await image.writeZeroes?.(2048 * KIB, 5000);
      await image.close();
      clean();
      expect(listed()).toEqual([
        { flags: ['auto'], name: 'b0', granularity: 32768 },
        { flags: [], name: 'off', granularity: Math.max(4096, Math.min(65536, Number(cluster_size))) },
        { flags: ['auto'], name: 'ours', granularity: 4096 },
      ]);
      // through qemu-img's eyes: what it merges out of ours
      bench.img('bitmap', '--add', '--disable', '-g', '4K', FILE, 'probe');
      theirs('b0');
      theirs('ours');
      image = await open();
      const both = [
        [96, 128],
        [1024, 1056],
        [2048, 2080],
        [4096, 4160],
      ];
      expect(await dirty(image, 'probe')).toEqual(both);
      expect(await dirty(image, 'ours')).toEqual([[2048, 2056]]);
      await image.bitmaps?.merge('off', (await image.bitmaps?.dirtyRanges('b0')) ?? []);
      await image.bitmaps?.clear('b0');
      await image.bitmaps?.setEnabled('ours', false);
      await image.bitmaps?.remove('probe');
      await image.discard?.(0, 4096);
      await image.close();
      clean();
      expect(listed()).toMatchObject([
        { flags: ['auto'], name: 'b0' },
        { flags: [], name: 'off' },
        { flags: [], name: 'ours' },
      ]);
      bench.img('resize', FILE, '16M');
      image = await open();
      await image.resize?.(4 * KIB * KIB, { shrink: true });
      await image.close();
      clean();
      expect(listed()).toHaveLength(3);
    });
  },
);

it('that a crash left in use are not trusted, and can be removed', async () => {
  bench.img('create', '-f', 'qcow2', FILE, '1M');
  bench.img('bitmap', '--add', FILE, 'b');
  const crashed = await open();
  await crashed.write?.(0, new Uint8Array(65536));
  await crashed.flush?.();
  // not closed
  expect(listed()).toEqual([{ flags: ['in-use', 'auto'], name: 'b', granularity: 65536 }]);
  const image = await open();
  expect(image.bitmaps?.list()).toMatchObject([{ name: 'b', inUse: true }]);
  await expect(image.bitmaps?.dirtyRanges('b')).rejects.toMatchObject({ kind: 'corrupt-image' });
  await image.bitmaps?.remove('b');
  await image.close();
  expect(listed()).toBe(undefined);
  clean();
});
