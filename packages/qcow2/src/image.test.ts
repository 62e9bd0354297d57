/** Behaviour of an open image that no other program shows: marks in the header, overlap checks, hints, order of writes, refusals. */
import { BlockError, MemoryStorage, type BlockImage, type Storage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { Extension, Header, INCOMPAT_CORRUPT, INCOMPAT_DIRTY } from './constants.ts';
import { createQcow2, parseHeader, qcow2 } from './index.ts';
import { viewOf } from './u64.ts';

const MIB = 1024 * 1024;

async function make(
  options: Readonly<Record<string, string>> = {},
  size = 4 * MIB,
): Promise<{ file: MemoryStorage; image: BlockImage }> {
  const file = new MemoryStorage();
  await qcow2.create?.(file, { size, options });
  return { file, image: await qcow2.open(file) };
}

const header = (file: MemoryStorage) => parseHeader(file.bytes().subarray(0, 65536));
const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

async function patch(file: MemoryStorage, offset: number, ...bytes: number[]): Promise<void> {
  await file.write(offset, Uint8Array.from(bytes));
}

describe('marks in the header', () => {
  it('a write that would hit metadata is refused, and the image is corrupt from then on', async () => {
    const { file, image } = await make({ cluster_size: '4096' });
    await image.write?.(0, filled(4096, 1));
    await image.close();
    // the L2 entry of cluster 0 points at the refcount table
    const l2 = viewOf(file.bytes()).getUint32(header(file).l1TableOffset + 4);
    await patch(file, l2, 0x80, 0, 0, 0, 0, 0, 0x10, 0);
    const broken = await qcow2.open(file);
    await expect(broken.write?.(0, filled(10, 2))).rejects.toMatchObject({
      kind: 'corrupt-image',
      message: 'Marking image as corrupt: Preventing invalid write on metadata (overlaps with refcount table)',
    });
    await expect(broken.write?.(MIB, filled(10, 2))).rejects.toMatchObject({ kind: 'corrupt-image' });
    await broken.close();
    expect(header(file).incompatibleFeatures & INCOMPAT_CORRUPT).toBe(INCOMPAT_CORRUPT);
    await expect(qcow2.open(file)).rejects.toThrow('qcow2: Image is corrupt; cannot be opened read/write');
    const reader = await qcow2.open(file, { readOnly: true });
    await reader.read(0, filled(10, 0));
    expect((await reader.info()).formatSpecific?.data['corrupt']).toBe(true);
  });

  it('overlap checks can be turned off', async () => {
    const { file, image } = await make({ cluster_size: '4096' });
    await image.write?.(0, filled(4096, 1));
    await image.close();
    const l2 = viewOf(file.bytes()).getUint32(header(file).l1TableOffset + 4);
    await patch(file, l2, 0x80, 0, 0, 0, 0, 0, 0x10, 0);
    const broken = await qcow2.open(file, { driverOptions: { 'overlap-check': 'none' } });
    await broken.write?.(4095, filled(1, 0));
    expect(header(file).incompatibleFeatures & INCOMPAT_CORRUPT).toBe(0n);
  });

  it('a table entry that cannot be right is an error with its place, and marks a writable image', async () => {
    const { file, image } = await make();
    await image.write?.(0, filled(4096, 1));
    await image.close();
    await patch(file, header(file).l1TableOffset + 6, 2);
    const reader = await qcow2.open(file, { readOnly: true });
    await expect(reader.read(0, filled(10, 0))).rejects.toMatchObject({
      kind: 'corrupt-image',
      message: /^Image is corrupt: L2 table offset 0x40200 unaligned \(L1 index: 0x0\)/,
    });
    const writer = await qcow2.open(file);
    await expect(writer.read(0, filled(10, 0))).rejects.toThrow('Marking image as corrupt');
    await writer.close();
    expect(header(file).incompatibleFeatures).toBe(INCOMPAT_CORRUPT);
  });

  it('lazy refcounts make it dirty with the first change, and clean when it is closed', async () => {
    const { file, image } = await make({ lazy_refcounts: 'on' });
    expect(header(file).incompatibleFeatures).toBe(0n);
    await image.write?.(0, filled(4096, 1));
    expect(header(file).incompatibleFeatures).toBe(INCOMPAT_DIRTY);
    await image.close();
    expect(header(file).incompatibleFeatures).toBe(0n);
  });

  it('unknown autoclear bits are cleared by who may write, unknown compatible bits and extensions stay', async () => {
    const { file, image } = await make();
    await image.close();
    await patch(file, Header.AUTOCLEAR_FEATURES, 0x80);
    await patch(file, Header.COMPATIBLE_FEATURES, 0x80);
    const end = 112 + 8 + (header(file).extensions[0]?.data.length ?? 0);
    await patch(file, end, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 2, 9, 8);
    await (await qcow2.open(file, { readOnly: true })).close();
    expect(header(file).autoclearFeatures).toBe(1n << 63n);
    const writer = await qcow2.open(file);
    await writer.setBackingReference?.({ name: 'base', format: 'raw' });
    await writer.close();
    const after = header(file);
    expect([after.autoclearFeatures, after.compatibleFeatures]).toEqual([0n, 1n << 63n]);
    expect(after.extensions.map(({ type }) => type)).toEqual([
      Extension.FEATURE_NAMES,
      0x12345678,
      Extension.BACKING_FORMAT,
    ]);
    expect(after.backingFile).toBe('base');
    const again = await qcow2.open(file, { backing: 'none' });
    await again.setBackingReference?.(undefined);
    expect(header(file)).toMatchObject({ backingFile: undefined, backingFormat: undefined });
    await again.close();
  });
});

describe('other files', () => {
  it('are not opened without a resolver', async () => {
    const file = new MemoryStorage();
    await qcow2.create?.(file, { size: MIB, options: { backing_file: 'base', backing_fmt: 'raw' } });
    await expect(qcow2.open(file)).rejects.toMatchObject({ kind: 'refused' });
    const image = await qcow2.open(file, { backing: new MemoryStorage(filled(1000, 5)) });
    const bytes = filled(2000, 9);
    await image.read(0, bytes);
    expect([bytes[999], bytes[1000]]).toEqual([5, 0]);
    expect(image.backingReference).toEqual({ kind: 'backing', name: 'base', format: 'raw' });
    expect(await image.status(0, MIB)).toEqual({ length: 1000, zero: false, data: false, allocated: false });
  });

  it('that an image opened are closed with it, others are not', async () => {
    const file = new MemoryStorage();
    await qcow2.create?.(file, { size: MIB, options: { backing_file: 'base', backing_fmt: 'raw' } });
    let closed = 0;
    const base: Storage = Object.assign(new MemoryStorage(10), { close: async () => void closed++ });
    await (await qcow2.open(file, { backing: base })).close();
    expect(closed).toBe(0);
    await (await qcow2.open(file, { resolver: { open: () => Promise.resolve(base) } })).close();
    expect(closed).toBe(1);
  });
});

describe('clusters that are given up', () => {
  class Watched extends MemoryStorage {
    readonly discarded: [number, number][] = [];

    override discard(offset: number, length: number): Promise<void> {
      this.discarded.push([offset, length]);
      return super.discard(offset, length);
    }
  }

  it.each([
    ['on', 1],
    ['off', 0],
  ])('go back to the host with pass-discard-request=%s, after the flush', async (pass, times) => {
    const file = new Watched();
    await qcow2.create?.(file, { size: 4 * MIB });
    file.discarded.length = 0;
    const image = await qcow2.open(file, { driverOptions: { 'pass-discard-request': pass } });
    await image.write?.(0, filled(3 * 65536, 1));
    await image.discard?.(65536, 65536);
    expect(file.discarded).toEqual([]);
    await image.flush?.();
    expect(file.discarded.length).toBe(times);
    await image.write?.(MIB, filled(65536, 2));
    const place = await image.status(MIB, 65536);
    // the freed place is the first to be used again
    expect(place.offset).toBe(((await image.status(0, 65536)).offset ?? 0) + 65536);
  });

  it('are not used again while a read of them is on its way', async () => {
    const file = new MemoryStorage();
    await qcow2.create?.(file, { size: 4 * MIB });
    const hold: Promise<void>[] = [];
    const slow: Storage = {
      get size() {
        return file.size;
      },
      async read(offset, buffer) {
        if (buffer.length === 4096) await hold[0];
        await file.read(offset, buffer);
      },
      write: (offset, buffer) => file.write(offset, buffer),
      flush: () => file.flush(),
      truncate: (size) => file.truncate(size),
    };
    const image = await qcow2.open(slow);
    await image.write?.(0, filled(65536, 1));
    await image.flush?.();
    let go: () => void = () => {};
    hold.push(new Promise((resolve) => (go = resolve)));
    const buffer = filled(4096, 0);
    const reading = image.read(0, buffer);
    await image.discard?.(0, 65536);
    await image.flush?.();
    await image.write?.(MIB, filled(65536, 2));
    await image.flush?.();
    go();
    await reading;
    expect(buffer[0]).toBe(1);
    await image.close();
  });
});

describe('compression', () => {
  it('has several clusters in the works, and packs them as they come', async () => {
    let busy = 0;
    let most = 0;
    const driver = createQcow2({
      async deflate(data) {
        most = Math.max(most, ++busy);
        await new Promise((resolve) => setTimeout(resolve, data[0]));
        busy--;
        // one stored block of a run of bytes is enough here
        return Uint8Array.of(1, 1, 0, 0xfe, 0xff, data[0] as number);
      },
      inflate: (data, length) => filled(length, data[5] as number),
    });
    const file = new MemoryStorage();
    await driver.create?.(file, { size: MIB });
    const image = await driver.open(file);
    const writes = [9, 5, 1].map((byte, i) => image.writeCompressed?.(i * 65536, filled(65536, byte)));
    await Promise.all(writes);
    expect(most).toBe(3);
    const bytes = filled(3 * 65536, 0);
    await image.read(0, bytes);
    expect([bytes[0], bytes[65536], bytes[131072]]).toEqual([9, 5, 1]);
    await image.close();
    expect(file.size).toBe(6 * 65536);
  });

  it('that fails is an io error and leaves nothing behind', async () => {
    const driver = createQcow2({ deflate: () => Promise.reject(new Error('no')) });
    const file = new MemoryStorage();
    await driver.create?.(file, { size: MIB });
    const image = await driver.open(file);
    await expect(image.writeCompressed?.(0, filled(65536, 1))).rejects.toMatchObject({ kind: 'io' });
    expect((await image.status(0, 65536)).allocated).toBe(false);
  });
});

it('a sparse image of 10 TiB opens without reading its size in tables', async () => {
  const { file, image } = await make({}, 10 * 2 ** 40);
  await image.write?.(10 * 2 ** 40 - 5, filled(5, 1));
  await image.close();
  let read = 0;
  const counting: Storage = {
    size: file.size,
    read: (offset, buffer) => {
      read += buffer.length;
      return file.read(offset, buffer);
    },
  };
  const reader = await qcow2.open(counting);
  expect(read).toBeLessThan(300_000);
  expect(await reader.status(0, 10 * 2 ** 40)).toMatchObject({ length: 10 * 2 ** 40 - 2 ** 29, allocated: false });
  const bytes = filled(10, 7);
  await reader.read(10 * 2 ** 40 - 5, bytes);
  expect([...bytes]).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
});

it('after close every call is refused', async () => {
  const { image } = await make();
  await image.close();
  await image.close();
  for (const call of [image.read(0, filled(1, 0)), image.write?.(0, filled(1, 0)), image.status(0, 1), image.flush?.()])
    await expect(call).rejects.toMatchObject({ kind: 'closed' });
});

it('errors are BlockErrors with the place in the file', async () => {
  const file = new MemoryStorage(filled(100, 0));
  const error: unknown = await qcow2.open(file).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(BlockError);
  expect(error).toMatchObject({ kind: 'invalid-format', offset: 0, field: 'magic' });
  expect(qcow2.probe(Uint8Array.of(0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3))).toBe(100);
  expect(qcow2.probe(Uint8Array.of(0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 1))).toBe(0);
  expect(qcow2.probe(new Uint8Array(0))).toBe(0);
});

it('what a shorter disk cut off is zero when it grows again, also in a compressed cluster', async () => {
  const { image } = await make({ extended_l2: 'on', cluster_size: '16384' }, 32768);
  await image.writeCompressed?.(16384, filled(16384, 3));
  await image.resize?.(16384 + 2048, { shrink: true });
  await image.resize?.(65536);
  const bytes = filled(16384, 9);
  await image.read(16384, bytes);
  expect([bytes[2047], bytes[2048], bytes[16383]]).toEqual([3, 0, 0]);
});

it('VM state behind the disk is given back when the disk shrinks', async () => {
  const { image } = await make({ cluster_size: '4096' });
  await image.snapshots?.create({ name: 'a', vmState: filled(5000, 1) });
  await image.snapshots?.apply('a');
  await image.resize?.(MIB, { shrink: true });
  expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0 });
  await image.makeEmpty?.();
  expect(await image.check?.()).toMatchObject({ corruptions: 0, leaks: 0 });
});
