import { BlockError, isBlockError, MemoryStorage } from '@emkit/storage';
import type { Storage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { offsetStorage, protectHeader, raw } from './index.ts';

const kind = (expected: string) => (error: unknown) => isBlockError(error) && error.kind === expected;
const rejects = (promise: Promise<unknown>, expected: string) =>
  expect(promise).rejects.toSatisfy(kind(expected), `a BlockError of kind ${expected}`);

function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((i * 31 + seed * 17) % 251) + 1);
}

describe('raw images', () => {
  it('rounds the size up to sectors and reads zeroes past the end of the file', async () => {
    const image = await raw.open(new MemoryStorage(pattern(1001)));
    expect(image.size).toBe(1024);
    const buffer = new Uint8Array(1024).fill(0xee);
    await image.read(0, buffer);
    expect(buffer.subarray(0, 1001)).toEqual(pattern(1001));
    expect(buffer.subarray(1001)).toEqual(new Uint8Array(23));
    expect(await image.status(0, 1024)).toEqual({ length: 1001, allocated: true, data: true, zero: false, offset: 0 });
    expect(await image.status(1001, 23)).toEqual({
      length: 23,
      allocated: true,
      data: false,
      zero: true,
      offset: 1001,
    });
    expect(await image.info()).toEqual({ format: 'raw', virtualSize: 1024, dirty: false });
  });

  it('opens an empty file', async () => {
    const image = await raw.open(new MemoryStorage());
    expect(image.size).toBe(0);
    await rejects(image.read(0, new Uint8Array(1)), 'out-of-bounds');
    await rejects(image.status(0, 0), 'out-of-bounds');
  });

  it('finds holes where the storage knows them, and takes all for data where it does not', async () => {
    const memory = new MemoryStorage(4 * 65536);
    await memory.write(2 * 65536, pattern(512));
    const image = await raw.open(memory);
    expect(await image.status(0, image.size)).toMatchObject({ length: 2 * 65536, data: false, zero: true });
    expect(await image.status(2 * 65536, 2 * 65536)).toMatchObject({ length: 65536, data: true, zero: false });
    const blind: Storage = { size: 4096, read: (_at, buffer) => Promise.resolve(void buffer.fill(0)) };
    const opaque = await raw.open(blind);
    expect(await opaque.status(0, 4096)).toMatchObject({ length: 4096, data: true, zero: false });
    expect(opaque.readOnly).toBe(true);
  });

  it('writes, zeroes, discards and flushes through to the storage', async () => {
    const memory = new MemoryStorage(1000);
    const image = await raw.open(memory);
    await image.write!(1000, pattern(24));
    expect(memory.size).toBe(1024);
    await image.writeZeroes!(1010, 4);
    const buffer = new Uint8Array(24);
    await image.read(1000, buffer);
    expect(buffer).toEqual(pattern(24).fill(0, 10, 14));
    await image.discard!(1000, 24);
    await image.flush!();
    await rejects(image.write!(1020, new Uint8Array(5)), 'out-of-bounds');
  });

  it('refuses writes to what is open for reading, and everything after close', async () => {
    const image = await raw.open(new MemoryStorage(512), { readOnly: true });
    await rejects(image.write!(0, new Uint8Array(1)), 'read-only');
    await rejects(image.resize!(1024), 'read-only');
    await image.close();
    await image.close();
    await rejects(image.read(0, new Uint8Array(1)), 'closed');
  });

  it('resizes both ways, in whole sectors', async () => {
    const memory = new MemoryStorage(pattern(2048));
    const image = await raw.open(memory);
    await image.resize!(4000);
    expect([image.size, memory.size]).toEqual([4096, 4000]);
    await rejects(image.resize!(512), 'invalid-option');
    await rejects(image.resize!(512, { shrink: true, preallocation: 'full' }), 'invalid-option');
    await rejects(image.resize!(8192, { preallocation: 'metadata' }), 'invalid-option');
    await rejects(image.resize!(2 ** 53), 'invalid-option');
    await image.resize!(1000, { shrink: true });
    expect([image.size, memory.size]).toEqual([1024, 1000]);
    await image.resize!(3000, { preallocation: 'full' });
    const buffer = new Uint8Array(3072);
    await image.read(0, buffer);
    expect(buffer.subarray(0, 1000)).toEqual(pattern(1000));
    expect(buffer.subarray(1000).every((byte) => byte === 0)).toBe(true);
  });

  it('does not grow when there is no room for what was to be preallocated', async () => {
    const memory = new MemoryStorage(pattern(1024));
    const full = Object.assign(memory, {
      writeZeroes: undefined,
      write: () => Promise.reject(new BlockError('no-space', 'full')),
    });
    const image = await raw.open(full);
    await rejects(image.resize!(8192, { preallocation: 'full' }), 'no-space');
    expect([image.size, memory.size]).toEqual([1024, 1024]);
  });

  it.each(['off', 'falloc', 'full'])('creates with preallocation=%s', async (preallocation) => {
    const writes: number[] = [];
    const memory = new MemoryStorage(pattern(5000));
    const spy = new Proxy(memory, {
      get(target, key) {
        if (key === 'write' || key === 'writeZeroes')
          return (at: number, what: never) => {
            writes.push(at);
            return target[key](at, what);
          };
        const value = Reflect.get(target, key) as unknown;
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    await raw.create!(spy, { size: 3 * 1024 * 1024 + 1, options: { preallocation } });
    expect(memory.size).toBe(3 * 1024 * 1024 + 512);
    expect(writes.length).toBe({ off: 0, falloc: 1, full: 4 }[preallocation]);
    const head = new Uint8Array(5000);
    await memory.read(0, head);
    expect(head.every((byte) => byte === 0)).toBe(true);
  });

  it('refuses options that it does not have', async () => {
    const create = (options: Record<string, string>) => raw.create!(new MemoryStorage(), { size: 512, options });
    await rejects(create({ cluster_size: '512' }), 'invalid-option');
    await rejects(create({ preallocation: 'metadata' }), 'invalid-option');
    await rejects(create({ preallocation: 'bogus' }), 'invalid-option');
    await rejects(create({ size: '1k' }), 'invalid-option');
    await rejects(raw.create!(new MemoryStorage(), { size: -1 }), 'invalid-option');
    await rejects(raw.open(new MemoryStorage(), { driverOptions: { ofset: '1' } }), 'invalid-option');
    await create({ size: '1024', nocow: 'on' });
  });

  it('measures', async () => {
    const needed = await raw.measure!({ size: 1000 }, () => Promise.resolve(0));
    expect(needed).toEqual({ required: 1024, fullyAllocated: 1024 });
  });

  it('is what remains when no format fits', () => {
    expect(raw.probe(new Uint8Array())).toBe(1);
  });
});

describe('the options offset and size', () => {
  const open = (driverOptions: Record<string, string>, bytes = pattern(4096)) =>
    raw.open(new MemoryStorage(bytes), { driverOptions });

  it('shows a part of the file, and nothing outside of it', async () => {
    const image = await open({ offset: '100', size: '1024' });
    expect(image.size).toBe(1024);
    const buffer = new Uint8Array(1024);
    await image.read(0, buffer);
    expect(buffer).toEqual(pattern(4096).subarray(100, 1124));
    await rejects(image.read(1, buffer), 'out-of-bounds');
    await rejects(image.resize!(2048), 'invalid-option');
    expect(await image.status(10, 100)).toMatchObject({ offset: 110 });
  });

  it('follows the file without a size, and can then be resized', async () => {
    const image = await open({ offset: '512' });
    expect(image.size).toBe(3584);
    await image.resize!(8192);
    expect([image.size, image.file.size]).toEqual([8192, 8704]);
  });

  it('checks both against the file', async () => {
    expect((await open({ offset: '4096' })).size).toBe(0);
    await rejects(open({ offset: '4097' }), 'invalid-option');
    expect((await open({ offset: '3072', size: '1024' })).size).toBe(1024);
    await rejects(open({ offset: '3073', size: '1024' }), 'invalid-option');
    await rejects(open({ size: '1000' }), 'invalid-option');
    await rejects(open({ offset: '-1' }), 'invalid-option');
    await rejects(open({ offset: '9007199254740992' }), 'invalid-option');
    await rejects(open({ size: '99999999999999999999' }), 'invalid-option');
  });
});

describe('a window onto a storage', () => {
  it('keeps every request inside', async () => {
    const memory = new MemoryStorage(pattern(4096));
    const window = offsetStorage(memory, { offset: 1000, size: 100 });
    const buffer = new Uint8Array(200);
    await window.read(50, buffer);
    expect(buffer.subarray(0, 50)).toEqual(pattern(4096).subarray(1050, 1100));
    expect(buffer.subarray(50)).toEqual(new Uint8Array(150));
    await rejects(window.write!(50, new Uint8Array(51)), 'out-of-bounds');
    await rejects(window.writeZeroes!(-1, 1), 'out-of-bounds');
    await rejects(window.discard!(0, 101), 'out-of-bounds');
    await rejects(window.extent!(100, 1), 'out-of-bounds');
    await window.write!(50, new Uint8Array(50));
    expect(await window.extent!(0, 1000)).toMatchObject({ length: 100 });
    await window.flush!();
    expect(memory.bytes().subarray(1100)).toEqual(pattern(4096).subarray(1100));
    expect(window.truncate).toBeUndefined();
  });

  it('has the capabilities of what is below', async () => {
    const reader: Storage = { size: 10, read: () => Promise.resolve() };
    expect(offsetStorage(reader, { offset: 5 }).write).toBeUndefined();
    const memory = new MemoryStorage(10);
    const open = offsetStorage(memory, { offset: 5 });
    await open.truncate!(10);
    expect([memory.size, open.size]).toEqual([15, 10]);
    await open.write!(10, new Uint8Array(3));
    expect(open.size).toBe(13);
    expect(() => offsetStorage(memory, { offset: 19 })).toThrow('greater than size');
    expect(() => offsetStorage(memory, { offset: 10, size: 9 })).toThrow('has to be smaller or equal');
  });
});

describe('a raw image whose format was guessed', () => {
  const probe = (head: Uint8Array) => (head[0] === 0x51 && head[1] === 0x45 && head[600] === 0 ? 'qed' : 'raw');
  const guessed = async (bytes = pattern(8192)) => protectHeader(await raw.open(new MemoryStorage(bytes)), probe);
  const magic = Uint8Array.of(0x51, 0x45);

  it('refuses a write that makes it look like another format', async () => {
    const image = await guessed(new Uint8Array(8192));
    await rejects(image.write!(0, magic), 'refused');
    const buffer = new Uint8Array(2);
    await image.read(0, buffer);
    expect(buffer).toEqual(new Uint8Array(2));
    await image.write!(4096, magic);
    await image.write!(1, magic);
  });

  it('sees through headers made in parts, by zeroes, and at the same time', async () => {
    const image = await guessed();
    await image.write!(0, magic);
    await rejects(image.writeZeroes!(600, 1), 'refused');
    await image.write!(1, pattern(1));
    const [a, b] = await Promise.allSettled([image.writeZeroes!(600, 1), image.write!(1, magic.subarray(1))]);
    expect([a.status, b.status]).toEqual(['fulfilled', 'rejected']);
    await image.writeZeroes!(0, 8192);
  });

  it('does not give up the head on discard', async () => {
    const image = await guessed();
    await image.discard!(0, 8192);
    const head = new Uint8Array(2048);
    await image.read(0, head);
    expect(head).toEqual(pattern(8192).subarray(0, 2048));
  });

  it('leaves all else as it is', async () => {
    const image = await guessed();
    expect(await image.info()).toMatchObject({ format: 'raw' });
    await image.resize!(16384);
    expect(image.size).toBe(16384);
    expect(await image.status(8192, 8192)).toMatchObject({ allocated: true });
    await image.flush!();
    await image.close();
    const readOnly = await raw.open(new MemoryStorage(512), { readOnly: true });
    expect(protectHeader(readOnly, probe)).toBe(readOnly);
  });
});
