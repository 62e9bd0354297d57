/**
 * Compression by node:zlib in its thread pool, so that several clusters are packed at a time, and AES by OpenSSL. zstd is Node's where it has it
 * (22.15 and newer), else WebAssembly: on this thread, or in workers when the program names their file.
 */
import * as zlib from 'node:zlib';
import type { AesProvider } from '@emkit/luks';
import { DEFAULT_CODECS, type Codecs } from '@emkit/qcow2';
import { nodeAes } from '@emkit/storage-node';
import type { GrainCodec } from '@emkit/vmdk';
import { zstdPool } from './zstd-pool.ts';

/** QEMU's window for qcow2: a cluster is small, and readers may rely on it. */
const QCOW2_WINDOW_BITS = 12;
const MEMORY_LEVEL = 9;

type Callback = (error: Error | null, result: Buffer) => void;

function called(start: (callback: Callback) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => start((error, result) => (error === null ? resolve(result) : reject(error))));
}

/** Of Node 22.15 and newer; the types in use are Node 20's. */
interface ZstdOfNode {
  zstdCompress?(data: Uint8Array, options: object, callback: Callback): void;
  zstdDecompress?(data: Uint8Array, options: object, callback: Callback): void;
}
const { zstdCompress, zstdDecompress } = zlib as ZstdOfNode;

/** `zstdWorker`: the file that `zstd-worker.ts` was bundled to. */
export function nodeQcow2Codecs(zstdWorker?: URL): Codecs {
  return {
    deflate: (data) =>
      called((done) => zlib.deflateRaw(data, { windowBits: QCOW2_WINDOW_BITS, memLevel: MEMORY_LEVEL }, done)),
    inflate: (data, length) =>
      called((done) =>
        zlib.inflateRaw(data, { maxOutputLength: length, finishFlush: zlib.constants.Z_SYNC_FLUSH }, done),
      ),
    zstdCompress:
      zstdCompress !== undefined
        ? (data) => called((done) => zstdCompress(data, {}, done))
        : zstdWorker === undefined
          ? DEFAULT_CODECS.zstdCompress
          : zstdPool(zstdWorker),
    zstdDecompress:
      zstdDecompress === undefined
        ? DEFAULT_CODECS.zstdDecompress
        : (data, length) => called((done) => zstdDecompress(data, { maxOutputLength: length }, done)),
  };
}

export const nodeGrainCodec: GrainCodec = {
  deflate: (data) => called((done) => zlib.deflate(data, done)),
  async inflate(data, output) {
    const options = { maxOutputLength: output.length, finishFlush: zlib.constants.Z_SYNC_FLUSH };
    const bytes = await called((done) => zlib.inflate(data, options, done));
    output.set(bytes);
    return bytes.length;
  },
};

export const nodeAesProvider: AesProvider = nodeAes;
