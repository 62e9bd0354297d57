import { describe, expect, it } from 'vitest';
import { isBlockError, MemoryStorage, type BlockImage } from '@emkit/storage';
import { qcow2 } from './index.ts';
import { MAX_SNAPSHOT_EXTRA_BYTES, MAX_SNAPSHOTS } from './limits.ts';
import { parseHeader } from './header.ts';
import { encodeSnapshotTable, makeSnapshot, readSnapshotTable } from './snapshot-table.ts';

const CLUSTER = 4096;

async function fresh(options: Record<string, string> = {}): Promise<{ file: MemoryStorage; image: BlockImage }> {
  const file = new MemoryStorage();
  await qcow2.create?.(file, { size: 40 * CLUSTER, options: { cluster_size: String(CLUSTER), ...options } });
  return { file, image: await qcow2.open(file) };
}

const filled = (value: number, length = CLUSTER): Uint8Array => new Uint8Array(length).fill(value);
const byteAt = async (image: Pick<BlockImage, 'read'>, at: number): Promise<number> => {
  const byte = new Uint8Array(1);
  await image.read(at, byte);
  return byte[0] as number;
};
const checked = async (image: BlockImage): Promise<void> =>
  expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });

describe('snapshots', () => {
  it('are numbered, named, listed in order and found by ID before name', async () => {
    const { image } = await fresh();
    const store = image.snapshots;
    await store?.create({ name: '2' });
    await store?.create({ name: 'b', date: 5, icount: 9, vmClock: 7 });
    expect(store?.list().map(({ id, name }) => `${id} ${name}`)).toEqual(['1 2', '2 b']);
    expect(store?.list()[1]).toMatchObject({ date: 5, icount: 9, vmClock: 7, vmStateSize: 0, diskSize: 40 * CLUSTER });
    await store?.delete('2');
    expect(store?.list().map(({ id }) => id)).toEqual(['1']);
    await store?.delete('2');
    await expect(store?.delete('2')).rejects.toMatchObject({ kind: 'not-found', message: "Can't find snapshot '2'" });
    await expect(store?.create({ name: '' })).rejects.toSatisfy((e) => isBlockError(e, 'invalid-option'));
    await checked(image);
  });

  it('are not disturbed by compressed, zero and discarded clusters', async () => {
    const { image } = await fresh();
    await image.write?.(0, filled(1));
    await image.writeCompressed?.(CLUSTER, filled(2));
    await image.write?.(2 * CLUSTER, filled(3));
    await image.snapshots?.create({ name: 'a' });
    await image.write?.(CLUSTER, filled(9, 10));
    await image.writeZeroes?.(0, CLUSTER);
    await image.discard?.(2 * CLUSTER, CLUSTER);
    await checked(image);
    const view = await image.snapshots?.open('a');
    expect(await Promise.all([0, 1, 2].map((i) => byteAt(view as BlockImage, i * CLUSTER)))).toEqual([1, 2, 3]);
    expect(await view?.status(3 * CLUSTER, CLUSTER)).toMatchObject({ allocated: false });
    await image.snapshots?.apply('a');
    expect(await Promise.all([0, 1, 2].map((i) => byteAt(image, i * CLUSTER)))).toEqual([1, 2, 3]);
    await checked(image);
    await image.snapshots?.delete('a');
    await expect(view?.read(0, filled(0))).rejects.toMatchObject({ kind: 'not-found' });
    await checked(image);
    await image.close();
    await expect(image.snapshots?.create({ name: 'x' })).rejects.toMatchObject({ kind: 'closed' });
  });

  it('keep the machine state apart from the disk', async () => {
    const { image, file } = await fresh();
    const vmState = Uint8Array.from({ length: 3 * CLUSTER + 5 }, (_, i) => i);
    await image.snapshots?.create({ name: 'running', vmState });
    await image.close();
    const again = await qcow2.open(file, { readOnly: true });
    const read = new Uint8Array(CLUSTER);
    await again.snapshots?.readVmState('1', 2 * CLUSTER + 5, read);
    expect(read.every((byte, i) => byte === (i + 5) % 256)).toBe(true);
    await expect(again.snapshots?.readVmState('1', 2 * CLUSTER + 6, read)).rejects.toMatchObject({
      kind: 'out-of-bounds',
    });
    await expect(again.snapshots?.apply('1')).rejects.toMatchObject({ kind: 'read-only' });
    await checked(again);
  });

  it('are undone when a refcount has no room', async () => {
    const { image } = await fresh({ refcount_bits: '2' });
    await image.write?.(0, filled(1));
    await image.snapshots?.create({ name: 'a' });
    await image.snapshots?.create({ name: 'b' });
    await expect(image.snapshots?.create({ name: 'c' })).rejects.toMatchObject({ kind: 'no-space' });
    expect(image.snapshots?.list().length).toBe(2);
    await image.write?.(0, filled(2));
    await image.snapshots?.apply('a');
    expect(await byteAt(image, 0)).toBe(1);
    await checked(image);
    const narrow = await fresh({ refcount_bits: '1' });
    await expect(narrow.image.snapshots?.create({ name: 'c' })).rejects.toMatchObject({ kind: 'unsupported-feature' });
  });
});

describe('a snapshot table', () => {
  const entry = (name: string, id = '1') =>
    makeSnapshot({
      l1TableOffset: 65536,
      l1Size: 1,
      id,
      name,
      date: 1,
      vmClock: 2,
      vmStateSize: 2 ** 40,
      diskSize: 2 ** 41,
      icount: undefined,
    });
  const headerOf = async (nbSnapshots: number) => {
    const { file } = await fresh();
    return { ...parseHeader(file.bytes().subarray(0, CLUSTER)), nbSnapshots, snapshotsOffset: 0 };
  };

  it('is read as it was written', async () => {
    const table = encodeSnapshotTable([entry('first'), entry('ä second', '77')]);
    const { snapshots } = await readSnapshotTable(new MemoryStorage(table), await headerOf(2));
    expect(snapshots).toMatchObject([{ name: 'first', vmStateSize: 2 ** 40, icount: undefined }, { id: '77' }]);
    expect(snapshots.reduce((sum, s) => sum + s.entryBytes, 0)).toBe(table.length);
    expect(encodeSnapshotTable(snapshots)).toEqual(table);
  });

  it('with extra data is taken at the limit and refused beyond', async () => {
    const header = await headerOf(1);
    for (const [bytes, isFine] of [
      [MAX_SNAPSHOT_EXTRA_BYTES, true],
      [MAX_SNAPSHOT_EXTRA_BYTES + 1, false],
      [0xffffffff, false],
    ] as const) {
      const table = encodeSnapshotTable([entry('x')]);
      new DataView(table.buffer).setUint32(36, bytes);
      const reading = readSnapshotTable(new MemoryStorage(table), header);
      if (isFine) expect((await reading).snapshots.length).toBe(1);
      else await expect(reading).rejects.toMatchObject({ kind: 'invalid-format', field: 'extra_data_size' });
    }
  });

  it('of the longest names stops at the largest size', async () => {
    const table = new Uint8Array(40);
    new DataView(table.buffer).setUint32(12, 0xffffffff);
    const endless = {
      size: 2 ** 40,
      read: async (at: number, to: Uint8Array) => {
        to.fill(0);
        // each entry: both names of 65535 bytes
        for (let entry = at - (at % 131112); entry < at + to.length; entry += 131112)
          for (let i = entry + 12; i < entry + 16; i++) if (i >= at && i < at + to.length) to[i - at] = 255;
      },
    };
    await expect(readSnapshotTable(endless, await headerOf(MAX_SNAPSHOTS))).rejects.toMatchObject({
      kind: 'invalid-format',
      field: 'nb_snapshots',
    });
  });
});
