/**
 * A tiny disk format for the tests of the engines: a header sector, one table of 32-bit cluster numbers, clusters of 1 KiB. It keeps the order
 * of its writes as a format must; `bug` plants what the engines have to catch.
 */
import { AsyncMutex, BlockError, checkAborted, checkAligned, checkRange, writable } from '@emkit/storage';
import type {
  BlockDriver,
  BlockImage,
  BlockStatus,
  CheckResult,
  OpenOptions,
  Storage,
  WritableStorage,
} from '@emkit/storage';

export type ToyBug =
  /** The table may reach the disk before the data. */
  | 'missing-flush'
  /** The table is written before the data. */
  | 'swapped-order'
  /** A freed cluster is used again before the table says that it is free. */
  | 'early-reuse'
  /** The table's length is believed. */
  | 'missing-bound'
  /** Two writes at once allocate the same cluster. */
  | 'missing-lock'
  /** A failed table write leaves the cluster in memory as if it were mapped. */
  | 'forgotten-error'
  /** Overlong status. */
  | 'status-lies';

const MAGIC = 0x746f7931;
const CLUSTER = 1024;
const TABLE = 512;
/** 64 MiB. */
export const MAX_TOY_CLUSTERS = 65536;

export function toyDriver(bug?: ToyBug): BlockDriver {
  return {
    name: 'toy',
    probe: (head) => (head.length >= 4 && new DataView(head.buffer, head.byteOffset).getUint32(0) === MAGIC ? 100 : 0),
    async create(storage, { size, options = {} }) {
      for (const name of Object.keys(options)) throw new BlockError('invalid-option', `unknown option ${name}`);
      checkAligned(size, 0, 1);
      if (size > MAX_TOY_CLUSTERS * CLUSTER) throw new BlockError('no-space', `${size} bytes are too many`);
      const file = writable(storage);
      await file.truncate(0);
      const header = new Uint8Array(TABLE);
      const view = new DataView(header.buffer);
      view.setUint32(0, MAGIC);
      view.setUint32(4, Math.ceil(size / CLUSTER));
      view.setFloat64(8, size);
      await file.write(0, header);
      await file.truncate(dataStart(Math.ceil(size / CLUSTER)));
      await file.flush();
    },
    open: (storage, options) => ToyImage.open(storage, options ?? {}, bug),
  };
}

function dataStart(clusters: number): number {
  return Math.ceil((TABLE + clusters * 4) / CLUSTER) * CLUSTER;
}

class ToyImage implements BlockImage {
  readonly driver = 'toy';
  readonly alignment = 512;
  readonly clusterSize = CLUSTER;
  readonly backing = undefined;
  readonly backingReference = undefined;
  readonly file: Storage;
  readonly size: number;
  readonly readOnly: boolean;
  readonly #disk: WritableStorage;
  readonly #table: Uint32Array;
  readonly #bug: ToyBug | undefined;
  readonly #mutex = new AsyncMutex();
  #free: number[] = [];
  #end: number;
  #isClosed = false;

  constructor(storage: Storage, size: number, table: Uint32Array, readOnly: boolean, bug: ToyBug | undefined) {
    this.file = storage;
    this.#disk = storage as WritableStorage;
    this.size = size;
    this.#table = table;
    this.readOnly = readOnly;
    this.#bug = bug;
    this.#end = Math.max(dataStart(table.length) / CLUSTER, Math.ceil(storage.size / CLUSTER));
  }

  static async open(storage: Storage, options: OpenOptions, bug: ToyBug | undefined): Promise<ToyImage> {
    for (const name of Object.keys(options.driverOptions ?? {}))
      throw new BlockError('invalid-option', `unknown option ${name}`);
    checkAborted(options.signal);
    const header = new Uint8Array(TABLE);
    await storage.read(0, header);
    const view = new DataView(header.buffer);
    if (view.getUint32(0) !== MAGIC) throw new BlockError('invalid-format', 'not a toy image', { offset: 0 });
    const clusters = view.getUint32(4);
    const size = view.getFloat64(8);
    const isRight =
      clusters <= MAX_TOY_CLUSTERS && Math.ceil(size / CLUSTER) === clusters && Number.isSafeInteger(size);
    if (!isRight && bug !== 'missing-bound')
      throw new BlockError('invalid-format', `${clusters} clusters for ${size} bytes`, { offset: 4 });
    const bytes = new Uint8Array(clusters * 4);
    await storage.read(TABLE, bytes);
    const entries = new DataView(bytes.buffer);
    const table = new Uint32Array(clusters);
    for (let i = 0; i < clusters; i++) table[i] = entries.getUint32(i * 4);
    return new ToyImage(storage, size, table, options.readOnly ?? storage.write === undefined, bug);
  }

  async read(offset: number, buffer: Uint8Array, options?: { signal?: OpenOptions['signal'] }): Promise<void> {
    this.#enter(offset, buffer.length, options?.signal);
    for (const { cluster, within, at, count } of pieces(offset, buffer.length)) {
      const part = buffer.subarray(at, at + count);
      const host = this.#table[cluster] as number;
      if (host === 0) part.fill(0);
      else await this.file.read(host * CLUSTER + within, part);
    }
  }

  async write(offset: number, data: Uint8Array, options?: { signal?: OpenOptions['signal'] }): Promise<void> {
    this.#enter(offset, data.length, options?.signal);
    this.#mustWrite();
    const work = async (): Promise<void> => {
      for (const { cluster, within, at, count } of pieces(offset, data.length))
        await this.#put(cluster, within, data.subarray(at, at + count));
    };
    await (this.#bug === 'missing-lock' ? work() : this.#mutex.run(work));
  }

  async flush(): Promise<void> {
    this.#enter(0, 0, undefined);
    await this.#disk.flush();
  }

  async truncate(size: number): Promise<void> {
    throw new BlockError('invalid-option', `a toy disk stays as it is, not ${size} bytes`);
  }

  async discard(offset: number, length: number): Promise<void> {
    this.#enter(offset, length, undefined);
    this.#mustWrite();
    await this.#mutex.run(async () => {
      const freed: number[] = [];
      for (const { cluster, within, count } of pieces(offset, length)) {
        const host = this.#table[cluster] as number;
        if (host === 0 || within !== 0 || count !== CLUSTER) continue;
        await this.#map(cluster, 0);
        freed.push(host);
      }
      if (freed.length > 0 && this.#bug !== 'early-reuse') await this.#disk.flush();
      this.#free.push(...freed);
    });
  }

  async status(offset: number, length: number): Promise<BlockStatus> {
    this.#enter(offset, length, undefined);
    const cluster = Math.floor(offset / CLUSTER);
    const host = this.#table[cluster] as number;
    const rest = (cluster + (this.#bug === 'status-lies' ? 2 : 1)) * CLUSTER - offset;
    const isThere = host !== 0;
    const at = host * CLUSTER + (offset % CLUSTER);
    return {
      length: Math.min(rest, length),
      zero: !isThere,
      data: isThere,
      allocated: isThere,
      ...(isThere ? { offset: at } : {}),
    };
  }

  async info(): Promise<{ format: string; virtualSize: number; clusterSize: number; dirty: boolean }> {
    return { format: 'toy', virtualSize: this.size, clusterSize: CLUSTER, dirty: false };
  }

  async check(): Promise<CheckResult> {
    const seen = new Set<number>();
    let corruptions = 0;
    for (const host of this.#table) {
      if (host === 0) continue;
      if (seen.has(host) || host * CLUSTER < dataStart(this.#table.length) || host >= this.#end) corruptions++;
      seen.add(host);
    }
    return { corruptions, corruptionsFixed: 0, leaks: 0, leaksFixed: 0, checkErrors: 0 };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (!this.readOnly) await this.#disk.flush();
    this.#isClosed = true;
  }

  async #put(cluster: number, within: number, data: Uint8Array): Promise<void> {
    const old = this.#table[cluster] as number;
    if (old !== 0) return this.#disk.write(old * CLUSTER + within, data);
    const host = this.#bug === 'missing-lock' ? this.#end : (this.#free.pop() ?? this.#end++);
    const whole = new Uint8Array(CLUSTER);
    whole.set(data, within);
    if (this.#bug === 'swapped-order') {
      await this.#map(cluster, host);
      return this.#disk.write(host * CLUSTER, whole);
    }
    await this.#disk.write(host * CLUSTER, whole);
    if (this.#bug === 'missing-lock') this.#end++;
    if (this.#bug !== 'missing-flush') await this.#disk.flush();
    await this.#map(cluster, host);
  }

  async #map(cluster: number, host: number): Promise<void> {
    const entry = new Uint8Array(4);
    new DataView(entry.buffer).setUint32(0, host);
    if (this.#bug === 'forgotten-error') this.#table[cluster] = host;
    await this.#disk.write(TABLE + cluster * 4, entry).catch((error: unknown) => {
      if (this.#bug !== 'forgotten-error') throw error;
    });
    this.#table[cluster] = host;
  }

  #enter(offset: number, length: number, signal: OpenOptions['signal']): void {
    if (this.#isClosed) throw new BlockError('closed', 'the image is closed');
    checkAborted(signal);
    checkRange(offset, length, this.size);
  }

  #mustWrite(): void {
    if (this.readOnly) throw new BlockError('read-only', 'the image is read-only');
  }
}

function* pieces(
  offset: number,
  length: number,
): Generator<{ cluster: number; within: number; at: number; count: number }> {
  for (let at = 0; at < length;) {
    const within = (offset + at) % CLUSTER;
    const count = Math.min(CLUSTER - within, length - at);
    yield { cluster: (offset + at - within) / CLUSTER, within, at, count };
    at += count;
  }
}
