/**
 * The compression that the image needs, behind an interface: a tool plugs in its platform's (Node's zlib in its thread pool), several
 * compressions are in flight then. Defaults here run everywhere: fflate, zstddec for reading, zstd-wasm (loaded at the first use) for writing.
 *
 * zlib clusters are raw deflate streams; QEMU writes them with a window of 4 KiB (`windowBits` 12) and reads any, since it inflates a
 * cluster in one piece. zstd clusters are one frame or more; behind the data, up to the end of the sector, there may be anything.
 */
import type { AesProvider } from '@emkit/luks';
import { BlockError } from '@emkit/storage';
import { zstdLength } from './zstd-frame.ts';

export interface Codecs {
  /** A raw deflate stream of `data`. */
  deflate(data: Uint8Array): Promise<Uint8Array> | Uint8Array;
  /** Exactly `length` bytes from a raw deflate stream, behind which there may be other bytes; rejects otherwise. */
  inflate(data: Uint8Array, length: number): Promise<Uint8Array> | Uint8Array;
  /** A zstd frame of `data`. */
  zstdCompress(data: Uint8Array): Promise<Uint8Array> | Uint8Array;
  /** Exactly `length` bytes from zstd frames and nothing else; rejects otherwise. */
  zstdDecompress(data: Uint8Array, length: number): Promise<Uint8Array> | Uint8Array;
  /** AES of encrypted images; default: that of @emkit/luks. */
  readonly aes?: AesProvider | undefined;
}

export const DEFAULT_CODECS: Codecs = {
  deflate: async (data) => (await jsDeflate()).deflate(data),
  inflate: async (data, length) => (await jsDeflate()).inflate(data, length),
  zstdCompress: async (data) => (await zstdWriter()).compress(data, 3),
  zstdDecompress: async (data, length) => (await zstdReader()).decode(data, length),
};

/** Each is loaded once, when it is needed first. */
const jsDeflate = once(() => import('./js-deflate.ts'));
const zstdWriter = once(async () => {
  const zstd = await import('@bokuweb/zstd-wasm');
  await zstd.init();
  return zstd;
});
const zstdReader = once(async () => {
  const { ZSTDDecoder } = await import('zstddec');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return decoder;
});

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => (loaded ??= load());
}

/** One cluster from its compressed bytes; whatever a decoder throws becomes `corrupt-image`. */
export async function decompressCluster(
  codecs: Codecs,
  isZstd: boolean,
  data: Uint8Array,
  length: number,
  offset: number,
): Promise<Uint8Array> {
  let cause: unknown;
  try {
    const bytes = isZstd
      ? await codecs.zstdDecompress(data.subarray(0, zstdLength(data, length)), length)
      : await codecs.inflate(data, length);
    if (bytes.length === length) return bytes;
  } catch (error) {
    cause = error;
  }
  throw new BlockError('corrupt-image', 'a compressed cluster cannot be decompressed', { offset, cause });
}
