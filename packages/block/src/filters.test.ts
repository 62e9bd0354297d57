import { describe, expect, it } from 'vitest';
import { MemoryStorage, isZero, type BlockError, type BlockImage, type Storage } from '@emkit/storage';
import { aligned } from './aligned.ts';
import { BlockGraph } from './block-graph.ts';
import { BlockNode } from './block-node.ts';
import { chainStatus } from './chain-status.ts';
import { cowStorage } from './cow-storage.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import { faultInjector } from './fault-injector.ts';
import { CLUSTER, content, Folder, letters } from './layer-format.test-support.ts';
import { LIMITS } from './limits.ts';
import { openImage } from './open-image.ts';
import { parseImageSpec, resolveName, toTree } from './option-tree.ts';
import { ProtocolImage } from './protocol-image.ts';
import { createRegistry } from './registry.ts';
import { throttle } from './throttle.ts';

const memory = (content: Uint8Array | number): BlockImage => new ProtocolImage('memory', new MemoryStorage(content));
const failure = async (promise: Promise<unknown> | undefined): Promise<string> =>
  (promise ?? Promise.reject(new Error('absent'))).then(
    () => 'no error',
    (error: BlockError) => `${error.kind}: ${error.message}`,
  );
const clock = () => {
  const state = { now: 0 };
  return {
    state,
    now: () => state.now,
    sleep: (ns: number) => {
      state.now += ns;
      return Promise.resolve();
    },
  };
};

describe('throttle', () => {
  it('bytes and requests keep to their rates; bursts pass', async () => {
    const time = clock();
    const disk = throttle(memory(1 << 20), { bpsTotal: 10_000 }, time);
    for (let i = 0; i < 20; i++) await disk.read(0, new Uint8Array(1000));
    expect(time.state.now / 1e9).toBeGreaterThan(1.7);
    expect(time.state.now / 1e9).toBeLessThan(2.1);
    const ops = throttle(memory(1 << 20), { iopsWrite: 100 }, time);
    const start = time.state.now;
    for (let i = 0; i < 50; i++) await ops.read(0, new Uint8Array(1));
    expect(time.state.now).toBe(start);
    for (let i = 0; i < 50; i++) await ops.write?.(0, new Uint8Array(1));
    expect((time.state.now - start) / 1e9).toBeGreaterThan(0.3);
    const burst = throttle(memory(1 << 20), { bpsTotal: 1000, bpsTotalMax: 100_000, maxLength: 2 }, time);
    const before = time.state.now;
    for (let i = 0; i < 100; i++) await burst.read(0, new Uint8Array(1000));
    expect((time.state.now - before) / 1e9).toBeLessThan(1.2);
  });

  it('refuses limits that contradict each other', () => {
    expect(() => throttle(memory(1), { bpsTotalMax: 5 }, clock())).toThrow('require corresponding bps/iops values');
    expect(() => throttle(memory(1), { bpsTotal: 9, bpsTotalMax: 5 }, clock())).toThrow('cannot be lower');
    expect(() => throttle(memory(1), { bpsTotal: NaN }, clock())).toThrow('must be within');
  });
});

describe('aligned', () => {
  it('the child sees whole units only, and overlapping writes do not lose bytes', async () => {
    const seen: number[] = [];
    const inner = memory(8192);
    const spy = faultInjector(inner, []);
    const { read } = spy;
    spy.read = (offset, buffer) => {
      seen.push(offset % 512, buffer.length % 512);
      return read.call(spy, offset, buffer);
    };
    const disk = aligned(spy, 512);
    await Promise.all(Array.from({ length: 64 }, (_, i) => disk.write?.(i * 100, new Uint8Array(100).fill(i + 1))));
    const back = new Uint8Array(6400);
    await disk.read(0, back);
    expect(back.every((byte, i) => byte === Math.floor(i / 100) + 1)).toBe(true);
    await disk.writeZeroes?.(150, 3000);
    await disk.discard?.(5000, 100);
    await disk.read(0, back);
    expect(isZero(back.subarray(150, 3150))).toBe(true);
    expect([back[149], back[3150], back[5050]]).toEqual([2, 32, 51]);
    expect(seen.every((rest) => rest === 0)).toBe(true);
    expect(() => aligned(inner, 3)).toThrow('Cannot meet constraints');
  });
});

describe('fault injection', () => {
  it('by operation, place, count; once or always; before or after it was done', async () => {
    const inner = memory(4096);
    const disk = faultInjector(inner, [
      { op: 'write', offset: 512, length: 512, after: 1, once: true, error: 'io', late: true },
    ]);
    await disk.write?.(0, new Uint8Array(512));
    await disk.write?.(512, new Uint8Array(512));
    expect(await failure(disk.write?.(1000, new Uint8Array(100).fill(7)))).toBe('io: Input/output error');
    await disk.write?.(512, new Uint8Array(1));
    const byte = new Uint8Array(1);
    await disk.read(1050, byte);
    expect(byte[0]).toBe(7);
    disk.rules = [{ op: 'any', error: 'no-space' }];
    expect(await failure(disk.flush?.())).toContain('No space left');
    expect(() => (disk.rules = [{ op: 'any', delayNs: 5 }])).toThrow('clock');
    const rule = { op: 'read', error: 'io' } as const;
    disk.rules = Array.from({ length: LIMITS.FAULT_RULES }, () => rule);
    expect(() => (disk.rules = Array.from({ length: LIMITS.FAULT_RULES + 1 }, () => rule))).toThrow('fault rules');
  });
});

describe('a copy-on-write disk', () => {
  it('reads as an array with the same writes does, and leaves the one below alone', async () => {
    const below = new MemoryStorage(Uint8Array.from({ length: 10_000 }, (_, i) => i & 0xff));
    const before = below.bytes();
    const disk = cowStorage(below, { clusterSize: 512 });
    const model = below.bytes();
    for (let i = 0; i < 60; i++) {
      const offset = (i * 811) % 9000;
      const length = (i * 397) % 1000;
      if (i % 3 === 0) {
        await disk.writeZeroes?.(offset, length);
        model.fill(0, offset, offset + length);
      } else {
        await disk.write?.(offset, new Uint8Array(length).fill(i));
        model.fill(i, offset, offset + length);
      }
    }
    const all = new Uint8Array(10_000);
    await disk.read(0, all);
    expect(String(all)).toBe(String(model));
    expect(String(below.bytes())).toBe(String(before));
  });

  it('writes at once to one cluster do not lose each other, and memory is bounded', async () => {
    const disk = cowStorage(new MemoryStorage(4096), { clusterSize: 512, limit: 1024 });
    await Promise.all([
      disk.write?.(0, Uint8Array.of(1)),
      disk.write?.(1, Uint8Array.of(2)),
      disk.write?.(600, Uint8Array.of(3)),
    ]);
    const bytes = new Uint8Array(2);
    await disk.read(0, bytes);
    expect([...bytes]).toEqual([1, 2]);
    expect(await failure(disk.write?.(2000, Uint8Array.of(1)))).toContain('no-space');
    await disk.writeZeroes?.(0, 512);
    await disk.write?.(2000, Uint8Array.of(1));
    expect(await disk.status(0, 4096)).toMatchObject({ length: 512, zero: true, allocated: true });
  });
});

describe('a node', () => {
  const slow = (): { storage: Storage; release: () => void; inFlight: () => number } => {
    const waiting: (() => void)[] = [];
    let inFlight = 0;
    return {
      inFlight: () => inFlight,
      release: () => waiting.splice(0).forEach((resolve) => resolve()),
      storage: {
        size: 4096,
        async read() {
          inFlight++;
          await new Promise<void>((resolve) => waiting.push(resolve));
          inFlight--;
        },
        write: () => Promise.resolve(),
        flush: () => Promise.resolve(),
        truncate: () => Promise.resolve(),
      },
    };
  };
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };

  it('passes no more requests at a time than its limit, in order', async () => {
    const disk = slow();
    const node = new BlockNode(new BlockGraph(), new ProtocolImage('slow', disk.storage), { maxInFlight: 2 });
    const order: number[] = [];
    const reads = [0, 1, 2, 3].map((i) => node.read(0, new Uint8Array(1)).then(() => order.push(i)));
    await turns();
    expect(disk.inFlight()).toBe(2);
    disk.release();
    await turns();
    expect(disk.inFlight()).toBe(2);
    disk.release();
    await Promise.all(reads);
    expect(order).toEqual([0, 1, 2, 3]);
    expect(node.inFlight).toBe(0);
  });

  it('drained: waits for what is in flight, holds back what comes', async () => {
    const disk = slow();
    const node = new BlockNode(new BlockGraph(), new ProtocolImage('slow', disk.storage));
    const first = node.read(0, new Uint8Array(1));
    let isDrained = false;
    const drain = node.drainBegin().then(() => (isDrained = true));
    const second = node.read(0, new Uint8Array(1));
    await turns();
    expect([isDrained, disk.inFlight()]).toEqual([false, 1]);
    disk.release();
    await drain;
    await first;
    await turns();
    expect(disk.inFlight()).toBe(0);
    node.drainEnd();
    await turns();
    expect(disk.inFlight()).toBe(1);
    disk.release();
    await second;
  });

  it('detects zeroes, ignores discards unless told, flushes through', async () => {
    const log: string[] = [];
    const note = (what: string) => () => (log.push(what), Promise.resolve());
    const storage: Storage = {
      size: 4096,
      read: note('read'),
      write: note('write'),
      flush: note('flush'),
      truncate: note('truncate'),
      writeZeroes: (_offset, _length, options) => note(`zero ${String(options?.unmap)}`)(),
      discard: note('discard'),
    };
    const graph = new BlockGraph();
    const make = (how: ConstructorParameters<typeof BlockNode>[2]): BlockNode =>
      new BlockNode(graph, new ProtocolImage('log', storage), how);
    await make({ detectZeroes: 'unmap', discard: 'unmap' }).write?.(0, new Uint8Array(10));
    await make({ detectZeroes: 'on' }).write?.(0, new Uint8Array(10));
    await make({}).write?.(0, new Uint8Array(10));
    await make({}).discard?.(0, 10);
    await make({ discard: 'unmap' }).discard?.(0, 10);
    await make({ writeThrough: true }).write?.(0, new Uint8Array(10));
    await make({ noFlush: true }).flush?.();
    expect(log).toEqual(['zero true', 'zero false', 'write', 'discard', 'write', 'flush']);
  });

  it('says who is in the way', async () => {
    const node = new BlockNode(new BlockGraph(), memory(512), { name: 'disk' });
    const guest = node.attach({ user: 'guest', role: 'root', uses: ['read', 'write'], shares: ['read'] });
    expect(() => node.attach({ user: 'job', role: 'job', uses: ['write'], shares: ['read', 'write'] })).toThrow(
      "Conflicts with use by guest as 'root', which does not allow 'write' on disk",
    );
    expect(() => node.attach({ user: 'job', role: 'job', uses: ['read'], shares: ['read'] })).toThrow("uses 'write'");
    const reader = node.attach({ user: 'x', role: 'job', uses: ['read'], shares: ['read', 'write'] });
    expect(() => reader.change(['write'], ['read', 'write'])).toThrow('Conflicts');
    guest.detach();
    reader.change(['write'], ['read', 'write']);
    expect(await failure(node.close())).toContain("busy: used by 'x'");
    reader.detach();
    await node.close();
    expect(() => node.attach({ user: 'x', role: 'job', uses: [], shares: [] })).toThrow('closed');
  });

  it('a graph takes so many nodes, and each name once', () => {
    const graph = new BlockGraph();
    new BlockNode(graph, memory(1), { name: 'a' });
    expect(() => new BlockNode(graph, memory(1), { name: 'a' })).toThrow("Duplicate nodes with node-name='a'");
    for (let i = 1; i < LIMITS.NODES; i++) new BlockNode(graph, memory(1));
    expect(() => new BlockNode(graph, memory(1))).toThrow('which is the most');
  });
});

describe('chain status', () => {
  it('says which image decides, with the depth', async () => {
    const folder = new Folder();
    await folder.make('base', 2, { fill: letters('a.') });
    await folder.make('mid', 6, { backing: 'base', format: 'layer', fill: letters('....b.') });
    await folder.make('top', 6, { backing: 'mid', format: 'layer', fill: letters('...c..') });
    const node = await openImage('top', folder.env());
    await node.writeZeroes?.(5 * CLUSTER, CLUSTER);
    const parts: string[] = [];
    for (let at = 0; at < node.size;) {
      const part = await chainStatus(node, at, node.size - at);
      parts.push(
        `${part.length / CLUSTER} depth ${part.depth} ${part.allocated ? 'present' : 'absent'} ${part.zero ? 'zero' : 'data'}`,
      );
      at += part.length;
    }
    expect(parts).toEqual([
      '1 depth 2 present data',
      '1 depth 2 absent zero',
      '1 depth 2 present zero',
      '1 depth 0 present data',
      '1 depth 1 present data',
      '1 depth 0 present zero',
    ]);
    const base = node.children.get('backing')?.children.get('backing');
    expect(await chainStatus(node, 0, CLUSTER, { base })).toMatchObject({ allocated: false, zero: false });
    await node.close();
  });
});

describe('a dirty bitmap', () => {
  it('agrees with an array', () => {
    const bitmap = new DirtyBitmap(512 * 200 + 7, 512);
    const model = new Array<boolean>(201).fill(false);
    for (let i = 0; i < 200; i++) {
      const offset = (i * 7919) % (512 * 200);
      const length = (i * 3571) % 30_000;
      const isSet = i % 3 !== 0;
      if (isSet) bitmap.set(offset, length);
      else bitmap.clear(offset, length);
      if (length > 0) model.fill(isSet, Math.floor(offset / 512), Math.floor((offset + length - 1) / 512) + 1);
      model.length = 201;
      expect(bitmap.dirtyBytes).toBe(model.filter(Boolean).length * 512);
    }
    const ranges = [...bitmap.ranges()];
    for (let i = 0; i < 201; i++)
      expect(ranges.some(([start, end]) => start <= i * 512 && i * 512 < end)).toBe(model[i]);
    expect(ranges.at(-1)?.[1]).toBeLessThanOrEqual(512 * 200 + 7);
  });

  it('of a huge disk is coarser, and its memory bounded', () => {
    expect(new DirtyBitmap(LIMITS.BITMAP_BITS * 512, 512).granularity).toBe(512);
    expect(new DirtyBitmap(LIMITS.BITMAP_BITS * 512 + 1, 512).granularity).toBe(1024);
    expect(() => new DirtyBitmap(1, 513)).toThrow('power of 2');
  });
});

describe('specs', () => {
  it.each([
    ['a=1,b.c=x,,y,d', { a: '1', b: { c: 'x,y' }, d: 'on' }],
    ['name.img,read-only=on', { file: 'name.img', 'read-only': 'on' }],
    ['a=1,noread', { a: '1', read: 'off' }],
    ['a=1,a=2', { a: '2' }],
  ])('%s', (text, tree) => {
    expect(JSON.parse(JSON.stringify(parseImageSpec(text, { imageOpts: true })))).toEqual(tree);
  });

  it.each([
    ['a=1,a.b=2', 'Cannot mix scalar and non-scalar'],
    ['a..b=1', 'Invalid parameter'],
    ['=1', 'Invalid parameter'],
    ['', 'no options'],
    [`${'a.'.repeat(LIMITS.OPTION_DEPTH)}a=1`, 'nested deeper'],
    [Array.from({ length: LIMITS.OPTION_KEYS + 1 }, (_, i) => `k${i}=1`).join(), 'more than 1024 options'],
    ['a='.padEnd(LIMITS.SPEC_LENGTH + 1, 'x'), 'longer than'],
  ])('%.30s is refused', (text, message) => {
    expect(() => parseImageSpec(text, { imageOpts: true })).toThrow(message);
  });

  it('trees at the limits are taken, and have no prototype', () => {
    expect(() => parseImageSpec('a='.padEnd(LIMITS.SPEC_LENGTH, 'x'), { imageOpts: true })).not.toThrow();
    const deep = `json:${'{"a":'.repeat(LIMITS.OPTION_DEPTH)}1${'}'.repeat(LIMITS.OPTION_DEPTH)}`;
    expect(() => parseImageSpec(deep)).not.toThrow();
    expect(() => parseImageSpec(`json:{"a":${deep.slice(5)}}`)).toThrow('nested deeper');
    const tree = parseImageSpec('json:{"__proto__":{"driver":"x"},"constructor":1}');
    expect(tree['driver']).toBeUndefined();
    expect(Object.getPrototypeOf(tree)).toBeNull();
    expect(() => parseImageSpec('json:[1]')).toThrow('Invalid JSON object');
    expect(() => parseImageSpec('json:{')).toThrow('Could not parse the JSON options');
    expect(() => toTree({ a: () => 1 })).toThrow('no string, number');
  });

  it.each([
    ['dir/top', 'base', 'dir/base'],
    ['top', 'base', 'base'],
    ['/a/b/top', '../base', '/a/b/../base'],
    ['dir/top', '/abs', '/abs'],
    ['dir/top', 'nbd://h/x', 'nbd://h/x'],
    ['dir/top', 'json:{}', 'json:{}'],
    ['http://h/d/top', 'base', 'http://h/d/base'],
    ['file:top', 'base', 'file:base'],
    ['dir/top', 'C:\\x', 'C:\\x'],
  ])('in %s, %s is %s', (base, name, result) => {
    expect(resolveName(base, name)).toBe(result);
  });

  it('nothing is relative to json:', () => {
    expect(() => resolveName('json:{}', 'x')).toThrow('Cannot generate a base directory');
  });

  it('a driver is there once, and the best guess wins', async () => {
    const folder = new Folder();
    const { registry } = folder.env();
    expect(() => createRegistry([registry.get('raw'), registry.get('raw')])).toThrow('twice');
    expect(registry.find('nope')).toBeUndefined();
    expect(registry.probe(new Uint8Array(0))).toMatchObject({ guessed: true });
    expect(() => createRegistry([]).probe(new Uint8Array(4), 'x')).toThrow('x has no known format');
    await folder.make('a', 1, { fill: letters('q') });
    expect(await content(await openImage('a', folder.env()))).toBe('q');
  });
});
