import { MemoryStorage } from '@emkit/storage';
import { Disk } from '@emkit/storage-testbed';
import { describe, expect, it } from 'vitest';
import { OpfsStorage } from './index.ts';
import type { SyncAccessHandle } from './index.ts';

/** Gives and takes at most `most` bytes a call, as a handle may; has room for `limit`. */
function fakeHandle(limit = Infinity, most = Infinity): SyncAccessHandle & { readonly log: string[] } {
  const log: string[] = [];
  const disk = new Disk();
  const checkQuota = (size: number): void => {
    if (size > limit) throw Object.assign(new Error('full'), { name: 'QuotaExceededError' });
  };
  return {
    log,
    read(buffer, { at }) {
      const length = Math.max(0, Math.min(buffer.length, most, disk.size - at));
      disk.get(at, buffer.subarray(0, length));
      return length;
    },
    write(buffer, { at }) {
      const part = buffer.subarray(0, Math.min(buffer.length, most));
      checkQuota(at + part.length);
      disk.put(at, part);
      return part.length;
    },
    truncate(size) {
      checkQuota(size);
      void disk.truncate(size);
    },
    getSize: () => disk.size,
    flush: () => void log.push('flush'),
    close: () => void log.push('close'),
  };
}

describe('a file of the origin', () => {
  it('is read and written as memory is', async () => {
    const handle = fakeHandle(Infinity, 700);
    const storage = new OpfsStorage(handle, 'disk.img');
    const memory = new MemoryStorage();
    for (const [offset, length] of [
      [0, 2000],
      [5000, 10],
      [1500, 3000],
    ] as const) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 13 + offset) & 0xff);
      await storage.write(offset, bytes);
      await memory.write(offset, bytes);
    }
    await storage.truncate(4000);
    await memory.truncate(4000);
    await storage.truncate(6000);
    await memory.truncate(6000);
    const buffer = new Uint8Array(7000).fill(1);
    const wanted = new Uint8Array(7000);
    await storage.read(0, buffer);
    await memory.read(0, wanted);
    expect(buffer).toEqual(wanted);
    expect([storage.size, storage.mayBlock]).toEqual([6000, true]);
    await storage.flush();
    await storage.close();
    await storage.close();
    expect(handle.log).toEqual(['flush', 'close']);
    await expect(storage.read(0, buffer)).rejects.toMatchObject({ kind: 'closed' });
  });

  it('has names for what fails', async () => {
    const storage = new OpfsStorage(fakeHandle(1000));
    await expect(storage.write(900, new Uint8Array(200))).rejects.toMatchObject({ kind: 'no-space' });
    await expect(storage.truncate(1001)).rejects.toMatchObject({ kind: 'no-space' });
    await expect(storage.write(-1, new Uint8Array(1))).rejects.toMatchObject({ kind: 'out-of-bounds' });
    await expect(storage.flush({ signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: 'aborted' });
    expect(storage.size).toBe(0);
    const full = new OpfsStorage({ ...fakeHandle(), write: () => 0, getSize: () => 10, read: () => 0 });
    await expect(full.write(0, new Uint8Array(1))).rejects.toMatchObject({ kind: 'no-space' });
    await expect(full.read(0, new Uint8Array(1))).rejects.toMatchObject({ kind: 'io' });
    const inUse = {
      createSyncAccessHandle: () => Promise.reject(Object.assign(new Error(), { name: 'NoModificationAllowedError' })),
    };
    await expect(OpfsStorage.open(inUse)).rejects.toMatchObject({ kind: 'locked' });
  });

  it('opens by its file handle', async () => {
    const storage = await OpfsStorage.open({
      name: 'a.img',
      createSyncAccessHandle: () => Promise.resolve(fakeHandle()),
    });
    expect(storage.name).toBe('a.img');
  });
});

// vitest's own workers of Node are of another kind: this is for browsers
declare const Worker: new (
  url: URL,
  options: { type: 'module' },
) => {
  onmessage: (event: { data: unknown }) => void;
  onerror: (event: { message?: string }) => void;
  terminate(): void;
};

const isBrowser = 'document' in globalThis;

it.runIf(isBrowser)('works on a real handle in a worker', async () => {
  const worker = new Worker(new URL('../test/opfs-worker.ts', import.meta.url), { type: 'module' });
  const result = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message ?? 'the worker failed'));
  });
  worker.terminate();
  expect(result).toEqual({ bytes: [0, 1, 2, 3, 0], size: 50, second: 'locked' });
});
