/**
 * Hostile servers: random statuses, headers and bodies. `npm run fuzz -- storage-web`. A read gives the file's bytes or a BlockError, in bounded
 * time, whatever the server says; the server's lies are such that a reader could tell.
 */
import { isBlockError } from '@emkit/storage';
import { HttpRangeStorage } from '../src/index.ts';
import { answer, fakeServer, pattern } from '../test/fake-server.ts';

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const STATUSES = [0, 100, 200, 204, 206, 206, 206, 301, 400, 403, 404, 408, 416, 429, 500, 503, 999];
const NUMBERS = [
  '0',
  '1',
  '511',
  '512',
  '9999',
  '10000',
  '10001',
  '9007199254740991',
  '9007199254740992',
  '-1',
  'x',
  '*',
  '',
];
const SIZE = 10_000;

async function runOne(seed: number): Promise<void> {
  const r = random(seed);
  const pick = <T>(list: readonly T[]): T => list[r(list.length)] as T;
  const content = pattern(SIZE, r(256));
  const server = fakeServer(content, pick([{}, { ETag: '"1"' }, { ETag: 'W/"1"' }, { 'Last-Modified': 'yesterday' }]));
  const lies = r(100);
  server.override = (init) => {
    if (r(100) >= lies) return undefined;
    if (r(10) === 0) return Promise.reject(pick([new TypeError('fetch failed'), 'a string', null]) as Error);
    if (r(20) === 0) return new Promise(() => undefined);
    const headers: Record<string, string> = {};
    // a range other than the one asked for, or a size other than before: both can be told
    if (r(4) > 0) headers['Content-Range'] = `bytes ${pick(NUMBERS)}-${pick(NUMBERS)}/${pick(NUMBERS)}`;
    if (r(2) === 0) headers['Content-Length'] = pick(NUMBERS);
    if (r(3) === 0) headers['ETag'] = pick(['"1"', '"2"', 'W/"1"', '']);
    if (r(10) === 0) headers['Content-Encoding'] = pick(['gzip', 'identity']);
    const asked = /bytes=([0-9]+)-([0-9]+)/.exec(init.headers['Range'] ?? '');
    const right = asked === null ? content : content.slice(Number(asked[1]), Number(asked[2]) + 1);
    const status = pick(STATUSES);
    // a full body under 200 is the file; what is in a body that can be told to be wrong does not matter
    return Promise.resolve(
      answer(
        status,
        headers,
        status === 200 ? content : right.slice(0, r(2) === 0 ? right.length : r(right.length + 1)),
      ),
    );
  };
  const options = {
    fetch: server.fetch,
    blockSize: 512 << r(4),
    readAhead: r(2) * 4096,
    cacheBytes: r(20_000),
    retries: r(3),
    backoffMs: 0,
    timeoutMs: 5,
    maxWholeBody: pick([0, 9999, 20_000]),
    prefetch: [[r(20_000) - 5000, r(20_000)]] as const,
  };
  const storage = await HttpRangeStorage.open('http://server/', options);
  const readOne = async (): Promise<void> => {
    const offset = r(SIZE + 500);
    const buffer = new Uint8Array(r(4000)).fill(0xee);
    await storage.read(offset, buffer).then(
      () => {
        if (storage.size !== SIZE) return;
        const bad = buffer.findIndex((byte, i) => byte !== (content[offset + i] ?? 0));
        if (bad >= 0) throw new Error(`wrong byte at ${offset + bad}`);
      },
      (error: unknown) => {
        if (!isBlockError(error)) throw error;
      },
    );
  };
  for (let i = 0; i < 4; i++) await Promise.all([readOne(), readOne(), readOne()]);
  await storage.close();
}

export const target = {
  name: 'storage-web',
  async run(seed: number, iterations: number): Promise<{ inputs: number; findings: string[] }> {
    const findings: string[] = [];
    let inputs = 0;
    for (; inputs < iterations && findings.length < 3; inputs++) {
      const one = (Math.imul(seed, 0x9e3779b1) + inputs) >>> 0;
      try {
        await runOne(one);
      } catch (error) {
        if (!isBlockError(error)) findings.push(`seed ${one}: ${String((error as Error).stack ?? error)}`);
      }
    }
    return { inputs, findings };
  },
};
