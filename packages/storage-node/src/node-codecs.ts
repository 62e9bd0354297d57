/**
 * Compression by node:zlib: raw deflate and zstd in libuv's threads, so that several clusters are worked on at a time. zstd needs Node 22.15; with an older
 * one it is what the caller gives (WebAssembly, say), or an error.
 *
 * Spec: RFC 1951; qcow2 spec, "Compressed Clusters Descriptor". QEMU writes with a window of 4 KiB.
 */
import type * as Zlib from 'node:zlib';
import { BlockError } from '@emkit/storage';

/** The shape of `Codecs` of `@emkit/qcow2`. */
export interface NodeCodecs {
  deflate(data: Uint8Array): Promise<Uint8Array>;
  /** The first `length` bytes of the stream; behind it there may be others. Rejects when there are fewer. */
  inflate(data: Uint8Array, length: number): Promise<Uint8Array>;
  zstdCompress(data: Uint8Array): Promise<Uint8Array> | Uint8Array;
  zstdDecompress(data: Uint8Array, length: number): Promise<Uint8Array> | Uint8Array;
  /** On this thread: cheaper for one cluster, for programs that block anyway. */
  deflateSync(data: Uint8Array): Uint8Array;
  inflateSync(data: Uint8Array, length: number): Uint8Array;
}

export type ZstdFallback = Pick<NodeCodecs, 'zstdCompress' | 'zstdDecompress'>;

/** Loaded when it is needed: it brings Node's streams with it, some 3 ms of a program's start. */
const zlib = (): typeof Zlib & ZstdOfNode => process.getBuiltinModule('node:zlib');

type Callback = (error: Error | null, result: Uint8Array) => void;
/** Node 22.15 and newer. */
interface ZstdOfNode {
  zstdCompress?(data: Uint8Array, options: object, callback: Callback): void;
  zstdDecompress?(data: Uint8Array, options: object, callback: Callback): void;
}

const DEFLATE = { windowBits: 12, memLevel: 9 } as const;

const called = (start: (callback: Callback) => void): Promise<Uint8Array> =>
  new Promise((resolve, reject) =>
    start((error, result) => (error === null || error === undefined ? resolve(plain(result)) : reject(broken(error)))),
  );
/** Node's Buffer is a Uint8Array whose `slice` is not one's. */
const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
const broken = (cause: unknown): BlockError =>
  new BlockError('corrupt-image', 'compressed data cannot be decompressed', { cause });

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length < length) throw broken(`${bytes.length} bytes where ${length} were expected`);
  return bytes;
}

/** A stream without its end is good as long as there are enough bytes before. */
const inflateOptions = (length: number) => ({
  maxOutputLength: length,
  finishFlush: zlib().constants.Z_SYNC_FLUSH,
  chunkSize: Math.max(64, Math.min(length, 65536)),
});
const isTooLong = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === 'ERR_BUFFER_TOO_LARGE';

/** Of a stream that goes on: its beginning, without working through the rest. */
function inflateHead(data: Uint8Array, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const out = new Uint8Array(length);
    let filled = 0;
    const stream = zlib().createInflateRaw({ finishFlush: zlib().constants.Z_SYNC_FLUSH });
    stream.on('data', (chunk: Uint8Array) => {
      out.set(chunk.subarray(0, length - filled), filled);
      filled += Math.min(chunk.length, length - filled);
      if (filled < length) return;
      stream.destroy();
      resolve(out);
    });
    stream.on('error', (error) => reject(broken(error)));
    stream.on('end', () => (filled === length ? resolve(out) : reject(broken('too short'))));
    stream.end(data);
  });
}

export function nodeCodecs(zstd?: ZstdFallback): NodeCodecs {
  const missing = (): never => {
    throw new BlockError('unsupported-feature', 'this Node has no zstd; 22.15 and newer have');
  };
  return {
    deflate: (data) => called((done) => zlib().deflateRaw(data, DEFLATE, done)),
    deflateSync: (data) => plain(zlib().deflateRawSync(data, DEFLATE)),
    async inflate(data, length) {
      const inflated = new Promise<Uint8Array>((resolve, reject) =>
        zlib().inflateRaw(data, inflateOptions(length), (error, result) =>
          error === null ? resolve(plain(result)) : reject(error),
        ),
      );
      return inflated.then(
        (bytes) => exactly(bytes, length),
        (error: unknown) => {
          if (isTooLong(error)) return inflateHead(data, length);
          throw broken(error);
        },
      );
    },
    inflateSync(data, length) {
      try {
        return exactly(plain(zlib().inflateRawSync(data, inflateOptions(length))), length);
      } catch (error) {
        throw error instanceof BlockError ? error : broken(error);
      }
    },
    zstdCompress(data) {
      const { zstdCompress } = zlib();
      if (zstdCompress === undefined) return (zstd?.zstdCompress ?? missing)(data);
      return called((done) => zstdCompress(data, {}, done));
    },
    zstdDecompress(data, length) {
      const { zstdDecompress } = zlib();
      if (zstdDecompress === undefined) return (zstd?.zstdDecompress ?? missing)(data, length);
      const options = { maxOutputLength: length };
      return called((done) => zstdDecompress(data, options, done)).then((bytes) => exactly(bytes, length));
    },
  };
}
