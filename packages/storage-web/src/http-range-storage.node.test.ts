/** Against a real server over a real socket. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pattern } from '../test/fake-server.ts';
import { HttpRangeStorage } from './index.ts';
import type { HttpRangeOptions } from './index.ts';

const FILE = pattern(200_000);
let etag = 0;
let requests = 0;
let server: Server;
let base: string;

/** What the server does, by path. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  requests++;
  const path = request.url ?? '';
  const match = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '');
  const start = match === null ? 0 : Number(match[1]);
  const last = match === null ? FILE.length - 1 : Math.min(Number(match[2]), FILE.length - 1);
  const body = FILE.subarray(start, last + 1);
  const partial = (length = body.length) => ({
    'Content-Range': `bytes ${start}-${last}/${FILE.length}`,
    'Content-Length': String(length),
    ETag: path === '/changing' ? `"${++etag}"` : '"fixed"',
  });
  switch (path) {
    case '/gone':
      response.writeHead(404).end('not here');
      return;
    case '/moved':
      response.writeHead(302, { Location: '/file' }).end();
      return;
    case '/no-ranges':
      response.writeHead(200, { 'Content-Length': String(FILE.length) }).end(FILE);
      return;
    case '/wrong-range':
      response.writeHead(206, { 'Content-Range': `bytes 7-${7 + body.length - 1}/${FILE.length}` }).end(body);
      return;
    case '/unsatisfied':
      response.writeHead(416, { 'Content-Range': `bytes */${FILE.length}` }).end();
      return;
    case '/truncated':
      response.writeHead(206, partial());
      response.write(body.subarray(0, 100));
      setTimeout(() => response.destroy(), 5);
      return;
    case '/flaky':
      if (requests % 2 === 1) response.destroy();
      else response.writeHead(206, partial()).end(body);
      return;
    case '/stalled':
      response.writeHead(206, partial());
      response.write(body.subarray(0, 100));
      return;
    default:
      response.writeHead(206, partial()).end(body);
  }
}

beforeAll(async () => {
  server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const open = (path: string, options: HttpRangeOptions = {}) =>
  HttpRangeStorage.open(base + path, { blockSize: 4096, backoffMs: 1, retries: 2, timeoutMs: 5000, ...options });

async function content(storage: HttpRangeStorage): Promise<boolean> {
  const buffer = new Uint8Array(storage.size);
  await storage.read(0, buffer);
  return storage.size === FILE.length && buffer.every((byte, i) => byte === FILE[i]);
}

describe('over a socket', () => {
  it('reads by ranges, with few requests', async () => {
    const storage = await open('/file');
    expect(await content(storage)).toBe(true);
    expect(storage.requests).toBe(2);
    await storage.close();
  });

  it('follows a redirect', async () => {
    expect(await content(await open('/moved'))).toBe(true);
  });

  it('gets over connections that break', async () => {
    expect(await content(await open('/flaky'))).toBe(true);
  });

  it('keeps a small file of a server without ranges, and refuses a large one', async () => {
    expect(await content(await open('/no-ranges'))).toBe(true);
    await expect(open('/no-ranges', { maxWholeBody: 199_999 })).rejects.toMatchObject({ kind: 'io' });
  });

  it.each([
    ['/gone', 'not-found', 'status 404'],
    ['/wrong-range', 'io', 'Content-Range'],
    ['/unsatisfied', 'io', 'status 416'],
    ['/truncated', 'io', '127.0.0.1'],
  ])('%s is an error of kind %s', async (path, kind, message) => {
    await expect(open(path)).rejects.toMatchObject({ kind, message: expect.stringContaining(message) as string });
  });

  it('does not wait for a body that stalls', async () => {
    await expect(open('/stalled', { timeoutMs: 50, retries: 1 })).rejects.toMatchObject({
      kind: 'io',
      message: expect.stringContaining('50 ms') as string,
    });
  });

  it('notices a file that changes', async () => {
    const storage = await open('/changing');
    await expect(content(storage)).rejects.toMatchObject({
      kind: 'io',
      message: expect.stringContaining('the file changed') as string,
    });
  });

  it('says when nobody listens', async () => {
    await expect(HttpRangeStorage.open('http://127.0.0.1:9/', { retries: 0 })).rejects.toMatchObject({ kind: 'io' });
  });
});
