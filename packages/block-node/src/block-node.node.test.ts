import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImage } from '@emkit/block';
import { MemoryStorage } from '@emkit/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  allFormats,
  diskUsage,
  isSameFile,
  nodeEnvironment,
  optionRecord,
  parseKeyValues,
  parseSecrets,
} from './index.ts';
import { nbdProtocol } from './nbd-protocol.ts';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'block-node-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('key=value lists', () => {
  it('have doubled commas for one, keys alone for on, and perhaps a first value without a key', () => {
    expect(parseKeyValues('a=1,b,c=x,,y,d=')).toEqual([
      ['a', '1'],
      ['b', 'on'],
      ['c', 'x,y'],
      ['d', ''],
    ]);
    expect(parseKeyValues('secret,id=a', 'qom-type')).toEqual([
      ['qom-type', 'secret'],
      ['id', 'a'],
    ]);
    expect(() => parseKeyValues('=1')).toThrowError("Invalid parameter '=1'");
  });

  it('of several options make one record, in which the last counts', () => {
    expect(optionRecord(['a=1,b=2', 'a=3'])).toEqual({ values: { a: '3', b: '2' }, help: false });
    expect(optionRecord(['help'])).toEqual({ values: {}, help: true });
    expect(Object.keys(optionRecord(['__proto__=1']).values)).toEqual(['__proto__']);
  });
});

describe('secrets', () => {
  it('come from files, raw or base64', () => {
    writeFileSync(join(folder, 'raw'), 'open sesame');
    writeFileSync(join(folder, 'b64'), 'b3BlbiBzZXNhbWU=\n');
    const lookup = parseSecrets([
      `secret,id=a,file=${join(folder, 'raw')}`,
      `secret,id=b,format=base64,file=${join(folder, 'b64')}`,
      'secret,id=c,data=x',
    ]);
    const text = (id: string): string => new TextDecoder().decode(lookup(id));
    expect([text('a'), text('b'), text('c')]).toEqual(['open sesame', 'open sesame', 'x']);
    expect(() => lookup('d')).toThrowError("No secret with id 'd'");
  });

  it.each([
    ['tls-creds-x509,id=a', 'invalid object type: tls-creds-x509'],
    ['secret,file=x', "Parameter 'id' is missing"],
    ['secret,id=a', "Either 'data' or 'file' must be provided, not both"],
    ['secret,id=a,data=x,file=y', "Either 'data' or 'file' must be provided, not both"],
    ['secret,id=a,data=x,keyid=k', "Property 'secret.keyid' not found"],
    ['secret,id=a,data=!!,format=base64', "secret 'a': base64 data is not valid"],
    ['secret,id=a,file=/nonexistent', 'Unable to read /nonexistent'],
  ])('%s is refused', (text, message) => {
    expect(() => parseSecrets([text])).toThrowError(message);
  });

  it('of 64 KiB are taken, larger ones are a mistake', () => {
    const name = join(folder, 'big');
    writeFileSync(name, new Uint8Array(64 * 1024));
    expect(parseSecrets([`secret,id=a,file=${name}`])('a').length).toBe(64 * 1024);
    truncateSync(name, 64 * 1024 + 1);
    expect(() => parseSecrets([`secret,id=a,file=${name}`])).toThrowError('at most 65536 bytes');
  });
});

describe('NBD names', () => {
  it.each([
    ['nbd://host:1234/disk', { host: 'host', port: '1234', export: 'disk' }],
    ['nbd://host', { host: 'host', port: '10809', export: '' }],
    ['nbd+unix:///disk?socket=/tmp/s', { path: '/tmp/s', export: 'disk' }],
    ['nbd:localhost:10809', { host: 'localhost', port: '10809', export: '' }],
    ['nbd:[::1]:99:exportname=a:b', { host: '::1', port: '99', export: 'a:b' }],
    ['nbd:unix:/tmp/s:exportname=x', { path: '/tmp/s', export: 'x' }],
  ])('%s', (name, options) => {
    expect(nbdProtocol().parseName?.(name)).toEqual(options);
  });

  it.each(['nbd:', 'nbd:host', 'nbd:host:99999', 'nbd://host:0/x', 'nbds://host/x'])('%s is refused', (name) => {
    expect(() => nbdProtocol().parseName?.(name)).toThrowError(expect.objectContaining({ kind: 'invalid-option' }));
  });

  it('a server that is not there is an error that names it', async () => {
    await expect(openImage('nbd://127.0.0.1:1/x', nodeEnvironment(), { readOnly: true })).rejects.toMatchObject({
      name: 'BlockError',
      message: expect.stringContaining('127.0.0.1:1') as string,
    });
  });
});

/** A web server of one file that counts what is asked of it. */
async function serve(
  image: Uint8Array,
): Promise<{ url: string; requests: () => number; bytes: () => number; close: () => void }> {
  let requests = 0;
  let bytes = 0;
  const server = createServer((request, response) => {
    requests++;
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    const end = image.length - 1;
    const [from, to] = range === null ? [0, end] : [Number(range[1]), Math.min(Number(range[2]), end)];
    response.writeHead(range === null ? 200 : 206, {
      'content-length': to - from + 1,
      'accept-ranges': 'bytes',
      etag: '"1"',
      ...(range === null ? {} : { 'content-range': `bytes ${from}-${to}/${image.length}` }),
    });
    if (request.method === 'HEAD') return response.end();
    bytes += to - from + 1;
    return response.end(image.subarray(from, to + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`,
    requests: () => requests,
    bytes: () => bytes,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('URLs', () => {
  it('are images by range requests, read-only', async () => {
    const image = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
    const server = await serve(image);
    try {
      const node = await openImage(server.url, nodeEnvironment(), { format: 'raw', readOnly: true });
      const buffer = new Uint8Array(1000);
      await node.read(150_000, buffer);
      expect(buffer.every((byte, i) => byte === (150_000 + i) % 251)).toBe(true);
      expect(node.size).toBe(300_032); // whole sectors
      await node.close();
      await expect(openImage(server.url, nodeEnvironment(), { format: 'raw' })).rejects.toMatchObject({
        kind: 'read-only',
      });
    } finally {
      server.close();
    }
  });

  it('of qcow2 images are opened and read with few requests', async () => {
    const { qcow2 } = await import('@emkit/qcow2');
    const file = new MemoryStorage();
    await qcow2.create!(file, { size: 2 ** 40 });
    const made = await qcow2.open(file);
    const data = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * i) >>> 7);
    await made.write!(2 ** 39, data);
    await made.write!(0, new Uint8Array(8 << 20).fill(1));
    await made.close();
    const server = await serve(file.bytes());
    try {
      const node = await openImage(server.url, nodeEnvironment(), { readOnly: true });
      expect([node.driver, node.size]).toEqual(['qcow2', 2 ** 40]);
      const buffer = new Uint8Array(4096);
      await node.read(2 ** 39 + 65536, buffer);
      expect(Buffer.compare(buffer, data.subarray(65536, 69632))).toBe(0);
      expect(server.requests()).toBeLessThanOrEqual(6); // header, L1, L2, data
      expect(server.bytes()).toBeLessThan(1 << 20);
      await node.close();
    } finally {
      server.close();
    }
  });
});

describe('files', () => {
  it('are probed, and what is taken for raw by guess cannot become another format', async () => {
    const name = join(folder, 'plain');
    writeFileSync(name, new Uint8Array(4096));
    const warnings: string[] = [];
    const node = await openImage(name, nodeEnvironment({ warn: (line) => warnings.push(line) }));
    expect([node.driver, node.guessedRaw]).toEqual(['raw', true]);
    const header = new Uint8Array(512);
    header.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);
    await expect(node.write!(0, header)).rejects.toMatchObject({ name: 'BlockError' });
    await node.write!(512, header);
    await node.close();
  });

  it('that are not there say so in QEMU words', async () => {
    await expect(openImage(join(folder, 'none'), nodeEnvironment())).rejects.toMatchObject({
      kind: 'not-found',
      message: `Could not open '${join(folder, 'none')}': No such file or directory`,
    });
  });

  it('have a usage, and links lead to one file', () => {
    const name = join(folder, 'used');
    writeFileSync(name, new Uint8Array(100_000).fill(1));
    symlinkSync(name, `${name}.link`);
    expect(diskUsage(name)).toBeGreaterThanOrEqual(98_304);
    expect(diskUsage(join(folder, 'none'))).toBe(undefined);
    expect([isSameFile(name, `${name}.link`), isSameFile(name, join(folder, 'none'))]).toEqual([true, false]);
  });
});

it('every format has a name and can be asked', () => {
  const { drivers } = allFormats();
  expect(drivers.map(({ name }) => name).sort()).toEqual(['luks', 'qcow2', 'qed', 'raw', 'vmdk']);
  for (const driver of drivers) expect(driver.probe(new Uint8Array(0))).toBeLessThanOrEqual(1);
});
