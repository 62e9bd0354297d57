/** Against qemu-img 7.2: internal snapshots made, applied, deleted and read by either side. */
import type { BlockImage } from '@emkit/storage';
import { afterAll, describe, expect, it } from 'vitest';
import { qcow2 } from '../src/index.ts';
import { Bench, random } from './qemu.ts';

const bench = new Bench();
afterAll(() => bench.done());
const FILE = 'disk.qcow2';
const open = (): Promise<BlockImage> => qcow2.open(bench.file(FILE));
const clean = (): void => expect(bench.tryImg('check', FILE)).toMatchObject({ status: 0 });

async function scribble(image: BlockImage, seed: number): Promise<void> {
  const next = random(seed);
  for (let i = 0; i < 12; i++) {
    const bytes = new Uint8Array(1 + next(60_000)).fill(1 + next(255));
    await image.write?.(next(image.size - bytes.length), bytes);
  }
  await image.discard?.(next(8) * 65536, 131072);
}

async function readAll(storage: {
  size: number;
  read(at: number, to: Uint8Array): Promise<void>;
}): Promise<Uint8Array> {
  const all = new Uint8Array(storage.size);
  await storage.read(0, all);
  return all;
}

const snapshotOf = (name: string): Uint8Array => {
  bench.img('convert', '-f', 'qcow2', '-l', `snapshot.name=${name}`, '-O', 'raw', FILE, 'snapshot.raw');
  return bench.content('snapshot.raw', 'raw');
};
const equal = (a: Uint8Array, b: Uint8Array): void => expect(Buffer.compare(a, b)).toBe(0);

describe.each([
  { cluster_size: '4096' },
  { cluster_size: '65536', compat: '0.10' },
  { cluster_size: '512', refcount_bits: '4' },
  { cluster_size: '16384', extended_l2: 'on' },
  { cluster_size: '65536', lazy_refcounts: 'on' },
] as const)('snapshots with %j', (options) => {
  it('are the same for both', async () => {
    bench.put(FILE, new Uint8Array(0));
    const file = bench.file(FILE);
    await qcow2.create?.(file, { size: 1024 * 1024 + 512, options });
    await file.close();
    let image = await open();
    await scribble(image, 1);
    const first = await readAll(image);
    const vmState = Uint8Array.from({ length: 70_001 }, (_, i) => i * 13);
    await image.snapshots?.create({
      name: 'one',
      date: 1_700_000_000_123,
      vmClock: 12_345_678_901,
      vmState,
      icount: 77,
    });
    await scribble(image, 2);
    const second = await readAll(image);
    await image.snapshots?.create({ name: 'two' });
    await scribble(image, 3);
    const third = await readAll(image);
    await image.close();
    clean();
    equal(bench.content(FILE), third);
    equal(snapshotOf('one'), first);
    equal(snapshotOf('two'), second);
    const listed = bench.json('info', FILE) as { snapshots: Record<string, unknown>[] };
    expect(listed.snapshots[0]).toMatchObject({
      id: '1',
      name: 'one',
      'vm-state-size': 70_001,
      'date-sec': 1_700_000_000,
      'date-nsec': 123_000_000,
      'vm-clock-sec': 12,
      'vm-clock-nsec': 345_678_901,
      icount: 77,
    });

    bench.img('snapshot', '-c', 'three', FILE);
    bench.io(FILE, 'write -P 0x77 4k 100k');
    image = await open();
    expect(image.snapshots?.list().map(({ id, name }) => [id, name])).toEqual([
      ['1', 'one'],
      ['2', 'two'],
      ['3', 'three'],
    ]);
    const view = await image.snapshots?.open('three');
    equal(await readAll(view as NonNullable<typeof view>), third);
    const state = new Uint8Array(vmState.length);
    await image.snapshots?.readVmState('one', 0, state);
    equal(state, vmState);
    await image.snapshots?.apply('one');
    equal(await readAll(image), first);
    await image.snapshots?.delete('two');
    await scribble(image, 4);
    const fourth = await readAll(image);
    await image.close();
    clean();
    equal(bench.content(FILE), fourth);
    equal(snapshotOf('three'), third);

    bench.img('snapshot', '-a', 'three', FILE);
    equal(bench.content(FILE), third);
    bench.img('snapshot', '-d', 'one', FILE);
    image = await open();
    equal(await readAll(image), third);
    await image.snapshots?.delete('three');
    await scribble(image, 5);
    const last = await readAll(image);
    await image.close();
    clean();
    equal(bench.content(FILE), last);
  });
});

it('keep the size that the disk had', async () => {
  bench.img('create', '-f', 'qcow2', FILE, '1M');
  bench.io(FILE, 'write -P 1 0 1M');
  let image = await open();
  await image.snapshots?.create({ name: 'small' });
  await image.resize?.(3 * 1024 * 1024);
  await image.write?.(2 * 1024 * 1024, new Uint8Array(4096).fill(2));
  await image.snapshots?.create({ name: 'large' });
  await image.snapshots?.apply('small');
  expect(image.size).toBe(1024 * 1024);
  await image.close();
  clean();
  bench.img('snapshot', '-a', 'large', FILE);
  image = await open();
  expect(image.size).toBe(3 * 1024 * 1024);
  const bytes = new Uint8Array(1);
  await image.read(2 * 1024 * 1024, bytes);
  expect(bytes[0]).toBe(2);
  await image.close();
});

describe.each([{}, { backing_file: 'base.raw', backing_fmt: 'raw' }])('compat=0.10 over %j', (backing) => {
  /** Two snapshots that share tables with each other and the disk, all with zero clusters: with a place of their own and without. */
  async function snapshotted(size = 1024 * 1024): Promise<{ one: Uint8Array; two: Uint8Array; now: Uint8Array }> {
    bench.put('base.raw', new Uint8Array(size).fill(0x5a));
    bench.put(FILE, new Uint8Array(0));
    const file = bench.file(FILE);
    await qcow2.create?.(file, { size, options: { cluster_size: '4096', ...backing } });
    await file.close();
    bench.io(FILE, 'write -P 1 0 300k', 'write -z 40k 40k', 'write -z -u 100k 40k', 'write -z 600k 40k');
    bench.img('snapshot', '-c', 'one', FILE);
    const one = bench.content(FILE);
    bench.img('snapshot', '-c', 'also one', FILE);
    bench.io(FILE, 'write -P 2 48k 8k', 'write -z 200k 16k', 'write -z -u 608k 100k');
    bench.img('snapshot', '-c', 'two', FILE);
    const two = bench.content(FILE);
    bench.io(FILE, 'write -P 3 104k 12k', 'write -z 900k 100k');
    return { one, two, now: bench.content(FILE) };
  }

  it('keeps the snapshots, as qemu-img does', async () => {
    const { one, two, now } = await snapshotted();
    const image = await qcow2.open(bench.file(FILE), { resolver: bench.resolver });
    await image.amend?.({ compat: '0.10' });
    await image.close();
    clean();
    expect(bench.json('info', FILE)).toMatchObject({ 'format-specific': { data: { compat: '0.10' } } });
    equal(bench.content(FILE), now);
    for (const [name, content] of [
      ['one', one],
      ['two', two],
      ['also one', one],
    ] as const) {
      equal(snapshotOf(name), content);
      bench.img('snapshot', '-a', name, FILE);
      equal(bench.content(FILE), content);
      clean();
    }
    bench.io(FILE, 'write -P 7 0 1M');
    equal(snapshotOf('two'), two);
    for (const name of ['one', 'also one', 'two']) bench.img('snapshot', '-d', name, FILE);
    clean();
  });

  it('is refused where a snapshot has another size, and then nothing has changed', async () => {
    const { now } = await snapshotted();
    bench.img('resize', FILE, '2M');
    const words = 'Internal snapshots prevent downgrade of image';
    expect(bench.tryImg('amend', '-o', 'compat=0.10', FILE)).toMatchObject({
      status: 1,
      text: expect.stringContaining(words) as string,
    });
    const image = await qcow2.open(bench.file(FILE), { resolver: bench.resolver });
    await expect(image.amend?.({ compat: '0.10' })).rejects.toMatchObject({
      kind: 'unsupported-feature',
      message: words,
    });
    await image.close();
    clean();
    equal(bench.content(FILE).subarray(0, now.length), now);
  });
});
