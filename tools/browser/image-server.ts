/**
 * A web server of disk images for tests that may run in a page, which cannot start one: a file that a test puts there, or a recorded image. It answers
 * ranges, lets pages of other origins in as the README of @emkit/storage-web says, and counts what each path takes. Vitest's global setup; tests find
 * it by `inject('imageServer')`.
 *
 * `PUT /NAME` keeps a file, `GET /recorded/NAME` is an image of the recorded ones or their manifest, `GET PATH?traffic` tells the counts.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { TestProject } from 'vitest/node';

/** What was sent of one path. */
interface Traffic {
  readonly requests: number;
  /** Of bodies. */
  readonly bytes: number;
  /** Requests for leave, which a browser makes before others that are not simple. */
  readonly preflights: number;
}

declare module 'vitest' {
  export interface ProvidedContext {
    imageServer: { readonly url: string; readonly hasRecorded: boolean };
  }
}

const RECORDED = resolve(import.meta.dirname, '../../../shared/conformance/disk-images');
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, PUT',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Expose-Headers': 'Content-Range, ETag',
};

interface Served {
  readonly content: Uint8Array;
  readonly etag: string;
}

class ImageServer {
  readonly #files = new Map<string, Served>();
  readonly #traffic = new Map<string, Traffic>();
  #versions = 0;

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(CORS)) response.setHeader(name, value);
    const [path, query] = (request.url ?? '').split('?') as [string, string?];
    if (request.method === 'PUT') {
      this.#keep(path, Buffer.concat(await request.toArray()));
      response.writeHead(201).end();
    } else if (query === 'traffic') {
      response.end(JSON.stringify(this.#trafficOf(path)));
    } else if (request.method === 'OPTIONS') {
      this.#count(path, { requests: 0, bytes: 0, preflights: 1 });
      response.writeHead(204).end();
    } else {
      this.#send(path, request, response);
    }
  }

  #trafficOf(path: string): Traffic {
    return this.#traffic.get(path) ?? { requests: 0, bytes: 0, preflights: 0 };
  }

  #count(path: string, more: Traffic): void {
    const { requests, bytes, preflights } = this.#trafficOf(path);
    this.#traffic.set(path, {
      requests: requests + more.requests,
      bytes: bytes + more.bytes,
      preflights: preflights + more.preflights,
    });
  }

  #send(path: string, { method, headers }: IncomingMessage, response: ServerResponse): void {
    const file = this.#file(path);
    const size = file?.content.length ?? 0;
    const range = /^bytes=([0-9]+)-([0-9]+)$/.exec(headers.range ?? '');
    const start = range === null ? 0 : Number(range[1]);
    const end = range === null ? size : Math.min(Number(range[2]) + 1, size);
    const body = method === 'HEAD' ? undefined : file?.content.subarray(start, end);
    this.#count(path, { requests: 1, bytes: body?.length ?? 0, preflights: 0 });
    if (file === undefined) return void response.writeHead(404).end();
    if (start >= end) return void response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
    response.setHeader('ETag', file.etag);
    response.setHeader('Content-Length', end - start);
    if (range !== null) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${size}`);
    response.writeHead(range === null ? 200 : 206).end(body);
  }

  #file(path: string): Served | undefined {
    const name = /^\/recorded\/([A-Za-z0-9-]+\.[a-z0-9]+)$/.exec(path)?.[1];
    if (name === undefined || this.#files.has(path)) return this.#files.get(path);
    if (name === 'manifest.json') return this.#keep(path, readFileSync(`${RECORDED}/${name}`));
    const packed = `${RECORDED}/images/${name}.gz`;
    return existsSync(packed) ? this.#keep(path, gunzipSync(readFileSync(packed))) : undefined;
  }

  #keep(path: string, content: Uint8Array): Served {
    const served = { content, etag: `"${++this.#versions}"` };
    this.#files.set(path, served);
    return served;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const images = new ImageServer();
  const server = createServer((request, response) => {
    images.answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  project.provide('imageServer', { url, hasRecorded: existsSync(`${RECORDED}/manifest.json`) });
  return () =>
    new Promise((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    });
}
