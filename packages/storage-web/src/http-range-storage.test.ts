import { isBlockError } from '@emkit/storage';
import { describe, expect, it } from 'vitest';
import { answer, fakeServer, pattern } from '../test/fake-server.ts';
import type { FakeServer } from '../test/fake-server.ts';
import { HttpRangeStorage, MAX_REQUEST, MAX_WHOLE_BODY } from './index.ts';
import type { FetchInit, HttpRangeOptions } from './index.ts';

const URL = 'http://server/disk.img';
const open = (server: FakeServer, options: HttpRangeOptions = {}) =>
  HttpRangeStorage.open(URL, { fetch: server.fetch, blockSize: 1024, readAhead: 0, backoffMs: 1, ...options });

async function failure(
  promise: Promise<unknown>,
): Promise<{ kind: string; message: string; hint: string | undefined }> {
  try {
    await promise;
  } catch (error) {
    if (isBlockError(error)) return { kind: error.kind, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('it did not fail');
}

async function read(storage: HttpRangeStorage, offset: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length).fill(0xee);
  await storage.read(offset, buffer);
  return buffer;
}

describe('opening a file on a server', () => {
  it('takes one request', async () => {
    const server = fakeServer(pattern(10_000));
    const storage = await open(server);
    expect([storage.size, storage.name, storage.requests]).toEqual([10_000, URL, 1]);
    expect(server.calls).toEqual(['GET bytes=0-1023']);
    expect(await read(storage, 100, 900)).toEqual(pattern(10_000).subarray(100, 1000));
    expect(server.calls.length).toBe(1);
  });

  it('keeps a small file whole', async () => {
    const server = fakeServer(pattern(700));
    const storage = await open(server);
    expect(await read(storage, 600, 200)).toEqual(Uint8Array.of(...pattern(700).subarray(600), ...new Uint8Array(100)));
    expect(server.calls.length).toBe(1);
  });

  it('opens an empty file', async () => {
    const storage = await open(fakeServer(new Uint8Array(0)));
    expect(storage.size).toBe(0);
    expect(await read(storage, 0, 4)).toEqual(new Uint8Array(4));
  });

  it('asks for the size where Content-Range is hidden from the page', async () => {
    const server = fakeServer(pattern(5000));
    server.override = (init) =>
      init.method === 'GET' && init.headers['Range'] === 'bytes=0-1023'
        ? Promise.resolve(answer(206, {}, pattern(5000).slice(0, 1024)))
        : undefined;
    const storage = await open(server);
    expect(storage.size).toBe(5000);
    expect(server.calls).toEqual(['GET bytes=0-1023', 'HEAD']);
    expect(await read(storage, 2000, 3000)).toEqual(pattern(5000).subarray(2000));
  });

  it('says when a file is not there or not allowed', async () => {
    for (const [status, kind] of [
      [404, 'not-found'],
      [410, 'not-found'],
      [403, 'io'],
      [400, 'io'],
      [204, 'io'],
    ] as const) {
      const server = fakeServer(pattern(5000));
      server.override = () => Promise.resolve(answer(status));
      expect((await failure(open(server))).kind, String(status)).toBe(kind);
      expect(server.calls.length, 'no retry').toBe(1);
    }
  });

  it('refuses a size that is none', async () => {
    for (const text of [
      'bytes 0-1023/*',
      'bytes 0-1023/99999999999999999999',
      'bytes 1-1024/5000',
      'bytes 0-9/5',
      'x',
      'bytes 0-4095/5000',
    ]) {
      const server = fakeServer(pattern(5000));
      server.override = () => Promise.resolve(answer(206, { 'Content-Range': text }, pattern(1024)));
      expect((await failure(open(server))).kind, text).toBe('io');
    }
  });

  it('refuses what is compressed on the way', async () => {
    const server = fakeServer(pattern(5000), { 'Content-Encoding': 'gzip' });
    expect((await failure(open(server))).hint).toContain('compression');
  });

  it('checks its settings', async () => {
    const server = fakeServer(pattern(5000));
    for (const options of [
      { blockSize: 511 },
      { blockSize: 3000 },
      { blockSize: 8 << 20 },
      { concurrency: 0 },
      { retries: -1 },
      { timeoutMs: 2 ** 31 },
      { cacheBytes: 0.5 },
    ])
      expect((await failure(open(server, options))).kind, JSON.stringify(options)).toBe('invalid-option');
    expect(server.calls).toEqual([]);
  });
});

describe('a server that knows no ranges', () => {
  const whole = (length: number, headers: Record<string, string> = {}) => {
    const server = fakeServer(pattern(length));
    server.override = () => Promise.resolve(answer(200, headers, server.content));
    return server;
  };

  it('has a small file kept whole', async () => {
    const server = whole(5000, { 'Content-Length': '5000' });
    const storage = await open(server);
    expect(await read(storage, 4000, 1000)).toEqual(pattern(5000).subarray(4000));
    expect(server.calls.length).toBe(1);
  });

  it('is refused beyond the limit, with a hint, whether it tells the length or not', async () => {
    await open(whole(5000), { maxWholeBody: 5000 });
    for (const headers of [{}, { 'Content-Length': '5001' }]) {
      const { kind, hint } = await failure(open(whole(5001, headers), { maxWholeBody: 5000 }));
      expect([kind, hint]).toEqual(['io', expect.stringContaining('206')]);
    }
    const { kind } = await failure(open(whole(10, { 'Content-Length': String(MAX_WHOLE_BODY + 1) })));
    expect(kind).toBe('io');
  });

  it('does not pass a part for the whole', async () => {
    const { message } = await failure(open(whole(5000, { 'Content-Length': '6000' })));
    expect(message).toContain('broke off');
  });
});

describe('reading', () => {
  it('fetches neighbours together, and each block once', async () => {
    const server = fakeServer(pattern(100_000));
    const storage = await open(server);
    const parts = await Promise.all([read(storage, 5000, 3000), read(storage, 8000, 2000), read(storage, 6000, 100)]);
    expect(parts[0]).toEqual(pattern(100_000).subarray(5000, 8000));
    expect(parts[1]).toEqual(pattern(100_000).subarray(8000, 10_000));
    expect(server.calls.slice(1)).toEqual(['GET bytes=4096-10239']);
    await read(storage, 5000, 5000);
    expect(server.calls.length).toBe(2);
  });

  it('asks for no more than the limit at once', async () => {
    const server = fakeServer(new Uint8Array(MAX_REQUEST + 65536 * 3));
    const storage = await open(server, { blockSize: 65536 });
    await read(storage, 65536, MAX_REQUEST + 65536);
    expect(server.calls.slice(1)).toEqual([
      `GET bytes=65536-${65536 + MAX_REQUEST - 1}`,
      `GET bytes=${65536 + MAX_REQUEST}-${MAX_REQUEST + 2 * 65536 - 1}`,
    ]);
  });

  it('keeps no more than the cache holds', async () => {
    const server = fakeServer(pattern(20_000));
    const storage = await open(server, { cacheBytes: 2048 });
    for (const offset of [2048, 3072, 4096, 3072, 4096]) await read(storage, offset, 10);
    expect(server.calls.length).toBe(4);
    await read(storage, 2048, 10);
    expect(server.calls.length).toBe(5);
    expect(await read(storage, 0, 20_000)).toEqual(pattern(20_000));
  });

  it('reads ahead when it is read in order, and not otherwise', async () => {
    const server = fakeServer(pattern(100_000));
    const storage = await open(server, { readAhead: 16_384 });
    for (let offset = 0; offset < 100_000; offset += 500) await read(storage, offset, 500);
    expect(server.calls.length).toBeLessThan(20);
    const other = fakeServer(pattern(100_000));
    const random = await open(other, { readAhead: 16_384 });
    for (const offset of [50_000, 20_000, 70_000, 10_000]) await read(random, offset, 100);
    expect(other.calls.slice(1).every((call) => /^GET bytes=(\d+)-(\d+)$/.test(call))).toBe(true);
    expect(random.accessed().reduce((sum, [, length]) => sum + length, 0)).toBe(4 * 1024);
    expect(other.calls.length).toBe(5);
  });

  it('records what was read, and fetches such a list in advance', async () => {
    const server = fakeServer(pattern(50_000));
    const first = await open(server);
    await read(first, 30_000, 3000);
    await read(first, 49_000, 1000);
    const list = first.accessed();
    expect(list).toEqual([
      [29_696, 4096],
      [48_128, 1872],
    ]);
    const second = await open(server, { prefetch: [...list, [-5, 3], [60_000, 1], [NaN, NaN]] });
    await read(second, 30_000, 3000);
    await read(second, 49_000, 1000);
    expect(second.requests).toBe(3);
  });

  it('runs a few requests at a time', async () => {
    const server = fakeServer(pattern(100_000));
    let running = 0;
    let most = 0;
    const { fetch } = server;
    const slow: HttpRangeOptions['fetch'] = async (url, init) => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => setTimeout(resolve, 2));
      running--;
      return fetch(url, init);
    };
    const storage = await open(server, { fetch: slow, concurrency: 2 });
    await Promise.all(Array.from({ length: 20 }, (_, i) => read(storage, 3000 + i * 4096, 100)));
    expect(most).toBe(2);
  });

  it('rejects what is no range, and everything after close', async () => {
    const storage = await open(fakeServer(pattern(5000)));
    expect((await failure(storage.read(-1, new Uint8Array(1)))).kind).toBe('out-of-bounds');
    const pending = storage.read(3000, new Uint8Array(10));
    await storage.close();
    expect((await failure(pending)).kind).toBe('closed');
    expect((await failure(storage.read(0, new Uint8Array(1)))).kind).toBe('closed');
  });
});

describe('a file that changes', () => {
  it('is noticed by its ETag, and nothing is read any more', async () => {
    const server = fakeServer(pattern(5000));
    const storage = await open(server);
    server.headers = { ETag: '"2"' };
    const { kind, message } = await failure(storage.read(3000, new Uint8Array(10)));
    expect([kind, message]).toEqual(['io', `${URL}: the file changed`]);
    expect((await failure(storage.read(0, new Uint8Array(10)))).message).toContain('the file changed');
  });

  it.each([
    ['a weak ETag', { ETag: 'W/"1"' }, { ETag: 'W/"2"' }],
    [
      'its date',
      { 'Last-Modified': 'Mon, 01 Jan 2024 00:00:00 GMT' },
      { 'Last-Modified': 'Tue, 02 Jan 2024 00:00:00 GMT' },
    ],
  ])('is noticed by %s', async (_what, before, after) => {
    const server = fakeServer(pattern(5000), before as Record<string, string>);
    const storage = await open(server);
    server.headers = after as Record<string, string>;
    server.override = (init) => (init.headers['If-Range'] === undefined ? undefined : Promise.resolve(answer(500)));
    expect((await failure(storage.read(3000, new Uint8Array(10)))).message).toContain('the file changed');
  });

  it.each([4000, 2000, 6000])('is noticed by its size: %i', async (size) => {
    const server = fakeServer(pattern(5000), {});
    const storage = await open(server);
    server.content = pattern(size);
    expect((await failure(storage.read(3000, new Uint8Array(10)))).message).toContain('the file changed');
  });
});

describe('a network that fails', () => {
  it('is tried again, a bounded number of times', async () => {
    const server = fakeServer(pattern(5000));
    const storage = await open(server, { retries: 2 });
    const range = (init: FetchInit) => (init.headers['Range'] as string).replace('bytes=', 'bytes ');
    const faults = [
      () => Promise.reject(new TypeError('fetch failed')),
      () => Promise.resolve(answer(503)),
      (init: FetchInit) =>
        Promise.resolve(answer(206, { ETag: '"1"', 'Content-Range': `${range(init)}/5000` }, pattern(100))),
    ];
    let left = 2;
    server.override = (init) => (left-- > 0 ? faults[left]?.(init) : undefined);
    expect(await read(storage, 2048, 10)).toEqual(pattern(5000).subarray(2048, 2058));
    left = 3;
    const before = server.calls.length;
    expect((await failure(storage.read(3072, new Uint8Array(10)))).kind).toBe('io');
    expect(server.calls.length - before).toBe(3);
    expect(await read(storage, 3072, 10)).toEqual(pattern(5000).subarray(3072, 3082));
  });

  it('does not hang: a silent server and a stalled body run into the deadline', async () => {
    const server = fakeServer(pattern(5000));
    const storage = await open(server, { timeoutMs: 20, retries: 1 });
    server.override = () => new Promise(() => undefined);
    expect((await failure(storage.read(2048, new Uint8Array(10)))).message).toContain('no answer for 20 ms');
    const stalled = {
      ...answer(206, { 'Content-Range': 'bytes 2048-3071/5000' }),
      body: { getReader: () => ({ read: () => new Promise<never>(() => undefined), cancel: () => Promise.resolve() }) },
    };
    server.override = () => Promise.resolve(stalled);
    expect((await failure(storage.read(2048, new Uint8Array(10)))).message).toContain('no answer for 20 ms');
  });

  it.each([
    ['another range', answer(206, { 'Content-Range': 'bytes 0-1023/5000' }, pattern(1024))],
    ['a longer body', answer(206, { 'Content-Range': 'bytes 2048-3071/5000' }, pattern(5000))],
    ['a status that is none', answer(299)],
  ])('never passes off wrong bytes: %s', async (_what, wrong) => {
    const server = fakeServer(pattern(5000));
    const storage = await open(server);
    server.override = () => Promise.resolve(wrong);
    expect((await failure(storage.read(2048, new Uint8Array(10)))).kind).toBe('io');
    server.override = undefined;
    expect(await read(storage, 2048, 10)).toEqual(pattern(5000).subarray(2048, 2058));
  });
});

describe('aborting', () => {
  it('ends a read at once, and the request that only it waited for', async () => {
    const server = fakeServer(pattern(5000));
    const storage = await open(server);
    let aborted = 0;
    server.override = (init) =>
      new Promise((_, reject) =>
        init.signal.addEventListener('abort', () => {
          aborted++;
          reject(new Error('aborted'));
        }),
      );
    const one = new AbortController();
    const two = new AbortController();
    const first = failure(storage.read(2048, new Uint8Array(10), { signal: one.signal }));
    const second = failure(storage.read(2050, new Uint8Array(10), { signal: two.signal }));
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
    one.abort();
    expect([(await first).kind, aborted]).toEqual(['aborted', 0]);
    two.abort();
    expect([(await second).kind, aborted]).toEqual(['aborted', 1]);
    server.override = undefined;
    expect(await read(storage, 2048, 10)).toEqual(pattern(5000).subarray(2048, 2058));
    expect((await failure(open(server, { signal: one.signal }))).kind).toBe('aborted');
  });

  it('ends an open that hangs', async () => {
    const server = fakeServer(pattern(5000));
    server.override = () => new Promise(() => undefined);
    const controller = new AbortController();
    const pending = failure(open(server, { signal: controller.signal }));
    controller.abort();
    expect((await pending).kind).toBe('aborted');
  });
});
