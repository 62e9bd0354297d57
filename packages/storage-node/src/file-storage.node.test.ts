import * as fs from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BlockError, isZero } from '@emkit/storage';
import type { FileStorage } from './file-storage.ts';
import { LIMITS } from './limits.ts';
import { deviceSize, openFile, type OpenFileOptions } from './open-file.ts';
import { loadSystemCalls } from './system-calls.ts';

const folder = mkdtempSync(join(tmpdir(), 'emkit-file-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const fresh = (): string => join(folder, `${count++}.img`);

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff || 1);
const kind = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof BlockError ? error.kind : String(error)),
  );

const WAYS: [string, OpenFileOptions][] = [
  ['blocking', { blocking: true }],
  ['non-blocking', { blocking: false }],
  ['quick reads', { blocking: 'quick-reads' }],
  ['blocking without koffi', { blocking: true, systemCalls: null }],
  ['non-blocking without koffi', { blocking: false, systemCalls: null }],
];

describe.each(WAYS)('a file, %s', (_, way) => {
  it('keeps a random program of writes, zeroes, discards and truncations as an array does', async () => {
    const file = await openFile(fresh(), { ...way, create: true });
    let model = new Uint8Array(0);
    let state = 12345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const grow = (size: number): void => {
      if (size <= model.length) return;
      const larger = new Uint8Array(size);
      larger.set(model);
      model = larger;
    };
    for (let step = 0; step < 150; step++) {
      const offset = random(200_000);
      const length = random(20_000);
      const op = random(6);
      if (op <= 1) {
        const bytes = pattern(length, step);
        await file.write?.(offset, bytes);
        if (length > 0) grow(offset + length);
        model.set(bytes, offset > model.length ? model.length : offset);
      } else if (op === 2 || op === 3) {
        await file.writeZeroes?.(offset, length, { unmap: op === 2 });
        if (length > 0) grow(offset + length);
        model.fill(0, offset, offset + length);
      } else if (op === 4) {
        const size = random(220_000);
        await file.truncate?.(size);
        const next = new Uint8Array(size);
        next.set(model.subarray(0, size));
        model = next;
      } else {
        await file.preallocate?.(offset, length);
        if (length > 0) grow(offset + length);
      }
      expect(file.size).toBe(model.length);
    }
    const all = new Uint8Array(model.length + 100).fill(9);
    await file.read(0, all);
    expect(Buffer.compare(all.subarray(0, model.length), model)).toBe(0);
    expect(isZero(all.subarray(model.length))).toBe(true);
    await file.flush?.();
    expect(fs.statSync(file.name).size).toBe(model.length);
    await file.close();
  });

  it('reports what is wrong with an open by kind, in words', async () => {
    const path = fresh();
    await expect(openFile(path, way)).rejects.toThrow(`Could not open '${path}': No such file or directory`);
    expect(await kind(openFile(path, way))).toBe('not-found');
    await expect(openFile(folder, { ...way, readOnly: true })).rejects.toThrow('Is a directory');
    await (await openFile(path, { ...way, create: true })).close();
    expect(await kind(openFile(path, { ...way, create: true, exclusive: true }))).toBe('exists');
    await expect(openFile('/dev/null', way)).rejects.toThrow('regular file or block device');
  });

  it('a read-only file has no write', async () => {
    const path = fresh();
    fs.writeFileSync(path, 'abc');
    const file = await openFile(path, { ...way, readOnly: true });
    expect([file.write, file.truncate, file.discard, file.preallocate]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    const bytes = new Uint8Array(2);
    await file.read(2, bytes);
    expect([...bytes]).toEqual([0x63, 0]);
    await file.close();
  });

  it('rejects with `closed` after close, and with `out-of-bounds` for what is no range', async () => {
    const file = await openFile(fresh(), { ...way, create: true });
    expect(await kind(file.read(-1, new Uint8Array(1)))).toBe('out-of-bounds');
    expect(await kind(file.read(2 ** 53, new Uint8Array(1)))).toBe('out-of-bounds');
    expect(await kind(file.write?.(0.5, new Uint8Array(1)) as Promise<void>)).toBe('out-of-bounds');
    const pending = file.write?.(0, new Uint8Array(1 << 20));
    await file.close();
    await pending;
    expect(fs.statSync(file.name).size).toBe(1 << 20);
    expect(await kind(file.read(0, new Uint8Array(1)))).toBe('closed');
    expect(await kind(file.flush?.() as Promise<void>)).toBe('closed');
    await file.close();
  });

  it('growing by zeroes beside writes cuts nothing off', async () => {
    const file = await openFile(fresh(), { ...way, create: true });
    const bytes = pattern(65536, 3);
    await Promise.all([file.write?.(1 << 20, bytes), file.writeZeroes?.(65536, 4096, { unmap: true })]);
    expect(file.size).toBe((1 << 20) + 65536);
    const back = new Uint8Array(65536);
    await file.read(1 << 20, back);
    expect(Buffer.compare(back, bytes)).toBe(0);
    await file.close();
  });

  it('an aborted signal ends a request before it begins', async () => {
    const file = await openFile(fresh(), { ...way, create: true });
    const abort = new AbortController();
    abort.abort();
    expect(await kind(file.read(0, new Uint8Array(1), { signal: abort.signal }))).toBe('aborted');
    await file.close();
  });
});

describe('holes', () => {
  const extents = async (file: FileStorage): Promise<string> => {
    const all: string[] = [];
    for (let at = 0; at < file.size;) {
      const part = await file.extent(at, file.size - at);
      all.push(`${part.data ? 'data' : 'hole'} ${part.length}`);
      at += part.length;
    }
    return all.join(', ');
  };

  it.skipIf(process.platform !== 'linux')('are found, and made by discards and zeroes', async () => {
    const file = await openFile(fresh(), { create: true, blocking: true });
    await file.truncate?.(1 << 20);
    expect(await extents(file)).toBe('hole 1048576');
    await file.write?.(65536, pattern(131072, 1));
    expect(await extents(file)).toBe('hole 65536, data 131072, hole 851968');
    await file.discard?.(65536, 65536);
    expect(await extents(file)).toBe('hole 131072, data 65536, hole 851968');
    await file.preallocate?.(0, 65536);
    await file.writeZeroes?.(131072, 65536, { unmap: true });
    const bytes = new Uint8Array(65536).fill(1);
    await file.read(131072, bytes);
    expect(isZero(bytes)).toBe(true);
    expect(fs.statSync(file.name).blocks * 512).toBeLessThanOrEqual(65536 + 4096);
    await file.close();
  });

  it('without koffi: a file without blocks is a hole, any other is data', async () => {
    const file = await openFile(fresh(), { create: true, systemCalls: null });
    await file.truncate?.(1 << 20);
    expect(await extents(file)).toBe('hole 1048576');
    await file.write?.(65536, pattern(4096, 1));
    await file.flush?.();
    expect(await extents(file)).toBe('data 1048576');
    expect(file.locks).toBe('unavailable');
    await file.close();
  });
});

describe('failures below', () => {
  it('a write to a full device is `no-space`', async () => {
    const calls = await loadSystemCalls();
    const file = await openFile(fresh(), { create: true, blocking: true });
    if (calls?.fallocate === undefined) return;
    // a file cannot be that large on any file system, so the kernel refuses at once
    expect(await kind(file.preallocate?.(0, 2 ** 52) as Promise<void>)).toBe('no-space');
    await file.close();
  });

  it('the size of a device is found without lseek', () => {
    const path = fresh();
    for (const size of [0, 1, 512, 65537]) {
      fs.writeFileSync(path, new Uint8Array(size));
      const fd = fs.openSync(path, 'r');
      expect(deviceSize(fd, undefined)).toBe(size);
      fs.closeSync(fd);
    }
  });

  it('zeroes longer than one buffer are written in pieces', async () => {
    const file = await openFile(fresh(), { create: true, systemCalls: null, blocking: true });
    const length = LIMITS.ZERO_BYTES * 2 + 1;
    await file.write?.(0, new Uint8Array(length + 1).fill(5));
    await file.writeZeroes?.(0, length);
    const bytes = new Uint8Array(length + 1);
    await file.read(0, bytes);
    expect(isZero(bytes.subarray(0, length))).toBe(true);
    expect(bytes[length]).toBe(5);
    await file.close();
  });
});

describe.skipIf(process.platform !== 'linux')('locks', () => {
  it('two writers, or a writer and a reader, are refused; two readers are not', async () => {
    const path = fresh();
    const writer = await openFile(path, { create: true });
    if (writer.locks !== 'held') return writer.close();
    await expect(openFile(path)).rejects.toThrow('Failed to get "write" lock');
    await expect(openFile(path, { create: true })).rejects.toThrow('lock');
    await expect(openFile(path, { readOnly: true })).rejects.toThrow('Failed to get shared "write" lock');
    await (await openFile(path, { readOnly: true, lock: 'none' })).close();
    await writer.close();
    const reader = await openFile(path, { readOnly: true });
    const other = await openFile(path, { readOnly: true });
    expect([reader.locks, other.locks]).toEqual(['held', 'held']);
    await expect(openFile(path)).rejects.toThrow('Failed to get "write" lock');
    await reader.close();
    await other.close();
    await (await openFile(path)).close();
  });

  it('a create that is refused leaves the file as it was', async () => {
    const path = fresh();
    fs.writeFileSync(path, 'precious');
    const reader = await openFile(path, { readOnly: true });
    if (reader.locks === 'held') expect(await kind(openFile(path, { create: true }))).toBe('locked');
    await reader.close();
    expect(fs.readFileSync(path, 'utf8')).toBe('precious');
  });
});
