/**
 * An export of an NBD server as a storage, over a connection that the caller has made. What the export cannot do is an absent method.
 * No reconnect: when the connection is lost, all requests reject and the storage stays dead.
 */
import {
  BlockError,
  checkAborted,
  checkAligned,
  type AbortSignal,
  type Extent,
  type IoOptions,
  type Storage,
  type ZeroOptions,
} from '@emkit/storage';
import { AlignedAccess } from './aligned-access.ts';
import { StreamReader, type ByteStream } from './byte-stream.ts';
import { ClientConnection } from './client-connection.ts';
import { ClientHandshake, type AgreedContext, type ExportInfo } from './client-handshake.ts';
import { hostTimer, utf8, type Timer } from './host.ts';
import { DRAIN_MS, HANDSHAKE_MS, MAX_PAYLOAD, MAX_STRING, STALL_MS } from './limits.ts';
import type { MetaExtent } from './meta-context.ts';
import * as nbd from './protocol.ts';
import { Sender } from './sender.ts';

export interface NbdClientOptions {
  /** Default: the empty name, which means the server's default export. */
  readonly exportName?: string | undefined;
  /** Leave `write` away even if the server would allow it. */
  readonly readOnly?: boolean | undefined;
  /** Metadata contexts to ask for besides `base:allocation`, for `metaExtent`. */
  readonly contexts?: readonly string[] | undefined;
  /** For messages, such as an URI. */
  readonly name?: string | undefined;
  /** Default HANDSHAKE_MS. */
  readonly handshakeMs?: number | undefined;
  /** Default STALL_MS. */
  readonly stallMs?: number | undefined;
  readonly timer?: Timer | undefined;
  /** Ends the handshake; later each request has its own. */
  readonly signal?: AbortSignal | undefined;
}

export interface NbdStorage extends Storage {
  /** What the server has said. */
  readonly export: ExportInfo;
  /** Names of the metadata contexts that the server agreed to. */
  readonly contexts: readonly string[];
  /** What a metadata context says of the range that begins at `offset`. `length` > 0 and within the export. */
  metaExtent(context: string, offset: number, length: number, options?: IoOptions): Promise<MetaExtent>;
  /** Waits for requests at work, then leaves. Does not flush. */
  close(): Promise<void>;
}

/** Longest zeroing, trim or status request: 32 bits, and a multiple of any block size. */
const MAX_RANGE = 0xffff0000;
const BASE_ALLOCATION = 'base:allocation';

/** Owns the stream from the call on: closes it when it rejects, and when the storage is closed. */
export async function connectNbd(stream: ByteStream, options: NbdClientOptions = {}): Promise<NbdStorage> {
  const exportName = options.exportName ?? '';
  const timer = options.timer ?? hostTimer;
  const stallMs = options.stallMs ?? STALL_MS;
  const { reader, sender, value } = await handshake(stream, options, async (shake) => {
    if (utf8(exportName).length > MAX_STRING)
      throw new BlockError('invalid-option', `export name too long: ${MAX_STRING} bytes`);
    await shake.askStructured();
    const contexts = await shake.contexts('set', exportName, [BASE_ALLOCATION, ...(options.contexts ?? [])]);
    return { info: await shake.choose('go', exportName), contexts, structured: shake.structured };
  });
  const { structured } = value;
  const connection = new ClientConnection({ stream, reader, sender, timer, stallMs, drainMs: DRAIN_MS, structured });
  return new Client(connection, value.info, value.contexts, options);
}

/** An export as a list shows it. */
export interface ListedExport {
  readonly name: string;
  readonly description: string | undefined;
  /** Undefined: the server does not tell without choosing the export. */
  readonly info: ExportInfo | undefined;
  /** Names of its metadata contexts. */
  readonly contexts: readonly string[];
}

/** All exports of a server; closes the stream. */
export async function listNbdExports(
  stream: ByteStream,
  options: Omit<NbdClientOptions, 'exportName' | 'readOnly' | 'contexts'> = {},
): Promise<ListedExport[]> {
  const { value } = await handshake(stream, options, async (shake) => {
    await shake.askStructured();
    const listed: ListedExport[] = [];
    for (const { name, description } of await shake.list()) {
      const info = await shake.choose('info', name).catch((error: unknown) => {
        // the server goes on after an error reply, not after nonsense
        const isReply =
          error instanceof BlockError && ['unsupported-feature', 'refused', 'not-found'].includes(error.kind);
        if (isReply) return undefined;
        throw error;
      });
      const contexts = (await shake.contexts('list', name, [])).map((context) => context.name);
      listed.push({ name, description: description ?? info?.description, info, contexts });
    }
    await shake.abort();
    return listed;
  });
  stream.close();
  return value;
}

/** Runs a handshake under its deadline and signal; closes the stream if it fails. */
async function handshake<T>(
  stream: ByteStream,
  options: NbdClientOptions,
  body: (shake: ClientHandshake) => Promise<T>,
): Promise<{ reader: StreamReader; sender: Sender; value: T }> {
  const { signal } = options;
  const timer = options.timer ?? hostTimer;
  const reader = new StreamReader(stream);
  const sender = new Sender(stream, timer, options.stallMs ?? STALL_MS);
  const shake = new ClientHandshake(reader, sender);
  let reason: BlockError | undefined;
  const stop = (why: BlockError): void => {
    reason ??= why;
    stream.close();
  };
  const ms = options.handshakeMs ?? HANDSHAKE_MS;
  const cancel = timer.after(ms, () =>
    stop(new BlockError('io', `the NBD server has not finished the handshake in ${ms} ms`)),
  );
  const onAbort = (): void => stop(new BlockError('aborted', 'the connection was aborted', { cause: signal?.reason }));
  try {
    checkAborted(signal);
    signal?.addEventListener('abort', onAbort);
    await shake.greet();
    const value = await body(shake);
    return { reader, sender, value };
  } catch (error) {
    if (reason === undefined) await shake.abort().catch(() => undefined);
    stream.close();
    if (reason !== undefined) throw reason;
    if (error instanceof BlockError) throw error;
    throw new BlockError('io', `the NBD connection failed: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}

class Client implements NbdStorage {
  readonly export: ExportInfo;
  readonly contexts: readonly string[];
  readonly name: string | undefined;
  readonly size: number;
  readonly write?: NonNullable<Storage['write']>;
  readonly flush?: NonNullable<Storage['flush']>;
  readonly truncate?: NonNullable<Storage['truncate']>;
  readonly writeZeroes?: NonNullable<Storage['writeZeroes']>;
  readonly discard?: NonNullable<Storage['discard']>;
  readonly extent?: NonNullable<Storage['extent']>;
  readonly #connection: ClientConnection;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #access: AlignedAccess;

  constructor(
    connection: ClientConnection,
    info: ExportInfo,
    contexts: readonly AgreedContext[],
    options: NbdClientOptions,
  ) {
    this.#connection = connection;
    this.export = info;
    this.name = options.name;
    this.size = info.size;
    this.contexts = contexts.map((context) => context.name);
    this.#ids = new Map(contexts.map((context) => [context.name, context.id]));
    const { minimum, maximum } = info.blockSizes ?? { minimum: 1, maximum: MAX_PAYLOAD };
    this.#access = new AlignedAccess(connection, info.size, minimum, maximum);
    const can = (flag: number): boolean => (info.flags & flag) !== 0;
    if (this.#ids.has(BASE_ALLOCATION)) this.extent = (offset, length, io) => this.#extent(offset, length, io);
    if (options.readOnly === true || can(nbd.NBD_FLAG_READ_ONLY)) return;
    this.write = (offset, buffer, io) => this.#write(offset, buffer, io);
    this.flush = async (io) => {
      if (can(nbd.NBD_FLAG_SEND_FLUSH)) await this.#run(nbd.NBD_CMD_FLUSH, 0, 0, 0, io);
    };
    this.truncate = (size) =>
      size === info.size
        ? Promise.resolve()
        : Promise.reject(new BlockError('no-space', `the export has ${info.size} bytes and cannot get ${size}`));
    if (can(nbd.NBD_FLAG_SEND_WRITE_ZEROES)) this.writeZeroes = (offset, length, io) => this.#zero(offset, length, io);
    if (can(nbd.NBD_FLAG_SEND_TRIM)) this.discard = (offset, length, io) => this.#trim(offset, length, io);
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    checkAligned(offset, buffer.length, 1);
    const length = Math.max(0, Math.min(buffer.length, this.size - offset));
    if (length < buffer.length) buffer.fill(0, length);
    if (length > 0) await this.#access.read(offset, buffer.subarray(0, length), options?.signal);
  }

  async metaExtent(context: string, offset: number, length: number, options?: IoOptions): Promise<MetaExtent> {
    const id = this.#ids.get(context);
    if (id === undefined) throw new BlockError('not-found', `the server has no metadata context '${context}'`);
    if (!(length > 0 && offset >= 0 && length <= this.size - offset)) throw this.#outside(offset, length);
    const [start, end] = this.#access.widened(offset, Math.min(length, MAX_RANGE / 2));
    const flags = nbd.NBD_CMD_FLAG_REQ_ONE;
    const status = await this.#run(nbd.NBD_CMD_BLOCK_STATUS, flags, start, end - start, options);
    const extent = status.get(id);
    if (extent === undefined) throw new BlockError('io', `the server says nothing about '${context}'`);
    // an extent that ends before the offset was cut by a server that ignores its own block size
    const got = Math.min(length, start + extent.length - offset);
    return got > 0 ? { length: got, flags: extent.flags } : { length: Math.min(length, end - offset), flags: 0 };
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #extent(offset: number, length: number, options: IoOptions | undefined): Promise<Extent> {
    const { length: known, flags } = await this.metaExtent(BASE_ALLOCATION, offset, length, options);
    return { length: known, zero: (flags & nbd.NBD_STATE_ZERO) !== 0, data: (flags & nbd.NBD_STATE_HOLE) === 0 };
  }

  async #write(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    this.#checkInside(offset, buffer.length);
    await this.#access.write(offset, buffer, options?.signal);
  }

  async #zero(offset: number, length: number, options: ZeroOptions | undefined): Promise<void> {
    this.#checkInside(offset, length);
    const flags = options?.unmap === true ? 0 : nbd.NBD_CMD_FLAG_NO_HOLE;
    const [start, end] = this.#access.narrowed(offset, length);
    await this.#access.writeZeroEdges(offset, length, options?.signal);
    await this.#inRanges(nbd.NBD_CMD_WRITE_ZEROES, flags, start, end, options);
  }

  async #trim(offset: number, length: number, options: IoOptions | undefined): Promise<void> {
    checkAligned(offset, length, 1);
    const [start, end] = this.#access.narrowed(offset, Math.min(length, this.size - offset));
    await this.#inRanges(nbd.NBD_CMD_TRIM, 0, start, end, options);
  }

  async #inRanges(type: number, flags: number, start: number, end: number, options?: IoOptions): Promise<void> {
    for (let at = start; at < end; at += MAX_RANGE)
      await this.#run(type, flags, at, Math.min(MAX_RANGE, end - at), options);
  }

  #run(type: number, flags: number, offset: number, length: number, options: IoOptions | undefined) {
    return this.#connection.run({ type, flags, offset, length, signal: options?.signal });
  }

  #checkInside(offset: number, length: number): void {
    checkAligned(offset, length, 1);
    if (length > 0 && length > this.size - offset)
      throw new BlockError('no-space', `the export ends at ${this.size}: no room for ${length} bytes at ${offset}`);
  }

  #outside(offset: number, length: number): BlockError {
    return new BlockError('out-of-bounds', `${length} bytes at ${offset} are outside of the export's ${this.size}`);
  }
}
