/** What a server tells about ranges, and how a client gets it. */
import { MemoryStorage, type BlockImage, type Storage } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import {
  allocationDepth,
  connectNbd,
  dirtyBitmap,
  listNbdExports,
  NbdServer,
  streamPair,
  type NbdExport,
} from './index.ts';
import { MAX_EXTENTS } from './limits.ts';
import { MessageReader, MessageWriter } from './message.ts';
import { selectContexts } from './meta-context.ts';
import * as nbd from './protocol.ts';
import { StreamReader } from './byte-stream.ts';

const MIB = 1 << 20;

async function connected(one: NbdExport, contexts: readonly string[]) {
  const server = new NbdServer({ exports: [one] });
  const [near, far] = streamPair();
  void server.serve(far);
  return connectNbd(near, { exportName: one.name, contexts });
}

/** An image that has its first `own` bytes itself. */
function layer(size: number, own: number, backing: Storage | undefined): Storage {
  const image: Partial<BlockImage> & Storage = {
    size,
    backing,
    read: () => Promise.resolve(),
    status: (offset, length) =>
      Promise.resolve(
        offset < own
          ? { length: Math.min(length, own - offset), allocated: true, data: true, zero: false }
          : { length, allocated: false, data: false, zero: true },
      ),
  };
  return image;
}

describe('qemu:allocation-depth', () => {
  it('counts the layers down to the one that has the bytes', async () => {
    const base = layer(300, 200, undefined);
    const image = layer(400, 100, base);
    const context = allocationDepth(image);
    expect(await context.extent(0, 400)).toEqual({ length: 100, flags: 1 });
    expect(await context.extent(100, 300)).toEqual({ length: 100, flags: 2 });
    expect(await context.extent(200, 200)).toEqual({ length: 100, flags: 0 });
    expect(await context.extent(300, 100)).toEqual({ length: 100, flags: 2 });
  });

  it('takes a storage that is no image as one layer', async () => {
    expect(await allocationDepth(layer(100, 0, new MemoryStorage(100))).extent(0, 100)).toEqual({
      length: 100,
      flags: 2,
    });
    expect(await allocationDepth(new MemoryStorage(100)).extent(0, 100)).toEqual({ length: 100, flags: 1 });
  });
});

describe('qemu:dirty-bitmap', () => {
  it('answers from its ranges', async () => {
    const context = dirtyBitmap('b0', () => [
      [100, 200],
      [300, 400],
    ]);
    expect(context.name).toBe('qemu:dirty-bitmap:b0');
    expect(await context.extent(0, 1000)).toEqual({ length: 100, flags: 0 });
    expect(await context.extent(150, 1000)).toEqual({ length: 50, flags: 1 });
    expect(await context.extent(200, 1000)).toEqual({ length: 100, flags: 0 });
    expect(await context.extent(350, 20)).toEqual({ length: 20, flags: 1 });
    expect(await context.extent(400, 600)).toEqual({ length: 600, flags: 0 });
  });

  it('asks again when it has changed, and only then', async () => {
    let asked = 0;
    let changed = false;
    const context = dirtyBitmap(
      'b',
      () => [[0, ++asked]],
      () => changed,
    );
    await context.extent(0, 10);
    expect(await context.extent(0, 10)).toEqual({ length: 1, flags: 1 });
    changed = true;
    expect(await context.extent(0, 10)).toEqual({ length: 2, flags: 1 });
  });

  it('reaches the client beside base:allocation', async () => {
    const storage = new MemoryStorage(MIB);
    await storage.write(0, new Uint8Array(65536).fill(1));
    const client = await connected(
      { name: 'd', storage, contexts: [dirtyBitmap('b0', () => [[4096, 8192]]), allocationDepth(storage)] },
      ['qemu:dirty-bitmap:b0', 'qemu:allocation-depth', 'qemu:dirty-bitmap:none'],
    );
    expect(client.contexts).toEqual(['base:allocation', 'qemu:dirty-bitmap:b0', 'qemu:allocation-depth']);
    expect(await client.metaExtent('qemu:dirty-bitmap:b0', 4096, MIB - 4096)).toEqual({ length: 4096, flags: 1 });
    expect(await client.metaExtent('qemu:allocation-depth', 0, MIB)).toEqual({ length: MIB, flags: 1 });
    expect(await client.extent!(0, MIB)).toEqual({ length: 65536, data: true, zero: false });
    await expect(client.metaExtent('qemu:dirty-bitmap:none', 0, 1)).rejects.toMatchObject({ kind: 'not-found' });
    await expect(client.extent!(MIB, 1)).rejects.toMatchObject({ kind: 'out-of-bounds' });
    await client.close();
  });

  it('is listed', async () => {
    const storage = new MemoryStorage(MIB);
    const server = new NbdServer({ exports: [{ name: '', storage, contexts: [dirtyBitmap('b0', () => [])] }] });
    const [near, far] = streamPair();
    void server.serve(far);
    expect((await listNbdExports(near))[0]!.contexts).toEqual(['base:allocation', 'qemu:dirty-bitmap:b0']);
  });
});

describe('queries', () => {
  const contexts = ['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:a', 'qemu:dirty-bitmap:b'].map(
    (name) => ({
      name,
      extent: () => Promise.reject(new Error('not asked')),
    }),
  );
  const names = (queries: string[], list: boolean): string[] =>
    selectContexts(contexts, queries, list).map(({ name }) => name);

  it('list everything, a namespace, or one', () => {
    expect(names([], true)).toHaveLength(4);
    expect(names(['base:'], true)).toEqual(['base:allocation']);
    expect(names(['qemu:dirty-bitmap:'], true)).toEqual(['qemu:dirty-bitmap:a', 'qemu:dirty-bitmap:b']);
    expect(names(['x:y', 'qemu:allocation-depth'], true)).toEqual(['qemu:allocation-depth']);
  });

  it('set only what they name in full', () => {
    expect(names([], false)).toEqual([]);
    expect(names(['base:', 'qemu:dirty-bitmap:b'], false)).toEqual(['qemu:dirty-bitmap:b']);
  });
});

describe('a block status reply', () => {
  it('has a bounded number of extents, neighbours with the same flags joined', async () => {
    let asked = 0;
    const storage: Storage = {
      size: MIB,
      read: () => Promise.resolve(),
      extent: (offset) => {
        asked++;
        // pairs of the same kind, one byte each
        const hole = (offset >> 1) % 2 === 1;
        return Promise.resolve({ length: 1, data: !hole, zero: hole });
      },
    };
    const server = new NbdServer({ exports: [{ name: '', storage }] });
    const [near, far] = streamPair();
    void server.serve(far);
    const reader = new StreamReader(near);
    const option = (number: number, data: Uint8Array): Uint8Array =>
      new MessageWriter().pair(nbd.IHAVEOPT).u32(number).u32(data.length).u8s(data).bytes();
    const query = new MessageWriter().u32(0).u32(1).counted('base:allocation').bytes();
    await near.write(
      new MessageWriter()
        .u32(3)
        .u8s(option(8, new Uint8Array(0)))
        .u8s(option(10, query))
        .bytes(),
    );
    await near.write(option(7, new MessageWriter().u32(0).u16(0).bytes()));
    // greeting; ACK; context, ACK; block sizes, size, ACK
    await reader.skip(18 + 20 + (20 + 19) + 20 + (20 + 14) + (20 + 12) + 20);
    await near.write(new MessageWriter().u32(nbd.NBD_REQUEST_MAGIC).u16(0).u16(7).u64(1).u64(0).u32(MIB).bytes());
    const head = new MessageReader(await reader.take(20));
    expect([head.u32(), head.u16(), head.u16(), head.u64()]).toEqual([nbd.NBD_STRUCTURED_REPLY_MAGIC, 1, 5, 1]);
    const length = head.u32();
    expect(length).toBe(4 + (8 * MAX_EXTENTS) / 2);
    expect(asked).toBe(MAX_EXTENTS);
    const body = new MessageReader(await reader.take(length));
    expect([body.u32(), body.u32(), body.u32(), body.u32(), body.u32()]).toEqual([0, 2, 0, 2, 3]);
  });
});
