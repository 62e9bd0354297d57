/** A disk format for tests, as simple as one with backing files can be: a header, a byte of state for each cluster, clusters at fixed places. */
import {
  AsyncMutex,
  BlockError,
  checkAborted,
  checkRange,
  MemoryStorage,
  writable,
  type BlockDriver,
  type BlockImage,
  type BlockStatus,
  type CreateOptions,
  type ImageInfo,
  type IoOptions,
  type OpenOptions,
  type Reference,
  type Storage,
  type WritableStorage,
} from '@emkit/storage';
import type { BlockEnvironment } from './environment.ts';
import { createRegistry } from './registry.ts';

export const CLUSTER = 4096;
const MAGIC = 'LAYR';
const TABLE = 4096;
const DATA = 65536;
const State = { NONE: 0, DATA: 1, ZERO: 2 } as const;

const decode = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const encode = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

interface Header {
  size: number;
  backing?: string | undefined;
  format?: string | undefined;
}

export const layer: BlockDriver = {
  name: 'layer',
  probe: (head) => (decode(head.subarray(0, 4)) === MAGIC ? 100 : 0),
  async create(storage, options: CreateOptions) {
    const file = writable(storage);
    await file.truncate(0);
    await file.truncate(DATA);
    const { backing_file: backing, backing_fmt: format } = options.options ?? {};
    await writeHeader(file, { size: options.size, backing, format });
  },
  async open(storage, options: OpenOptions = {}) {
    const head = new Uint8Array(TABLE);
    await storage.read(0, head);
    if (layer.probe(head) === 0) throw new BlockError('invalid-format', 'not a layer image', { offset: 0 });
    const text = decode(head.subarray(4));
    const header = JSON.parse(text.slice(0, text.indexOf('\0'))) as Header;
    for (const key of Object.keys(options.driverOptions ?? {}))
      throw new BlockError('invalid-option', `Block format 'layer' does not support the option '${key}'`);
    const readOnly = options.readOnly ?? storage.write === undefined;
    const reference: Reference | undefined =
      header.backing === undefined ? undefined : { kind: 'backing', name: header.backing, format: header.format };
    let backing = options.backing === 'none' ? undefined : options.backing;
    if (options.backing === undefined && reference !== undefined) {
      if (options.resolver === undefined) throw new BlockError('refused', 'there is no resolver');
      backing = await options.resolver.open(reference);
    }
    const states = new Uint8Array(Math.ceil(header.size / CLUSTER));
    await storage.read(TABLE, states);
    return new LayerImage(storage, header, states, readOnly, backing);
  },
};

async function writeHeader(file: WritableStorage, header: Header): Promise<void> {
  const head = new Uint8Array(TABLE);
  head.set(encode(`${MAGIC}${JSON.stringify(header)}\0`));
  await file.write(0, head);
}

class LayerImage implements BlockImage {
  readonly driver = 'layer';
  readonly alignment = 1;
  readonly clusterSize = CLUSTER;
  readonly size: number;
  readonly readOnly: boolean;
  readonly file: Storage;
  backing: Storage | undefined;
  declare write?: (offset: number, buffer: Uint8Array, options?: IoOptions) => Promise<void>;
  declare flush?: () => Promise<void>;
  declare truncate?: (size: number) => Promise<void>;
  declare writeZeroes?: (offset: number, length: number, options?: IoOptions) => Promise<void>;
  declare discard?: (offset: number, length: number, options?: IoOptions) => Promise<void>;
  declare writeCompressed?: (offset: number, data: Uint8Array, options?: IoOptions) => Promise<void>;
  #header: Header;
  readonly #states: Uint8Array;
  readonly #mutex = new AsyncMutex();
  #isClosed = false;

  constructor(file: Storage, header: Header, states: Uint8Array, readOnly: boolean, backing: Storage | undefined) {
    this.file = file;
    this.#header = header;
    this.size = header.size;
    this.#states = states;
    this.readOnly = readOnly;
    this.backing = backing;
    if (readOnly) return;
    this.write = (offset, buffer, options) => this.#mutex.run(() => this.#write(offset, buffer, options));
    this.writeCompressed = this.write;
    this.flush = () => writable(this.file).flush();
    this.truncate = () => Promise.reject(new BlockError('invalid-option', 'no resize'));
    this.writeZeroes = (offset, length, options) => this.#mutex.run(() => this.#zero(offset, length, options));
    this.discard = (offset, length) => this.#mutex.run(() => this.#set(offset, length, State.ZERO));
  }

  get backingReference(): Reference | undefined {
    const { backing, format } = this.#header;
    return backing === undefined ? undefined : { kind: 'backing', name: backing, format };
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    this.#enter(offset, buffer.length, options);
    for (let done = 0; done < buffer.length;) {
      const at = offset + done;
      const count = Math.min(CLUSTER - (at % CLUSTER), buffer.length - done);
      const part = buffer.subarray(done, done + count);
      const state = this.#states[Math.floor(at / CLUSTER)];
      if (state === State.DATA) await this.file.read(DATA + at, part, options);
      else if (state === State.ZERO || this.backing === undefined) part.fill(0);
      else await this.backing.read(at, part, options);
      done += count;
    }
  }

  async #write(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    this.#enter(offset, buffer.length, options);
    const file = writable(this.file);
    for (let done = 0; done < buffer.length;) {
      const at = offset + done;
      const index = Math.floor(at / CLUSTER);
      const count = Math.min(CLUSTER - (at % CLUSTER), buffer.length - done);
      if (this.#states[index] !== State.DATA && count < CLUSTER) {
        const whole = new Uint8Array(Math.min(CLUSTER, this.size - index * CLUSTER));
        await this.read(index * CLUSTER, whole, options);
        await file.write(DATA + index * CLUSTER, whole, options);
      }
      await file.write(DATA + at, buffer.subarray(done, done + count), options);
      await this.#set(index * CLUSTER, CLUSTER, State.DATA);
      done += count;
    }
  }

  async #zero(offset: number, length: number, options: IoOptions | undefined): Promise<void> {
    this.#enter(offset, length, options);
    const start = Math.min(Math.ceil(offset / CLUSTER) * CLUSTER, offset + length);
    const end = Math.max(
      offset + length === this.size ? this.size : Math.floor((offset + length) / CLUSTER) * CLUSTER,
      start,
    );
    if (start > offset) await this.#write(offset, new Uint8Array(start - offset), options);
    if (end > start) await this.#set(start, end - start, State.ZERO);
    if (offset + length > end) await this.#write(end, new Uint8Array(offset + length - end), options);
  }

  async #set(offset: number, length: number, state: number): Promise<void> {
    const first = Math.ceil(offset / CLUSTER);
    const end = offset + length >= this.size ? this.#states.length : Math.floor((offset + length) / CLUSTER);
    if (end <= first) return;
    this.#states.fill(state, first, end);
    await writable(this.file).write(TABLE + first, this.#states.slice(first, end));
  }

  status(offset: number, length: number): Promise<BlockStatus> {
    this.#enter(offset, length, undefined);
    const first = Math.floor(offset / CLUSTER);
    const state = this.#states[first];
    let end = first + 1;
    while (end * CLUSTER < offset + length && this.#states[end] === state) end++;
    const known = Math.min(end * CLUSTER - offset, length);
    if (state === State.DATA)
      return Promise.resolve({ length: known, data: true, zero: false, allocated: true, offset: DATA + offset });
    return Promise.resolve({ length: known, data: false, zero: state === State.ZERO, allocated: state === State.ZERO });
  }

  async unallocate(offset: number, length: number): Promise<void> {
    await this.#mutex.run(() => this.#set(offset, length, State.NONE));
  }
  async makeEmpty(): Promise<void> {
    await this.#mutex.run(() => this.#set(0, this.size, State.NONE));
  }
  setBacking(backing: Storage | undefined): void {
    this.backing = backing;
  }
  async setBackingReference(reference: { name: string; format?: string | undefined } | undefined): Promise<void> {
    this.#header = { size: this.size, backing: reference?.name, format: reference?.format };
    await writeHeader(writable(this.file), this.#header);
  }
  info(): Promise<ImageInfo> {
    return Promise.resolve({ format: 'layer', virtualSize: this.size, clusterSize: CLUSTER, dirty: false });
  }
  async close(): Promise<void> {
    if (!this.readOnly) await this.flush?.();
    this.#isClosed = true;
  }

  #enter(offset: number, length: number, options: IoOptions | undefined): void {
    if (this.#isClosed) throw new BlockError('closed', 'the image is closed');
    checkAborted(options?.signal);
    checkRange(offset, length, this.size);
  }
}

/** Raw without a package: the storage is the disk. */
const plain: BlockDriver = {
  name: 'raw',
  probe: () => 1,
  open: (storage, options) => {
    const readOnly = options?.readOnly ?? storage.write === undefined;
    const { write, flush, truncate, writeZeroes, discard, extent, ...rest } = bound(storage);
    const image = {
      ...rest,
      driver: 'raw',
      readOnly,
      alignment: 1,
      file: storage,
      backing: undefined,
      backingReference: undefined,
      status: async (offset: number, length: number) => ({
        ...(await extent(offset, length)),
        allocated: true,
        offset,
      }),
      info: () => Promise.resolve({ format: 'raw', virtualSize: storage.size, dirty: false }),
      close: () => Promise.resolve(),
      extent,
      ...(readOnly ? {} : present({ write, flush, truncate, writeZeroes, discard })),
    };
    return Promise.resolve(image as BlockImage);
  },
  create: async (storage, { size }) => {
    await writable(storage).truncate(0);
    await writable(storage).truncate(size);
  },
};

/** What is there, since an absent method is one that cannot be used. */
const present = (methods: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(methods).filter(([, method]) => method !== undefined));

function bound(storage: Storage) {
  const all = storage as Required<Storage>;
  return {
    get size() {
      return storage.size;
    },
    read: all.read.bind(storage),
    write: all.write?.bind(storage),
    flush: all.flush?.bind(storage),
    truncate: all.truncate?.bind(storage),
    writeZeroes: all.writeZeroes?.bind(storage),
    discard: all.discard?.bind(storage),
    extent:
      all.extent?.bind(storage) ??
      ((_offset: number, length: number) => Promise.resolve({ length, data: true, zero: false })),
  };
}

function nameOf({ filename }: Readonly<Record<string, unknown>>): string {
  if (typeof filename !== 'string') throw new BlockError('invalid-option', 'a file has a name');
  return filename;
}

/** Files in memory, and what was opened and is not closed. */
export class Folder {
  readonly files = new Map<string, MemoryStorage>();
  readonly log: string[] = [];
  open = 0;

  /** What is written with `read-only` storages, or twice for writing, is a mistake of the opener. */
  readonly #writers = new Set<string>();

  env(extra: Partial<BlockEnvironment> = {}): BlockEnvironment {
    return {
      registry: createRegistry([plain, layer]),
      protocols: {
        file: {
          open: (options, request) => Promise.resolve().then(() => this.#open(nameOf(options), request.readOnly)),
          create: (options) => {
            this.files.set(nameOf(options), new MemoryStorage(0, nameOf(options)));
            return Promise.resolve().then(() => this.#open(nameOf(options), false));
          },
          parseName: (name) => ({ filename: name.replace(/^file:/, '') }),
        },
      },
      ...extra,
    };
  }

  #open(name: string, readOnly: boolean): Storage {
    const file = this.files.get(name);
    if (file === undefined) throw new BlockError('not-found', `Could not open '${name}': No such file or directory`);
    if (!readOnly && this.#writers.has(name)) throw new BlockError('locked', 'Failed to get "write" lock');
    this.log.push(`${readOnly ? 'r' : 'w'} ${name}`);
    this.open++;
    if (!readOnly) this.#writers.add(name);
    let isOpen = true;
    const close = (): Promise<void> => {
      if (isOpen) this.open--;
      if (!readOnly) this.#writers.delete(name);
      isOpen = false;
      return Promise.resolve();
    };
    const { write, flush, truncate, writeZeroes, discard, extent, read } = bound(file);
    const base = { name, read, extent, close };
    const all = readOnly ? base : { ...base, ...present({ write, flush, truncate, writeZeroes, discard }) };
    return Object.defineProperty(all, 'size', { get: () => file.size }) as unknown as Storage;
  }

  /** A new layer image; `fill` writes `[cluster, byte]` pairs. */
  async make(
    name: string,
    clusters: number,
    how: { backing?: string; format?: string; fill?: readonly (readonly [number, number])[] } = {},
  ): Promise<void> {
    const file = new MemoryStorage(0, name);
    this.files.set(name, file);
    const options: Record<string, string> = {};
    if (how.backing !== undefined) options['backing_file'] = how.backing;
    if (how.format !== undefined) options['backing_fmt'] = how.format;
    await layer.create?.(file, { size: clusters * CLUSTER, options });
    const states = new Uint8Array(clusters);
    for (const [cluster, byte] of how.fill ?? []) {
      states[cluster] = State.DATA;
      await file.write(DATA + cluster * CLUSTER, new Uint8Array(CLUSTER).fill(byte));
    }
    await file.write(TABLE, states);
  }
}

/** First byte of each cluster; `.` for 0. A cluster that is not all the same is `?`. */
export async function content(image: Storage): Promise<string> {
  let text = '';
  const all = new Uint8Array(image.size);
  await image.read(0, all);
  for (let at = 0; at < all.length; at += CLUSTER) {
    const bytes = all.subarray(at, at + CLUSTER);
    const first = bytes[0] as number;
    text += bytes.some((byte) => byte !== first) ? '?' : first === 0 ? '.' : String.fromCharCode(first);
  }
  return text;
}

export const code = (letter: string): number => letter.charCodeAt(0);

/** `fill` of `make`: letters at their places, `.` for nothing. */
export const letters = (text: string): [number, number][] =>
  [...text].flatMap((letter, index) => (letter === '.' ? [] : [[index, code(letter)] as [number, number]]));
