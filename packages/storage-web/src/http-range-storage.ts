/**
 * A file on a web server as a storage, read only: blocks are fetched by range requests when they are needed, kept in a bounded cache, and
 * fetched ahead of sequential reads. The HTTP side is `RemoteFile`; this is what is fetched when.
 */
import { BlockError, checkAborted, checkAligned } from '@emkit/storage';
import type { IoOptions, Storage } from '@emkit/storage';
import { AccessLog } from './access-log.ts';
import type { ByteRange } from './access-log.ts';
import { BlockCache } from './block-cache.ts';
import { BlockTransfers } from './block-transfers.ts';
import { host } from './host.ts';
import type { Fetch } from './host.ts';
import {
  BACKOFF_MS,
  BLOCK_SIZE,
  CACHE_BYTES,
  CONCURRENCY,
  MAX_BLOCK_SIZE,
  MAX_WHOLE_BODY,
  MIN_BLOCK_SIZE,
  READ_AHEAD,
  READ_WINDOW,
  RETRIES,
  TIMEOUT_MS,
} from './limits.ts';
import { RemoteFile } from './remote-file.ts';
import type { Opened } from './remote-file.ts';

export interface HttpRangeOptions extends IoOptions {
  /** @default the platform's */
  readonly fetch?: Fetch | undefined;
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Bytes, a power of two from 512 to 4 MiB. @default 64 KiB */
  readonly blockSize?: number | undefined;
  /** Bytes of blocks to keep. @default 32 MiB */
  readonly cacheBytes?: number | undefined;
  /** Bytes to fetch ahead of sequential reads at most; 0: none. @default 1 MiB */
  readonly readAhead?: number | undefined;
  /** What to fetch at once after opening, without waiting for it: an earlier `accessed()`. No more than the cache holds. */
  readonly prefetch?: readonly ByteRange[] | undefined;
  /** Bytes that a server without ranges may send: they are kept in memory. @default 16 MiB */
  readonly maxWholeBody?: number | undefined;
  /** Requests at a time. @default 6 */
  readonly concurrency?: number | undefined;
  /** Attempts after one that failed for a reason that may pass. @default 3 */
  readonly retries?: number | undefined;
  /** Milliseconds before the first of them; each waits twice as long. @default 250 */
  readonly backoffMs?: number | undefined;
  /** Milliseconds without a byte. @default 30000 */
  readonly timeoutMs?: number | undefined;
}

export class HttpRangeStorage implements Storage {
  readonly size: number;
  readonly name: string;
  readonly #remote: RemoteFile;
  /** All of the file, when the server or the file made one answer of it. */
  readonly #whole: Uint8Array | undefined;
  readonly #blockSize: number;
  readonly #readAhead: number;
  readonly #cache: BlockCache;
  readonly #transfers: BlockTransfers;
  readonly #log = new AccessLog();
  #requests = 1;
  #isClosed = false;
  /** Where the last read ended, how far to look ahead of the next one there, and how far that was done. */
  #lastEnd = -1;
  #window = 0;
  #aheadEnd = 0;

  private constructor(remote: RemoteFile, opened: Opened, options: Required<Settings>) {
    const { blockSize, cacheBytes, readAhead, concurrency } = options;
    this.size = opened.size;
    this.name = remote.url;
    this.#remote = remote;
    this.#whole = opened.isWhole ? opened.head : undefined;
    this.#blockSize = blockSize;
    this.#readAhead = readAhead;
    this.#cache = new BlockCache(cacheBytes);
    this.#transfers = new BlockTransfers({
      blockSize,
      concurrency,
      fetch: (first, count, signal) => {
        this.#requests++;
        const offset = first * blockSize;
        return remote.fetch(offset, Math.min(count * blockSize, opened.size - offset), signal);
      },
      arrived: (index, block) => this.#cache.put(index, block),
    });
    if (!opened.isWhole) this.#cache.put(0, opened.head);
  }

  /** One request. Rejects with `not-found`, or `io` when the server cannot serve the file in ranges and it is too large to be kept. */
  static async open(url: string, options: HttpRangeOptions = {}): Promise<HttpRangeStorage> {
    checkAborted(options.signal);
    const settings = checkSettings(options);
    const fetch = options.fetch ?? (host.fetch && ((to, init) => host.fetch!(to, init)));
    if (fetch === undefined) throw new BlockError('invalid-option', 'there is no fetch here: give one');
    const remote = new RemoteFile(url, { ...settings, fetch, headers: options.headers ?? {} });
    const controller = new host.AbortController();
    const onAbort = (): void => controller.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', onAbort);
    try {
      const opened = await remote.open(settings.blockSize, controller.signal);
      const storage = new HttpRangeStorage(remote, opened, settings);
      storage.#prefetch(options.prefetch ?? [], settings.cacheBytes);
      return storage;
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Requests so far, the first one included; retries count once. */
  get requests(): number {
    return this.#requests;
  }

  /** What was read so far, in order, in whole blocks: a `prefetch` list for the next time. */
  accessed(): ByteRange[] {
    return this.#log.ranges(this.#blockSize, this.size);
  }

  async read(offset: number, buffer: Uint8Array, options: IoOptions = {}): Promise<void> {
    checkAligned(offset, buffer.length, 1);
    if (this.#isClosed) throw new BlockError('closed', 'the storage is closed');
    checkAborted(options.signal);
    if (this.#remote.changed !== undefined) throw this.#remote.changed;
    const inside = Math.max(0, Math.min(buffer.length, this.size - offset));
    buffer.fill(0, inside);
    for (let done = 0; done < inside; done += READ_WINDOW)
      await this.#readWindow(offset + done, buffer.subarray(done, Math.min(inside, done + READ_WINDOW)), options);
  }

  async #readWindow(offset: number, part: Uint8Array, { signal }: IoOptions): Promise<void> {
    const end = offset + part.length;
    const first = Math.floor(offset / this.#blockSize);
    const last = Math.floor((end - 1) / this.#blockSize);
    this.#log.note(first, last);
    if (this.#whole !== undefined) {
      part.set(this.#whole.subarray(offset, end));
      return;
    }
    const missing: Promise<void>[] = [];
    for (let index = first; index <= last; index++) {
      const block = this.#cache.get(index);
      if (block !== undefined) this.#copy(index, block, offset, part);
      else missing.push(this.#transfers.get(index, signal).then((arrived) => this.#copy(index, arrived, offset, part)));
    }
    this.#lookAhead(offset, end);
    if (missing.length === 0) return;
    try {
      await Promise.all(missing);
    } finally {
      // the buffer is the caller's again only when nothing is copied into it any more
      await Promise.allSettled(missing);
    }
  }

  #copy(index: number, block: Uint8Array, offset: number, part: Uint8Array): void {
    const start = index * this.#blockSize;
    const from = Math.max(start, offset);
    const to = Math.min(start + block.length, offset + part.length);
    part.set(block.subarray(from - start, to - start), from - offset);
  }

  /** The window doubles with each read that begins where the last one ended; half of it is always there before it is needed. */
  #lookAhead(offset: number, end: number): void {
    const isSequential = offset === this.#lastEnd;
    this.#lastEnd = end;
    if (!isSequential) {
      this.#window = 0;
      this.#aheadEnd = end;
      return;
    }
    this.#window = Math.min(Math.max(this.#window * 2, this.#blockSize), this.#readAhead);
    if (this.#window === 0 || this.#aheadEnd >= Math.min(this.size, end + this.#window / 2)) return;
    const target = Math.min(this.size, end + this.#window);
    const from = Math.floor(Math.max(this.#aheadEnd, end) / this.#blockSize);
    this.#fetchAhead(from, Math.ceil(target / this.#blockSize));
    this.#aheadEnd = target;
  }

  /** Blocks from `first` up to but without `end`. */
  #fetchAhead(first: number, end: number): void {
    for (let index = first; index < end; index++) if (!this.#cache.has(index)) this.#transfers.ahead(index);
  }

  /** The list may come from anywhere: what is no range of the file is left out. */
  #prefetch(ranges: readonly ByteRange[], cacheBytes: number): void {
    if (this.#whole !== undefined) return;
    let budget = Math.floor(cacheBytes / this.#blockSize);
    for (const [offset, length] of ranges) {
      if (!(offset >= 0 && length > 0 && offset < this.size)) continue;
      const first = Math.floor(offset / this.#blockSize);
      const end = Math.min(Math.ceil(Math.min(offset + length, this.size) / this.#blockSize), first + budget);
      this.#fetchAhead(first, end);
      budget -= Math.max(0, end - first);
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#transfers.close();
    this.#cache.clear();
    return Promise.resolve();
  }
}

interface Settings {
  readonly blockSize: number;
  readonly cacheBytes: number;
  readonly readAhead: number;
  readonly maxWholeBody: number;
  readonly concurrency: number;
  readonly retries: number;
  readonly backoffMs: number;
  readonly timeoutMs: number;
}

const DEFAULTS: Settings = {
  blockSize: BLOCK_SIZE,
  cacheBytes: CACHE_BYTES,
  readAhead: READ_AHEAD,
  maxWholeBody: MAX_WHOLE_BODY,
  concurrency: CONCURRENCY,
  retries: RETRIES,
  backoffMs: BACKOFF_MS,
  timeoutMs: TIMEOUT_MS,
};

/** The most that a number of milliseconds, requests or retries may be: beyond it a timer would wrap. */
const MAX_SMALL = 2 ** 31 - 1;
const LEAST: Partial<Record<keyof Settings, number>> = { blockSize: MIN_BLOCK_SIZE, concurrency: 1, timeoutMs: 1 };
const MOST: Partial<Record<keyof Settings, number>> = {
  blockSize: MAX_BLOCK_SIZE,
  cacheBytes: Number.MAX_SAFE_INTEGER,
};

function checkSettings(options: HttpRangeOptions): Settings {
  const settings: Record<keyof Settings, number> = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof Settings)[]) {
    const value = options[name] ?? DEFAULTS[name];
    if (!Number.isSafeInteger(value) || value < (LEAST[name] ?? 0) || value > (MOST[name] ?? MAX_SMALL))
      throw new BlockError('invalid-option', `${name} cannot be ${value}`, { field: name });
    settings[name] = value;
  }
  if ((settings.blockSize & (settings.blockSize - 1)) !== 0)
    throw new BlockError('invalid-option', `blockSize ${settings.blockSize} is no power of two`, {
      field: 'blockSize',
    });
  // what was fetched ahead must still be there when it is read
  return { ...settings, readAhead: Math.min(settings.readAhead, Math.floor(settings.cacheBytes / 2)) };
}
