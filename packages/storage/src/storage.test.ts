import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AsyncMutex,
  BlockError,
  checkRange,
  fromReader,
  isBlockError,
  isZero,
  MemoryStorage,
  writable,
  zeroRange,
} from './index.ts';

const firstDifference = (a: Uint8Array, b: Uint8Array): number => a.findIndex((byte, i) => byte !== b[i]);

describe('MemoryStorage', () => {
  it('does what a byte array does', async () => {
    const step = fc.record({
      what: fc.constantFrom('write', 'zero', 'truncate', 'discard'),
      offset: fc.nat(200_000),
      length: fc.nat(150_000),
      value: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const storage = new MemoryStorage();
        let model = new Uint8Array(0);
        const grow = (size: number): void => {
          if (size <= model.length) return;
          const next = new Uint8Array(size);
          next.set(model);
          model = next;
        };
        for (const { what, offset, length, value } of steps) {
          if (what === 'truncate') {
            await storage.truncate(offset);
            const next = new Uint8Array(offset);
            next.set(model.subarray(0, offset));
            model = next;
          } else if (what === 'discard') {
            await storage.discard(offset, length);
            model.fill(0, offset, offset + length);
          } else {
            grow(offset + length);
            model.fill(what === 'zero' ? 0 : value, offset, offset + length);
            if (what === 'zero') await storage.writeZeroes(offset, length);
            else await storage.write(offset, new Uint8Array(length).fill(value));
          }
        }
        expect(storage.size).toBe(model.length);
        expect(firstDifference(storage.bytes(), model)).toBe(-1);
        for (let at = 0; at < storage.size;) {
          const extent = await storage.extent(at, storage.size - at);
          expect(extent.length).toBeGreaterThan(0);
          if (extent.zero) expect(isZero(model.subarray(at, at + extent.length))).toBe(true);
          at += extent.length;
        }
      }),
      { numRuns: 60 },
    );
  });

  it('reads zeroes past its end', async () => {
    const buffer = new Uint8Array(8).fill(7);
    await new MemoryStorage(Uint8Array.of(1, 2, 3)).read(1, buffer);
    expect([...buffer]).toEqual([2, 3, 0, 0, 0, 0, 0, 0]);
  });

  it('takes a write at 8 TiB and little memory', async () => {
    const storage = new MemoryStorage();
    await storage.write(2 ** 43, Uint8Array.of(9));
    expect(storage.size).toBe(2 ** 43 + 1);
    expect(await storage.extent(0, storage.size)).toEqual({ length: 2 ** 43, data: false, zero: true });
  });
});

describe('isZero', () => {
  it('sees every single byte, at every alignment', () => {
    const buffer = new Uint8Array(64);
    for (let from = 0; from < 16; from++)
      for (let to = from; to <= 64; to += 5) {
        const part = buffer.subarray(from, to);
        expect(isZero(part)).toBe(true);
        for (let i = from; i < to; i++) {
          buffer[i] = 0x80;
          expect(isZero(part)).toBe(false);
          buffer[i] = 0;
        }
      }
  });
});

describe('ranges', () => {
  it.each([
    [-1, 1],
    [0, 11],
    [10, 1],
    [0.5, 1],
    [NaN, 1],
    [2 ** 53, 1],
    [1, Infinity],
  ])('refuse %d + %d of 10', (offset, length) => {
    expect(() => checkRange(offset, length, 10)).toThrowError(BlockError);
  });

  it('say when a storage cannot be written', () => {
    const storage = fromReader({ size: 4, read: () => new Uint8Array(4) }, 'disk.img');
    expect(() => writable(storage)).toThrowError('disk.img cannot be written');
  });

  it('are zeroed also where a storage knows no better way', async () => {
    const memory = new MemoryStorage(new Uint8Array(3_000_000).fill(1));
    const plain = {
      size: 0,
      read: memory.read.bind(memory),
      write: memory.write.bind(memory),
      flush: async () => {},
      truncate: async () => {},
    };
    await zeroRange(plain, 1, 2_999_998);
    const all = memory.bytes();
    expect([all[0], all[1], all[2_999_998], all[2_999_999]]).toEqual([1, 0, 0, 1]);
  });
});

describe('fromReader', () => {
  it('refuses a reader that gives less', async () => {
    const storage = fromReader({ size: 100, read: () => new Uint8Array(3) });
    await expect(storage.read(0, new Uint8Array(10))).rejects.toSatisfy((e) => isBlockError(e, 'io'));
  });

  it('aborts', async () => {
    const storage = fromReader({ size: 100, read: (_offset, length) => new Uint8Array(length) });
    await expect(storage.read(0, new Uint8Array(10), { signal: AbortSignal.abort('enough') })).rejects.toMatchObject({
      kind: 'aborted',
      cause: 'enough',
    });
  });
});

describe('AsyncMutex', () => {
  it('lets one in at a time, in order', async () => {
    const mutex = new AsyncMutex();
    const log: string[] = [];
    const task = (name: string): Promise<void> =>
      mutex.run(async () => {
        log.push(`${name} in`);
        await Promise.resolve();
        await Promise.resolve();
        log.push(`${name} out`);
      });
    await Promise.all([task('a'), task('b'), task('c')]);
    expect(log).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
    expect(mutex.isLocked).toBe(false);
  });

  it('is free again after a failure', async () => {
    const mutex = new AsyncMutex();
    await expect(mutex.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(mutex.lock()).toBe(undefined);
  });
});
