/** `amend compat=0.10` of an image with internal snapshots: they read as before, whenever the power is cut. */
import type { BlockImage } from '@emkit/storage';
import { Directory, Disk, powerCuts, Recorder, WriteLog } from '@emkit/storage-testbed';
import { describe, expect, it } from 'vitest';
import { qcow2 } from './index.ts';

const KIB = 1024;
const SIZE = 32 * KIB;

async function all(image: Pick<BlockImage, 'read' | 'size'> | undefined): Promise<string> {
  const bytes = new Uint8Array(image?.size ?? 0).fill(0xa5);
  await image?.read(0, bytes);
  return [...bytes].map((byte) => String.fromCharCode(byte)).join('');
}

function versionOf(disk: Disk): number {
  const head = new Uint8Array(8);
  disk.get(0, head);
  return head[7] as number;
}

async function contents(image: BlockImage): Promise<readonly string[]> {
  const names = image.snapshots?.list().map(({ name }) => name) ?? [];
  const texts = [await all(image)];
  for (const name of names) texts.push(await all(await image.snapshots?.open(name)));
  return texts;
}

async function make(directory: Directory, options: Readonly<Record<string, string>>): Promise<void> {
  const file = directory.storage('image');
  await qcow2.create?.(file, { size: SIZE, options: { cluster_size: '1024', ...options }, resolver: directory });
  const image = await qcow2.open(file, { resolver: directory });
  await image.write?.(0, new Uint8Array(14 * KIB).fill(1));
  await image.writeZeroes?.(2 * KIB, 3 * KIB);
  await image.writeZeroes?.(10 * KIB, 3 * KIB, { unmap: true });
  await image.snapshots?.create({ name: 'one', vmState: new Uint8Array(3000).fill(8) });
  await image.snapshots?.create({ name: 'same' });
  await image.write?.(3 * KIB, new Uint8Array(KIB).fill(2));
  await image.writeZeroes?.(20 * KIB, 6 * KIB);
  await image.snapshots?.create({ name: 'two' });
  await image.write?.(22 * KIB, new Uint8Array(2 * KIB).fill(3));
  await image.close();
}

describe.each([
  ['alone', {}],
  ['over a backing file', { backing_file: 'base', backing_fmt: 'raw' }],
] as const)('%s', (_name, options) => {
  it('snapshots read the same after a cut at any moment', async () => {
    const directory = new Directory([['base', new Disk(new Uint8Array(SIZE).fill(0x5a), 'base')]]);
    await make(directory, options);
    const log = new WriteLog();
    const recorded = new Directory(directory.fork(), (disk, name) => new Recorder(disk, log, name));
    const image = await qcow2.open(recorded.storage('image'), { resolver: recorded });
    const wanted = await contents(image);
    expect(new Set(wanted).size).toBe(3);
    await image.amend?.({ compat: '0.10' });
    expect(await contents(image)).toEqual(wanted);
    await image.close();

    const names = log.disks.map(({ name }) => name);
    const versions = new Set<number>();
    for (const { disks, time } of powerCuts(log, { subsets: 1, torn: 0 })) {
      const files = new Directory(disks.map((disk, i) => [names[i] as string, disk] as const));
      const after = await qcow2.open(files.storage('image'), { resolver: files });
      versions.add(versionOf(files.disk('image')));
      expect([time, (await after.check?.())?.corruptions]).toEqual([time, 0]);
      const found = await contents(after);
      expect([time, found.map((text, i) => text === wanted[i])]).toEqual([time, wanted.map(() => true)]);
      await after.close();
    }
    expect(versions.size).toBe(2);
  });
});
