import { describe, expect, it } from 'vitest';
import { BlockError, MemoryStorage, type BlockImage, type Storage } from '@emkit/storage';
import { copyImage } from './copy-image.ts';
import { CLUSTER, content, Folder, layer, letters } from './layer-format.test-support.ts';
import { LIMITS } from './limits.ts';
import { openImage } from './open-image.ts';

const disk = async (text: string): Promise<BlockImage> => {
  const folder = new Folder();
  await folder.make('disk', text.length, { fill: letters(text) });
  return openImage('disk', folder.env());
};
const empty = (clusters: number): Promise<BlockImage> => disk('.'.repeat(clusters));
const failure = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: BlockError) => `${error.kind}: ${error.message}`,
  );

/** Notes writes when they are issued, and delays them; reads too take turns. */
function watched(target: Storage): Storage & { log: string[] } {
  const log: string[] = [];
  let pending = 0;
  return {
    log,
    get size() {
      return target.size;
    },
    async read(offset, buffer) {
      for (let i = ((offset / CLUSTER) % 3) * 20; i < 60; i++) await Promise.resolve();
      await target.read(offset, buffer);
    },
    async write(offset, buffer) {
      log.push(`${offset / CLUSTER}+${buffer.length / CLUSTER}`);
      const turns = (pending++ * 7) % 5;
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await target.write?.(offset, buffer);
    },
    flush: () => Promise.resolve(),
    truncate: () => Promise.resolve(),
  };
}

describe('copyImage', () => {
  it('copies data, makes zeroes, and says how much there was of each', async () => {
    const source = await disk('ab..cd.e');
    const target = new MemoryStorage(new Uint8Array(8 * CLUSTER).fill(0x7a));
    const progress: number[] = [];
    const onProgress = (done: number): void => void progress.push(done / CLUSTER);
    const result = await copyImage(source, target, { bufferSize: 2 * CLUSTER, onProgress, minZeroRun: 512 });
    expect(await content(target)).toBe('ab..cd.e');
    expect(result).toEqual({ dataBytes: 5 * CLUSTER, zeroBytes: 3 * CLUSTER });
    expect(progress.at(-1)).toBe(8);
  });

  it('finds zeroes in what the source calls data, in runs of the asked length', async () => {
    const bytes = new Uint8Array(64 * 1024).fill(1);
    bytes.fill(0, 4096, 8192);
    bytes.fill(0, 20000, 21000);
    bytes.fill(0, 32768, 65536);
    const source = new MemoryStorage(bytes);
    for (const [minZeroRun, zeroBytes] of [
      [4096, 4096 + 32768],
      [512, 4096 + 512 + 32768],
      [65536, 0],
      [0, 0],
    ] as const) {
      const target = new MemoryStorage(65536);
      expect(await copyImage(source, target, { minZeroRun, targetIsZero: true })).toEqual({
        dataBytes: 65536 - zeroBytes,
        zeroBytes,
      });
      expect(target.bytes().every((byte, i) => byte === bytes[i])).toBe(true);
    }
  });

  it('begins writes in the order of the disk unless told otherwise', async () => {
    const source = watched(await disk('abcdefghijkl'));
    const inOrder = watched(new MemoryStorage(12 * CLUSTER));
    await copyImage(source, inOrder, { bufferSize: CLUSTER, parallel: 4 });
    expect(inOrder.log).toEqual([...'abcdefghijkl'].map((_, i) => `${i}+1`));
    const memory = new MemoryStorage(12 * CLUSTER);
    const anyOrder = watched(memory);
    await copyImage(source, anyOrder, { bufferSize: CLUSTER, parallel: 4, outOfOrder: true });
    expect(anyOrder.log).not.toEqual(inOrder.log);
    expect(await content(memory)).toBe('abcdefghijkl');
  });

  it('a part of the disk goes to another place', async () => {
    const target = new MemoryStorage(8 * CLUSTER);
    await copyImage(await disk('abcdef'), target, { offset: CLUSTER, length: 3 * CLUSTER, targetOffset: 2 * CLUSTER });
    expect(await content(target)).toBe('...bcd..');
  });

  it('with a shared backing file only the top image is copied', async () => {
    const folder = new Folder();
    await folder.make('base', 6, { fill: letters('abcdef') });
    await folder.make('top', 6, { backing: 'base', format: 'layer', fill: letters('X...Y.') });
    await folder.make('copy', 6, { backing: 'base', format: 'layer' });
    const source = await openImage('top', folder.env(), { readOnly: true });
    const target = await openImage('copy', folder.env());
    await source.image.status(0, 1);
    expect(await copyImage(source, target, { sharedBacking: 'all' })).toEqual({ dataBytes: 2 * CLUSTER, zeroBytes: 0 });
    expect(await content(target)).toBe('XbcdYf');
    await target.close();
    await source.close();
  });

  it('compressed: cluster by cluster, in order, zeroes left out', async () => {
    const target = await empty(8);
    const inner = (target as unknown as { image: BlockImage }).image;
    const offsets: number[] = [];
    const compressing = Object.create(inner, {
      size: { get: () => inner.size },
      clusterSize: { value: 2 * CLUSTER },
      writeCompressed: {
        value: (offset: number, data: Uint8Array) => {
          offsets.push(offset / CLUSTER);
          return inner.write?.(offset, data);
        },
      },
    }) as BlockImage;
    await copyImage(await disk('a...bc.d'), compressing, { compressed: true, bufferSize: CLUSTER, targetIsZero: true });
    expect(offsets).toEqual([0, 4, 6]);
    expect(await content(inner)).toBe('a...bc.d');
    expect(await failure(copyImage(await disk('a'), new MemoryStorage(CLUSTER), { compressed: true }))).toContain(
      'Compression not supported for this file format',
    );
  });

  it('an unreadable sector ends it, or is made zero and reported', async () => {
    const good = await disk('abcd');
    const source: Storage = {
      size: good.size,
      read: (offset, buffer) => {
        const bad = 2 * CLUSTER + 512;
        if (offset <= bad && bad < offset + buffer.length)
          return Promise.reject(new BlockError('io', 'Input/output error'));
        return good.read(offset, buffer);
      },
    };
    const target = new MemoryStorage(4 * CLUSTER);
    expect(await failure(copyImage(source, target, { bufferSize: CLUSTER }))).toBe(
      'io: error while reading at byte 8192: Input/output error',
    );
    const lost: number[] = [];
    await copyImage(source, target, { salvage: (_, offset, length) => lost.push(offset, length) });
    expect(lost).toEqual([2 * CLUSTER + 512, 512]);
    expect((await content(target)).replace('?', 'c')).toBe('abcd');
  });

  it('a failed write ends it with nothing in flight', async () => {
    let inFlight = 0;
    const target: Storage = {
      size: 12 * CLUSTER,
      read: () => Promise.resolve(),
      async write(offset) {
        inFlight++;
        await Promise.resolve();
        inFlight--;
        if (offset === 3 * CLUSTER) throw new BlockError('no-space', 'No space left on device');
      },
      flush: () => Promise.resolve(),
      truncate: () => Promise.resolve(),
    };
    for (const outOfOrder of [false, true]) {
      const copy = copyImage(await disk('abcdefghijkl'), target, { bufferSize: CLUSTER, outOfOrder });
      expect(await failure(copy)).toBe('no-space: error while writing at byte 12288: No space left on device');
      expect(inFlight).toBe(0);
    }
  });

  it.each([
    [false, false, 8],
    [true, false, 3],
    [true, true, 1],
  ])(
    'writes as many pieces at a time as are of use: a source that blocks %s, a target that does %s',
    async (read, write, requests) => {
      const bytes = new Uint8Array(32 * 4096).fill(1);
      const target = new MemoryStorage(new Uint8Array(bytes.length));
      let [inFlight, most] = [0, 0];
      const slow: Storage = {
        size: bytes.length,
        mayBlock: write,
        read: (offset, buffer) => target.read(offset, buffer),
        async write(offset, buffer) {
          most = Math.max(most, ++inFlight);
          await new Promise((resolve) => setTimeout(resolve, 1));
          await target.write(offset, buffer);
          inFlight--;
        },
        flush: () => Promise.resolve(),
        truncate: () => Promise.resolve(),
      };
      const memory = new MemoryStorage(bytes);
      const source: Storage = {
        size: bytes.length,
        mayBlock: read,
        read: (offset, buffer) => memory.read(offset, buffer),
      };
      await copyImage(source, slow, { bufferSize: 4096, targetIsZero: true });
      expect(most).toBe(requests);
      const copied = new Uint8Array(bytes.length);
      await target.read(0, copied);
      expect(copied).toEqual(bytes);
    },
  );

  it('the writes of a piece that zeroes divide run side by side, eight at most', async () => {
    const bytes = new Uint8Array(64 * 1024);
    for (let at = 0; at < bytes.length; at += 1024) bytes[at] = 1;
    let [inFlight, most] = [0, 0];
    const target = new MemoryStorage(bytes.length);
    const slow: Storage = {
      size: bytes.length,
      read: (offset, buffer) => target.read(offset, buffer),
      async write(offset, buffer) {
        most = Math.max(most, ++inFlight);
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        await target.write(offset, buffer);
        inFlight--;
      },
      flush: () => Promise.resolve(),
      truncate: () => Promise.resolve(),
    };
    await copyImage(new MemoryStorage(bytes), slow, { minZeroRun: 512, targetIsZero: true, parallel: 1 });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
    const copied = new Uint8Array(bytes.length);
    await target.read(0, copied);
    expect(copied).toEqual(bytes);
  });

  it('a source that cannot tell what it holds ends it, once for all workers', async () => {
    let asked = 0;
    const source: Storage = {
      size: 8 * CLUSTER,
      read: () => Promise.resolve(),
      async extent() {
        asked++;
        await Promise.resolve();
        throw new BlockError('io', 'Input/output error');
      },
    };
    const copy = copyImage(source, new MemoryStorage(8 * CLUSTER), { bufferSize: CLUSTER });
    expect(await failure(copy)).toBe('io: Input/output error');
    expect(asked).toBe(1);
  });

  it('a signal ends it between pieces', async () => {
    const signal = {
      aborted: false,
      reason: 'enough',
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
    };
    const onProgress = (): void => void (signal.aborted = true);
    const copy = copyImage(await disk('abcd'), new MemoryStorage(4 * CLUSTER), {
      signal,
      onProgress,
      bufferSize: CLUSTER,
      parallel: 1,
    });
    expect(await failure(copy)).toContain('aborted');
  });

  it('a speed limit is kept by the clock', async () => {
    let now = 0;
    const sleep = (ns: number): Promise<void> => {
      now += ns;
      return Promise.resolve();
    };
    await copyImage(await disk('abcdefgh'), new MemoryStorage(8 * CLUSTER), {
      speed: 2 * CLUSTER,
      clock: { now: () => now, sleep },
      bufferSize: CLUSTER,
      parallel: 1,
    });
    expect(now / 1e9).toBeGreaterThan(3);
    expect(now / 1e9).toBeLessThan(4.1);
  });

  it('refuses ranges outside of the source, and buffers and requests beyond the limits', async () => {
    const source = new MemoryStorage(4096);
    const target = new MemoryStorage(4096);
    expect(await failure(copyImage(source, target, { offset: 1, length: 4096 }))).toContain('out-of-bounds');
    expect(await failure(copyImage(source, target, { bufferSize: LIMITS.COPY_BUFFER }))).toBe('no error');
    expect(await failure(copyImage(source, target, { bufferSize: LIMITS.COPY_BUFFER + 1 }))).toContain(
      'invalid-option',
    );
    expect(await failure(copyImage(source, target, { parallel: LIMITS.COPY_REQUESTS }))).toBe('no error');
    expect(await failure(copyImage(source, target, { parallel: LIMITS.COPY_REQUESTS + 1 }))).toContain('coroutines');
    const { read, size } = source;
    expect(await failure(copyImage(source, { read, size }))).toContain('read-only');
    expect(layer.name).toBe('layer');
  });
});
