/** A web server as a `fetch`: one file, range requests, and the ways in which servers and networks fail. */
import type { Fetch, FetchInit, FetchResponse } from '../src/index.ts';

export interface FakeServer {
  content: Uint8Array;
  headers: Record<string, string>;
  /** Answers instead, when it gives something. */
  override: ((init: FetchInit, call: number) => Promise<FetchResponse> | undefined) | undefined;
  readonly calls: string[];
  readonly fetch: Fetch;
}

export function answer(
  status: number,
  headers: Record<string, string> = {},
  body: Uint8Array = new Uint8Array(0),
): FetchResponse {
  const map = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const half = Math.ceil(body.length / 2);
  const pieces = [body.slice(0, half), body.slice(half)];
  return {
    status,
    headers: { get: (name) => map.get(name.toLowerCase()) ?? null },
    body: {
      getReader: () => ({
        read: () => {
          const value = pieces.shift();
          return Promise.resolve(value === undefined ? { done: true } : { done: false, value });
        },
        cancel: () => Promise.resolve(),
      }),
    },
  };
}

export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 0xff);
}

export function fakeServer(content: Uint8Array, headers: Record<string, string> = { ETag: '"1"' }): FakeServer {
  const server: FakeServer = {
    content,
    headers,
    override: undefined,
    calls: [],
    fetch: async (_url, init) => {
      server.calls.push(`${init.method} ${init.headers['Range'] ?? ''}`.trim());
      const special = server.override?.(init, server.calls.length);
      if (special !== undefined) return special;
      return rangeAnswer(server, init);
    },
  };
  return server;
}

function rangeAnswer({ content, headers }: FakeServer, init: FetchInit): FetchResponse {
  const length = String(content.length);
  if (init.method === 'HEAD') return answer(200, { ...headers, 'Content-Length': length });
  const range = /^bytes=([0-9]+)-([0-9]+)$/.exec(init.headers['Range'] ?? '');
  const ifRange = init.headers['If-Range'];
  if (range === null || (ifRange !== undefined && ifRange !== headers['ETag']))
    return answer(200, { ...headers, 'Content-Length': length }, content);
  const start = Number(range[1]);
  const last = Math.min(Number(range[2]), content.length - 1);
  if (start > last) return answer(416, { ...headers, 'Content-Range': `bytes */${length}` });
  const bytes = content.slice(start, last + 1);
  return answer(206, { ...headers, 'Content-Range': `bytes ${start}-${last}/${length}` }, bytes);
}
