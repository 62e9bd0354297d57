/**
 * Node's codecs for the formats that compress or encrypt: zlib in its thread pool, so that several clusters are packed at a time, and OpenSSL's AES. zstd is Node's where it
 * has it, else WebAssembly: on this thread, or in workers when the program names their file.
 */
import type * as Zlib from 'node:zlib';
import { DEFAULT_CODECS, type Codecs } from '@emkit/qcow2';
import { nodeAes, nodeCodecs } from '@emkit/storage-node';
import type { GrainCodec } from '@emkit/vmdk';

/** `zstdWorker`: the file that `zstd-worker.ts` was bundled to. */
export function nodeQcow2Codecs(zstdWorker?: URL): Codecs {
  const zstd = {
    zstdCompress: zstdWorker === undefined ? DEFAULT_CODECS.zstdCompress : inWorkers(zstdWorker),
    zstdDecompress: DEFAULT_CODECS.zstdDecompress,
  };
  return { ...nodeCodecs(zstd), aes: nodeAes };
}

/** Worker threads are loaded with the first piece. */
function inWorkers(url: URL): Codecs['zstdCompress'] {
  let pool: Promise<Codecs['zstdCompress']> | undefined;
  return async (data) => (await (pool ??= import('./zstd-pool.ts').then(({ zstdPool }) => zstdPool(url))))(data);
}

/** Loaded with the first piece: it brings Node's streams with it, some 3 ms that most runs can do without. */
const zlib = (): typeof Zlib => process.getBuiltinModule('node:zlib');

type Callback = (error: Error | null, result: Buffer) => void;

function called(start: (callback: Callback) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => start((error, result) => (error === null ? resolve(result) : reject(error))));
}

export const nodeGrainCodec: GrainCodec = {
  deflate: (data) => called((done) => zlib().deflate(data, done)),
  async inflate(data, output) {
    const { constants, inflate } = zlib();
    const options = { maxOutputLength: output.length, finishFlush: constants.Z_SYNC_FLUSH };
    const bytes = await called((done) => inflate(data, options, done));
    output.set(bytes);
    return bytes.length;
  },
};
