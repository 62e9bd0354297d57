import { BlockError, isBlockError, MemoryStorage } from '@emkit/storage';
import type { BlockImage, OpenOptions } from '@emkit/storage';
import { Recorder, Disk } from '@emkit/storage-testbed';
import { describe, expect, it } from 'vitest';
import { ClusterSet } from './cluster-set.ts';
import { Field } from './header.ts';
import { MAX_BACKING_NAME, MAX_CLUSTER_SIZE, MAX_IMAGE_SIZE, MAX_TABLE_SIZE, MIN_CLUSTER_SIZE, qed } from './index.ts';
import { SLICE_SIZE, TABLE_CACHE_SIZE } from './limits.ts';
import { TableCache } from './table-cache.ts';

const CLUSTER = 4096;
const SMALL = { cluster_size: String(CLUSTER), table_size: '1' };
const NEED_CHECK = 2;

async function failure(promise: Promise<unknown>): Promise<BlockError> {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!isBlockError(error)) throw new Error(`no BlockError: ${String(error)}`);
  return error;
}

async function made(size = 1 << 20, options: Record<string, string> = SMALL): Promise<MemoryStorage> {
  const memory = new MemoryStorage();
  await qed.create!(memory, { size, options });
  return memory;
}

/** Changes a field of the header, or a table entry. */
async function patch(memory: MemoryStorage, offset: number, value: number | bigint, size: 4 | 8 = 4): Promise<void> {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setUint32(0, Number(value), true);
  else view.setBigUint64(0, BigInt(value), true);
  await memory.write(offset, new Uint8Array(view.buffer));
}

async function features(memory: MemoryStorage): Promise<number> {
  const bytes = new Uint8Array(4);
  await memory.read(Field.FEATURES, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

async function read(image: BlockImage, offset: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length).fill(0xee);
  await image.read(offset, buffer);
  return buffer;
}

/** Much quicker than a comparison by the test framework. */
function expectBytes(got: Uint8Array, wanted: Uint8Array): void {
  expect(got.length).toBe(wanted.length);
  expect(got.findIndex((byte, i) => byte !== wanted[i])).toBe(-1);
}

describe('the header', () => {
  const rejects = async (offset: number, value: number | bigint, size: 4 | 8, options: OpenOptions = {}) => {
    const memory = await made();
    await patch(memory, offset, value, size);
    return failure(qed.open(memory, { backing: 'none', ...options }));
  };

  it('says which field is wrong, and where', async () => {
    for (const [field, value, size, name, kind] of [
      [Field.MAGIC, 0x00444552, 4, 'magic', 'invalid-format'],
      [Field.CLUSTER_SIZE, 0, 4, 'cluster_size', 'invalid-format'],
      [Field.CLUSTER_SIZE, MIN_CLUSTER_SIZE / 2, 4, 'cluster_size', 'invalid-format'],
      [Field.CLUSTER_SIZE, MAX_CLUSTER_SIZE * 2, 4, 'cluster_size', 'invalid-format'],
      [Field.CLUSTER_SIZE, 0x80000000, 4, 'cluster_size', 'invalid-format'],
      [Field.TABLE_SIZE, 0, 4, 'table_size', 'invalid-format'],
      [Field.TABLE_SIZE, MAX_TABLE_SIZE * 2, 4, 'table_size', 'invalid-format'],
      [Field.HEADER_SIZE, 2, 4, 'l1_table_offset', 'invalid-format'],
      [Field.HEADER_SIZE, 0xffffffff, 4, 'l1_table_offset', 'invalid-format'],
      [Field.FEATURES, 8, 8, 'features', 'unsupported-feature'],
      [Field.FEATURES, 1n << 63n, 8, 'features', 'unsupported-feature'],
      [Field.L1_TABLE_OFFSET, 0, 8, 'l1_table_offset', 'invalid-format'],
      [Field.L1_TABLE_OFFSET, CLUSTER + 512, 8, 'l1_table_offset', 'invalid-format'],
      [Field.L1_TABLE_OFFSET, 2 * CLUSTER, 8, 'l1_table_offset', 'invalid-format'],
      [Field.L1_TABLE_OFFSET, 1n << 63n, 8, 'l1_table_offset', 'invalid-format'],
      [Field.IMAGE_SIZE, 511, 8, 'image_size', 'invalid-format'],
      [Field.IMAGE_SIZE, 512 * 512 * CLUSTER + 512, 8, 'image_size', 'invalid-format'],
      [Field.IMAGE_SIZE, 1n << 62n, 8, 'image_size', 'invalid-format'],
    ] as const) {
      const error = await rejects(field, value, size);
      expect([error.field, error.kind], `${name} ${value}`).toEqual([name, kind]);
      if (name !== 'l1_table_offset') expect(error.offset).toBe(field);
    }
  });

  it('takes what is at the limits', async () => {
    const memory = await made();
    await patch(memory, Field.IMAGE_SIZE, 512 * 512 * CLUSTER, 8);
    expect((await qed.open(memory)).size).toBe(2 ** 30);
    for (const [cluster_size, table_size] of [
      [MIN_CLUSTER_SIZE, MAX_TABLE_SIZE],
      [MAX_CLUSTER_SIZE, 1],
      [MAX_CLUSTER_SIZE, MAX_TABLE_SIZE],
    ]) {
      const options = { cluster_size: String(cluster_size), table_size: String(table_size) };
      const image = await qed.open(await made(1 << 30, options));
      await image.write!((1 << 30) - 3, Uint8Array.of(1, 2, 3));
      expect([...(await read(image, (1 << 30) - 4, 4))]).toEqual([0, 1, 2, 3]);
      await image.close();
    }
  });

  it('has sizes up to 2^53, and none beyond', async () => {
    const options = { cluster_size: String(MAX_CLUSTER_SIZE), table_size: '16' };
    const image = await qed.open(await made(MAX_IMAGE_SIZE, options));
    expect(image.size).toBe(MAX_IMAGE_SIZE);
    expect(await image.status(0, image.size)).toMatchObject({ allocated: false, zero: true });
    await expect(made(Number.MAX_SAFE_INTEGER, options)).rejects.toMatchObject({ kind: 'no-space' });
    await expect(made(2 ** 60, options)).rejects.toMatchObject({ kind: 'invalid-option' });
  });

  it('has backing names up to the limit, within the header', async () => {
    for (const length of [1, MAX_BACKING_NAME]) {
      const name = 'n'.repeat(length);
      const memory = await made(1 << 20, { ...SMALL, backing_file: name });
      expect((await qed.open(memory, { backing: 'none' })).backingReference).toEqual({ kind: 'backing', name });
    }
    const long = 'n'.repeat(MAX_BACKING_NAME + 1);
    await expect(made(1 << 20, { ...SMALL, backing_file: long })).rejects.toMatchObject({ kind: 'invalid-option' });
    const memory = await made(1 << 20, { ...SMALL, backing_file: 'base' });
    await patch(memory, Field.BACKING_FILENAME_SIZE, MAX_BACKING_NAME + 1);
    expect((await failure(qed.open(memory))).field).toBe('backing_filename_size');
    await patch(memory, Field.BACKING_FILENAME_SIZE, 0xffffffff);
    expect((await failure(qed.open(memory))).field).toBe('backing_filename_offset');
    await patch(memory, Field.BACKING_FILENAME_SIZE, 4);
    await patch(memory, Field.BACKING_FILENAME_OFFSET, CLUSTER - 3);
    expect((await failure(qed.open(memory))).field).toBe('backing_filename_offset');
  });

  it('is recognised by a probe', () => {
    expect(qed.probe(Uint8Array.of(0x51, 0x45, 0x44, 0))).toBe(100);
    expect(qed.probe(Uint8Array.of(0x51, 0x45, 0x44))).toBe(0);
    expect(qed.probe(Uint8Array.of(0x51, 0x46, 0x49, 0xfb))).toBe(0);
  });

  it('loses unknown autoclear bits when it is opened for writing, and keeps compat bits', async () => {
    const memory = await made();
    await patch(memory, Field.AUTOCLEAR_FEATURES, 1n << 40n, 8);
    await patch(memory, Field.COMPAT_FEATURES, 5, 8);
    await qed.open(memory, { readOnly: true });
    expect(memory.bytes()[Field.AUTOCLEAR_FEATURES + 5]).toBe(1);
    const image = await qed.open(memory);
    await image.write!(0, Uint8Array.of(1));
    await image.close();
    expect(memory.bytes()[Field.AUTOCLEAR_FEATURES + 5]).toBe(0);
    expect(memory.bytes()[Field.COMPAT_FEATURES]).toBe(5);
  });
});

describe('the need-check bit', () => {
  it('is set and flushed before anything else changes, and taken back on close', async () => {
    const disk = new Disk();
    await qed.create!(disk, { size: 1 << 20, options: SMALL });
    const recorder = new Recorder(disk);
    const image = await qed.open(recorder);
    await image.write!(0, Uint8Array.of(1));
    const [first, second] = recorder.log.entries;
    expect(first).toMatchObject({ kind: 'write', offset: 0 });
    expect(second).toMatchObject({ kind: 'flush' });
    await image.close();
    const bytes = new Uint8Array(4);
    disk.get(Field.FEATURES, bytes);
    expect(bytes[0]).toBe(0);
  });

  it('is taken back by a flush that finds nothing new, and not by one that does', async () => {
    const memory = await made();
    const image = await qed.open(memory);
    await image.write!(0, Uint8Array.of(1));
    await image.flush!();
    expect(await features(memory)).toBe(NEED_CHECK);
    await image.flush!();
    expect(await features(memory)).toBe(0);
    await image.write!(0, Uint8Array.of(2));
    expect(await features(memory), 'an overwrite changes no table').toBe(0);
    await image.write!(CLUSTER * 5, Uint8Array.of(2));
    expect(await features(memory)).toBe(NEED_CHECK);
  });

  it('stays when a write of a table failed', async () => {
    const memory = await made();
    const image = await qed.open(memory);
    await image.write!(0, Uint8Array.of(1));
    const write = memory.write.bind(memory);
    memory.write = (offset, bytes) =>
      bytes.length === 512 ? Promise.reject(new BlockError('io', 'planted')) : write(offset, bytes);
    await expect(image.write!(CLUSTER, new Uint8Array(CLUSTER))).rejects.toMatchObject({ kind: 'io' });
    memory.write = write;
    await image.close();
    expect(await features(memory)).toBe(NEED_CHECK);
    const again = await qed.open(memory);
    expect(await features(memory)).toBe(0);
    expect(await again.check!()).toMatchObject({ corruptions: 0 });
  });

  it('means a repair on opening, but not for reading nor for a check', async () => {
    const memory = await made();
    const image = await qed.open(memory);
    await image.write!(0, new Uint8Array(3 * CLUSTER).fill(1));
    await image.close();
    const l2 = 5 * CLUSTER;
    await patch(memory, l2 + 8, 1n << 40n, 8);
    await patch(memory, Field.FEATURES, NEED_CHECK);
    const before = memory.bytes();
    const readOnly = await qed.open(memory, { readOnly: true });
    expect((await failure(readOnly.read(0, new Uint8Array(3 * CLUSTER)))).kind).toBe('corrupt-image');
    const forCheck = await qed.open(memory, { forCheck: true });
    expect(await forCheck.check!()).toMatchObject({ corruptions: 1, leaks: 1 });
    expectBytes(memory.bytes(), before);
    const repaired = await qed.open(memory);
    expectBytes(await read(repaired, CLUSTER, CLUSTER), new Uint8Array(CLUSTER));
    expectBytes(await read(repaired, 2 * CLUSTER, CLUSTER), new Uint8Array(CLUSTER).fill(1));
    expect(await features(memory)).toBe(0);
  });

  it('keeps an image that cannot be repaired from being written', async () => {
    const memory = await made();
    const image = await qed.open(memory);
    await image.write!(0, new Uint8Array(2 * CLUSTER).fill(1));
    await image.close();
    await patch(memory, 4 * CLUSTER + 8, 2 * CLUSTER, 8);
    await patch(memory, Field.FEATURES, NEED_CHECK);
    const error = await failure(qed.open(memory));
    expect([error.kind, error.hint]).toEqual(['corrupt-image', expect.stringContaining('read only')]);
    await qed.open(memory, { readOnly: true });
  });
});

describe('an image over a backing file', () => {
  const base = Uint8Array.from({ length: 100_000 }, (_, i) => (i % 255) + 1);
  const open = async (size = 1 << 20) => {
    const memory = await made(size, { ...SMALL, backing_file: 'base.raw', backing_fmt: 'raw' });
    return qed.open(memory, { backing: new MemoryStorage(base) });
  };

  it('does not open without it, unless told to', async () => {
    const memory = await made(1 << 20, { ...SMALL, backing_file: 'base.raw', backing_fmt: 'raw' });
    expect((await failure(qed.open(memory))).kind).toBe('refused');
    const alone = await qed.open(memory, { backing: 'none' });
    expectBytes(await read(alone, 0, 10), new Uint8Array(10));
    expect(alone.backingReference).toEqual({ kind: 'backing', name: 'base.raw', format: 'raw' });
    let closed = 0;
    const backing = Object.assign(new MemoryStorage(base), { close: () => Promise.resolve(void closed++) });
    const image = await qed.open(memory, { resolver: { open: () => Promise.resolve(backing) } });
    expect(await read(image, 0, 10)).toEqual(base.slice(0, 10));
    await image.close();
    expect(closed).toBe(1);
  });

  it('copies what surrounds a write, and hides the rest with zeroes', async () => {
    const image = await open();
    const wanted = new Uint8Array(1 << 20);
    wanted.set(base);
    await image.write!(5000, new Uint8Array(100).fill(0xaa));
    wanted.fill(0xaa, 5000, 5100);
    await image.write!(99_900, new Uint8Array(5000).fill(0xbb));
    wanted.fill(0xbb, 99_900, 104_900);
    await image.writeZeroes!(20_000, 30_000);
    wanted.fill(0, 20_000, 50_000);
    expectBytes(await read(image, 0, 1 << 20), wanted);
    expect(await image.status(6 * CLUSTER, CLUSTER)).toEqual({
      length: CLUSTER,
      allocated: true,
      data: false,
      zero: true,
    });
    await image.write!(6 * CLUSTER + 1, Uint8Array.of(9));
    wanted[6 * CLUSTER + 1] = 9;
    expectBytes(await read(image, 0, 1 << 20), wanted);
    expect(await image.check!()).toMatchObject({ corruptions: 0, leaks: 0 });
  });

  it('grows with zeroes, though the backing file is longer', async () => {
    const image = await open(50_176);
    await image.write!(50_000, new Uint8Array(176).fill(7));
    await image.resize!(1 << 20);
    const wanted = new Uint8Array(1 << 20);
    wanted.set(base.subarray(0, 50_000));
    wanted.fill(7, 50_000, 50_176);
    expectBytes(await read(image, 0, 1 << 20), wanted);
    const memory = await made(512, { ...SMALL, backing_file: 'b' });
    expect((await failure((await qed.open(memory, { backing: 'none' })).resize!(1024))).kind).toBe('refused');
  });

  it('waits for its data before the table names it, many writes sharing a flush', async () => {
    const disk = new Disk();
    await qed.create!(disk, { size: 1 << 20, options: { ...SMALL, backing_file: 'b' } });
    const recorder = new Recorder(disk);
    const flush = recorder.flush.bind(recorder);
    // as slow as a disk's, compared with all else here
    recorder.flush = () => new Promise<void>((resolve) => setTimeout(resolve, 2)).then(() => flush());
    const image = await qed.open(recorder, { backing: new MemoryStorage(base) });
    await image.write!(0, Uint8Array.of(1));
    const before = recorder.log.entries.filter(({ kind }) => kind === 'flush').length;
    await Promise.all(Array.from({ length: 20 }, (_, i) => image.write!((i + 1) * CLUSTER, Uint8Array.of(1))));
    const flushes = recorder.log.entries.filter(({ kind }) => kind === 'flush').length - before;
    expect(flushes).toBeGreaterThan(0);
    expect(flushes).toBeLessThan(20);
  });
});

describe('hostile tables', () => {
  it('cannot make a write to the disk one to the L1 table', async () => {
    const memory = await made();
    const image = await qed.open(memory);
    await image.write!(0, Uint8Array.of(1));
    await image.close();
    await patch(memory, 3 * CLUSTER, CLUSTER, 8);
    const damaged = await qed.open(memory);
    for (const request of [
      damaged.write!(0, new Uint8Array(CLUSTER)),
      damaged.writeZeroes!(0, CLUSTER),
      damaged.discard!(0, CLUSTER),
    ])
      expect((await failure(request)).kind).toBe('corrupt-image');
  });

  it('are refused where they point outside, and read where they do not', async () => {
    for (const entry of [1n << 40n, 1n << 63n, BigInt(CLUSTER + 512), 2n, (1n << 53n) - 1n]) {
      const memory = await made();
      const image = await qed.open(memory);
      await image.write!(0, new Uint8Array(2 * CLUSTER).fill(3));
      await image.close();
      await patch(memory, 4 * CLUSTER, entry, 8);
      const damaged = await qed.open(memory);
      const error = await failure(damaged.read(0, new Uint8Array(1)));
      expect([error.kind, error.offset], String(entry)).toEqual(['corrupt-image', 4 * CLUSTER]);
      expectBytes(await read(damaged, CLUSTER, CLUSTER), new Uint8Array(CLUSTER).fill(3));
    }
  });

  it('cost a check no more memory than is allowed', () => {
    const set = new ClusterSet(2000);
    for (let cluster = 0; cluster < 3 * 4096; cluster++) expect(set.add(cluster)).toBe(true);
    expect(set.add(5)).toBe(false);
    expect(() => set.add(2 ** 40)).toThrow('scattered');
    expect(set.count).toBe(3 * 4096);
  });

  it('are cached within the bound', async () => {
    const reads: number[] = [];
    const file = { size: 2 ** 40, read: (offset: number) => Promise.resolve(void reads.push(offset)) };
    const cache = new TableCache(file, SLICE_SIZE, TABLE_CACHE_SIZE);
    const slices = TABLE_CACHE_SIZE / SLICE_SIZE;
    const pinned = await cache.pin(0);
    for (let i = 0; i <= slices; i++) await cache.load(i * SLICE_SIZE);
    expect(cache.peek(SLICE_SIZE) === undefined).toBe(true);
    expect(cache.peek(0)).toBe(pinned);
    pinned.pins--;
    for (let i = 1; i <= slices; i++) await cache.load((i + 1000) * SLICE_SIZE);
    expect(cache.peek(0) === undefined).toBe(true);
  });
});

it('runs of neighbours take one request', async () => {
  const memory = await made();
  const image = await qed.open(memory);
  await image.write!(0, new Uint8Array(64 * CLUSTER).fill(1));
  const reads: number[] = [];
  const readBelow = memory.read.bind(memory);
  memory.read = (offset, buffer) => {
    reads.push(buffer.length);
    return readBelow(offset, buffer);
  };
  await read(image, 100, 60 * CLUSTER);
  expect(reads).toEqual([60 * CLUSTER]);
  expect(await image.status(0, 1 << 20)).toMatchObject({ length: 64 * CLUSTER, data: true });
});

it('a discard gives up what the file has, and leaves the tables', async () => {
  const memory = await made();
  const image = await qed.open(memory);
  await image.write!(0, new Uint8Array(2 * CLUSTER).fill(1));
  await image.discard!(CLUSTER, CLUSTER);
  expectBytes(await read(image, 0, CLUSTER), new Uint8Array(CLUSTER).fill(1));
  expect(await image.check!()).toMatchObject({ allocatedClusters: 2, leaks: 0 });
});

it('options that it does not have are refused', async () => {
  const memory = await made();
  expect((await failure(qed.open(memory, { driverOptions: { lazy: 'on' } }))).kind).toBe('invalid-option');
  for (const options of [{ bogus: '1' }, { cluster_size: '64k' }, { table_size: '3' }, { backing_fmt: 'raw' }])
    expect((await failure(made(512, options as Record<string, string>))).kind).toBe('invalid-option');
  const image = await qed.open(memory);
  expect((await failure(image.resize!(2 << 20, { preallocation: 'full' }))).message).toContain("mode 'full'");
  expect((await failure(image.resize!(512))).message).toBe('Shrinking images is currently not supported');
});
