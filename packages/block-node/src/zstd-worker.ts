/** The other end of `zstd-pool.ts`: compresses what it is sent, one piece at a time. An entry of its own in the bundle of a program. */
import { parentPort } from 'node:worker_threads';
import { DEFAULT_CODECS } from '@emkit/qcow2';

export interface ZstdRequest {
  readonly id: number;
  readonly data: Uint8Array;
}
export type ZstdReply =
  { readonly id: number; readonly bytes: Uint8Array } | { readonly id: number; readonly error: string };

parentPort?.on('message', ({ id, data }: ZstdRequest) => {
  void Promise.resolve(DEFAULT_CODECS.zstdCompress(data)).then(
    (bytes) => {
      const own = bytes.slice();
      parentPort?.postMessage({ id, bytes: own } satisfies ZstdReply, [own.buffer]);
    },
    (error: unknown) => parentPort?.postMessage({ id, error: String(error) } satisfies ZstdReply),
  );
});
