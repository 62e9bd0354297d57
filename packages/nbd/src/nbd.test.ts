/** Client and server with each other, over a connection in memory. */
import { BlockError, MemoryStorage, type Storage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { connectNbd, listNbdExports, NbdServer, streamPair, type NbdClientOptions, type NbdExport } from './index.ts';
import { pattern, sameBytes } from './nbd.test-support.ts';

const MIB = 1 << 20;

async function connected(one: NbdExport | readonly NbdExport[], options: NbdClientOptions = {}) {
  const server = new NbdServer({ exports: Array.isArray(one) ? one : [one as NbdExport] });
  const [near, far] = streamPair();
  const end = server.serve(far);
  const client = await connectNbd(near, options);
  return { server, client, end };
}

describe('client and server', () => {
  it('reads and writes, at any offset and length', async () => {
    const storage = new MemoryStorage(MIB);
    const { client, end } = await connected({ name: '', storage });
    expect(client.size).toBe(MIB);
    const data = pattern(100_001, 1);
    await client.write!(12_345, data);
    const back = new Uint8Array(data.length);
    await client.read(12_345, back);
    expect(sameBytes(back, data)).toBe(true);
    expect(sameBytes(storage.bytes().subarray(12_345, 12_345 + data.length), data)).toBe(true);
    await client.close();
    expect(await end).toEqual({ export: '', error: undefined });
  });

  it('keeps many requests at work and answers each with its own data', async () => {
    const storage = new MemoryStorage(4 * MIB);
    const { client } = await connected({ name: '', storage });
    await Promise.all(Array.from({ length: 300 }, (_, n) => client.write!(n * 4096, pattern(4096, n))));
    const buffers = Array.from({ length: 300 }, () => new Uint8Array(4096));
    await Promise.all(buffers.map((buffer, n) => client.read(n * 4096, buffer)));
    buffers.forEach((buffer, n) => expect(sameBytes(buffer, pattern(4096, n))).toBe(true));
    await client.close();
  });

  it('sends holes of a long read as holes', async () => {
    const storage = new MemoryStorage(4 * MIB);
    await storage.write(MIB, pattern(70_000, 3));
    const { client } = await connected({ name: '', storage });
    const whole = new Uint8Array(4 * MIB).fill(0xee);
    await client.read(0, whole);
    expect(sameBytes(whole, storage.bytes())).toBe(true);
    await client.close();
  });

  it('splits what is longer than the maximum block size', async () => {
    const storage = new MemoryStorage(40 * MIB);
    const { client } = await connected({ name: '', storage });
    const data = pattern(34 * MIB, 5);
    await client.write!(MIB, data);
    const back = new Uint8Array(data.length);
    await client.read(MIB, back);
    expect(sameBytes(back, data)).toBe(true);
    await client.close();
  });

  it('reads zeroes past the end, and refuses to write there', async () => {
    const { client } = await connected({ name: '', storage: new MemoryStorage(pattern(1000, 1)) });
    const buffer = new Uint8Array(24).fill(1);
    await client.read(990, buffer);
    expect(buffer.subarray(10)).toEqual(new Uint8Array(14));
    await expect(client.write!(990, buffer)).rejects.toMatchObject({ kind: 'no-space' });
    await expect(client.truncate!(2000)).rejects.toMatchObject({ kind: 'no-space' });
    await client.truncate!(1000);
    await client.close();
  });

  it('zeroes, discards and asks for extents', async () => {
    const storage = new MemoryStorage(MIB);
    await storage.write(0, pattern(MIB, 2));
    const { client } = await connected({ name: '', storage });
    await client.writeZeroes!(65536, 131072, { unmap: true });
    expect(await client.extent!(0, MIB)).toEqual({ length: 65536, data: true, zero: false });
    expect(await client.extent!(65536 + 512, MIB - 65536 - 512)).toEqual({ length: 130560, data: false, zero: true });
    await client.discard!(524288, 65536);
    expect(await client.extent!(524288, 4096)).toEqual({ length: 4096, data: false, zero: true });
    await client.close();
  });

  it('zeroes storages that have no cheap way to', async () => {
    const memory = new MemoryStorage(3 * MIB);
    await memory.write(0, pattern(3 * MIB, 2));
    const { client } = await connected({ name: '', storage: plain(memory) });
    await client.writeZeroes!(100, 2 * MIB);
    const bytes = memory.bytes();
    expect(bytes.subarray(100, 100 + 2 * MIB).every((b) => b === 0)).toBe(true);
    expect(bytes[99]).toBe(pattern(100, 2)[99]);
    await client.close();
  });

  it('has no methods for what a read-only export cannot do', async () => {
    const { client } = await connected({ name: '', storage: new MemoryStorage(512), readOnly: true });
    expect(client.write).toBeUndefined();
    expect(client.writeZeroes).toBeUndefined();
    expect(client.discard).toBeUndefined();
    await client.close();
  });

  it('hands on the kind of an error', async () => {
    const storage: Storage = {
      size: 4096,
      read: () => Promise.reject(new BlockError('io', 'sector 7 is gone')),
      write: () => Promise.reject(new BlockError('no-space', 'full')),
    };
    const { client } = await connected({ name: '', storage });
    await expect(client.read(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'io' });
    await expect(client.read(0, new Uint8Array(512))).rejects.toThrow(/sector 7 is gone/);
    await expect(client.write!(0, new Uint8Array(512))).rejects.toMatchObject({ kind: 'no-space' });
    await client.close();
  });

  it('flushes the storage when asked', async () => {
    let flushes = 0;
    const memory = new MemoryStorage(512);
    const storage = { ...plain(memory), flush: () => Promise.resolve(void flushes++) };
    const { client, server } = await connected({ name: '', storage });
    await client.flush!();
    expect(flushes).toBe(1);
    await client.close();
    await server.close();
    expect(flushes).toBe(2);
  });

  it('chooses among exports by name, the default one included', async () => {
    const exports = [
      { name: 'a', storage: new MemoryStorage(512), description: 'first' },
      { name: 'ü/b', storage: new MemoryStorage(1024) },
    ];
    expect((await connected(exports, { exportName: 'ü/b' })).client.size).toBe(1024);
    await expect(connected(exports)).rejects.toMatchObject({ kind: 'not-found' });
    const server = new NbdServer({ exports, defaultExport: 'a' });
    const [near, far] = streamPair();
    void server.serve(far);
    const client = await connectNbd(near);
    expect(client.export).toMatchObject({ name: 'a', description: 'first', size: 512 });
    await client.close();
  });

  it('lists exports with what is known of them', async () => {
    const exports = [
      { name: 'a', storage: new MemoryStorage(512), description: 'first' },
      { name: 'b', storage: new MemoryStorage(1024), readOnly: true },
    ];
    const server = new NbdServer({ exports });
    const [near, far] = streamPair();
    const end = server.serve(far);
    const list = await listNbdExports(near);
    expect(list.map(({ name, description, info }) => [name, description, info?.size])).toEqual([
      ['a', 'first', 512],
      ['b', undefined, 1024],
    ]);
    expect(list[0]!.contexts).toEqual(['base:allocation']);
    expect(await end).toEqual({ export: undefined, error: undefined });
  });
});

/** A storage with nothing but what it must have. */
function plain(memory: MemoryStorage): Storage {
  return {
    size: memory.size,
    read: (offset, buffer) => memory.read(offset, buffer),
    write: (offset, buffer) => memory.write(offset, buffer),
  };
}
