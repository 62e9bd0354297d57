/**
 * zstd in worker threads, for Nodes whose zlib has none: WebAssembly on several cores. Workers start with the first piece and do not keep the
 * program alive; one that dies rejects what it was given.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { BlockError } from '@emkit/storage';
import type { ZstdReply, ZstdRequest } from './zstd-worker.ts';

/** Most workers, however many cores there are: one disk image does not feed more. */
const MAX_WORKERS = 8;

interface Pending {
  resolve(bytes: Uint8Array): void;
  reject(error: unknown): void;
}

interface Lane {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
}

/** `url`: the file that `zstd-worker.ts` was bundled to. */
export function zstdPool(url: URL): (data: Uint8Array) => Promise<Uint8Array> {
  let lanes: Lane[] | undefined;
  let nextId = 0;
  return (data) => {
    lanes ??= Array.from({ length: Math.min(MAX_WORKERS, availableParallelism()) }, () => startLane(url));
    const lane = lanes.reduce((best, other) => (other.pending.size < best.pending.size ? other : best));
    const id = nextId++;
    const own = data.slice(); // the caller keeps its buffer
    return new Promise((resolve, reject) => {
      lane.pending.set(id, { resolve, reject });
      lane.worker.ref();
      lane.worker.postMessage({ id, data: own } satisfies ZstdRequest, [own.buffer]);
    });
  };
}

function startLane(url: URL): Lane {
  const worker = new Worker(url);
  const pending = new Map<number, Pending>();
  const fail = (error: unknown): void => {
    for (const { reject } of pending.values())
      reject(new BlockError('io', `a compression worker failed: ${String(error)}`, { cause: error }));
    pending.clear();
  };
  worker.unref();
  worker.on('message', (reply: ZstdReply) => {
    const waiting = pending.get(reply.id);
    pending.delete(reply.id);
    if (pending.size === 0) worker.unref();
    if ('bytes' in reply) waiting?.resolve(reply.bytes);
    else waiting?.reject(new BlockError('io', `zstd: ${reply.error}`));
  });
  worker.on('error', fail);
  worker.on('exit', (code) => fail(`exit code ${code}`));
  return { worker, pending };
}
