/**
 * The transmission phase as a client: many requests at work, told apart by their cookies, answered in any order by simple or structured
 * replies. NBD protocol, "Transmission".
 *
 * A server that breaks the protocol, or answers nothing for too long, ends the connection; every request then rejects with the reason.
 */
import { BlockError, checkAborted, type AbortSignal } from '@emkit/storage';
import type { ByteStream, StreamReader } from './byte-stream.ts';
import { nonsense } from './client-handshake.ts';
import { ClientRequest, type Command, type StatusById } from './client-request.ts';
import type { Timer } from './host.ts';
import { MAX_IN_FLIGHT } from './limits.ts';
import { join64 } from './message.ts';
import * as nbd from './protocol.ts';
import { ReplyReader } from './reply-reader.ts';
import type { Sender } from './sender.ts';

export interface ConnectionParts {
  readonly stream: ByteStream;
  readonly reader: StreamReader;
  readonly sender: Sender;
  readonly timer: Timer;
  readonly stallMs: number;
  readonly drainMs: number;
  readonly structured: boolean;
}

const NAMES: Readonly<Record<number, string>> = {
  [nbd.NBD_CMD_READ]: 'read',
  [nbd.NBD_CMD_WRITE]: 'write',
  [nbd.NBD_CMD_FLUSH]: 'flush',
  [nbd.NBD_CMD_TRIM]: 'trim',
  [nbd.NBD_CMD_WRITE_ZEROES]: 'write zeroes',
  [nbd.NBD_CMD_BLOCK_STATUS]: 'block status',
};

export class ClientConnection {
  readonly #parts: ConnectionParts;
  readonly #replies: ReplyReader;
  readonly #pending = new Map<number, ClientRequest>();
  readonly #waiting: (() => void)[] = [];
  #lastCookie = 0;
  #error: BlockError | undefined;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  /** Counts replies, for the watch. */
  #progress = 0;
  #isWatched = false;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#replies = new ReplyReader(parts.reader, parts.structured);
    void this.#receive();
  }

  /** Hot path. */
  async run(command: Command): Promise<StatusById> {
    checkAborted(command.signal);
    while (this.#pending.size >= MAX_IN_FLIGHT && this.#error === undefined) await this.#room(command.signal);
    if (this.#error !== undefined) throw this.#error;
    if (this.#closing !== undefined) throw new BlockError('closed', 'the NBD connection is closed');
    const request = new ClientRequest(command);
    const cookie = ++this.#lastCookie;
    this.#pending.set(cookie, request);
    this.#watch();
    const head = requestHead(command, cookie);
    const sent =
      command.payload === undefined
        ? this.#parts.sender.send(head)
        : this.#parts.sender.sendBoth(head, command.payload);
    sent.catch((error: unknown) => this.#fail(asBlockError(error)));
    return request.promise;
  }

  /** Until a request has ended; rejects when the signal comes first. */
  #room(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        const at = this.#waiting.indexOf(wake);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        signal?.removeEventListener('abort', onAbort);
        reject(new BlockError('aborted', 'the request was aborted', { cause: signal?.reason }));
      };
      this.#waiting.push(wake);
      signal?.addEventListener('abort', onAbort);
    });
  }

  /** Waits for what is at work, says good-bye, closes. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { timer, drainMs, sender, stream } = this.#parts;
    if (this.#error === undefined && this.#pending.size > 0)
      await new Promise<void>((resolve) => {
        const cancel = timer.after(drainMs, resolve);
        this.#onIdle = () => {
          cancel();
          resolve();
        };
      });
    if (this.#error === undefined) {
      const goodbye = { type: nbd.NBD_CMD_DISC, flags: 0, offset: 0, length: 0 };
      await sender.send(requestHead(goodbye, 0)).catch(() => undefined);
    }
    this.#fail(new BlockError('closed', 'the NBD connection is closed'));
    stream.close();
  }

  async #receive(): Promise<void> {
    const { reader, structured } = this.#parts;
    try {
      for (;;) {
        const end = reader.atEnd();
        if (end !== false && (await end)) throw new BlockError('io', 'the NBD server has closed the connection');
        const taken = reader.take(nbd.SIMPLE_REPLY_SIZE);
        const head = taken instanceof Uint8Array ? taken : await taken;
        const view = new DataView(head.buffer, head.byteOffset, nbd.SIMPLE_REPLY_SIZE);
        const magic = view.getUint32(0);
        const cookie = join64(view.getUint32(8), view.getUint32(12));
        const request = this.#pending.get(cookie);
        if (request === undefined) throw nonsense('a reply to no request');
        this.#progress++;
        let isLast = true;
        if (magic === nbd.NBD_SIMPLE_REPLY_MAGIC)
          await this.#replies.simple(request, view.getUint32(4), describe(request));
        else if (magic === nbd.NBD_STRUCTURED_REPLY_MAGIC && structured)
          isLast = await this.#replies.chunk(request, view.getUint16(4), view.getUint16(6), describe(request));
        else throw nonsense('wrong magic of a reply');
        if (isLast) this.#finish(cookie, request);
      }
    } catch (error) {
      this.#fail(asBlockError(error));
    }
  }

  #finish(cookie: number, request: ClientRequest): void {
    this.#pending.delete(cookie);
    if (!request.isSettled) {
      if (request.error === undefined) request.resolve();
      else request.reject(request.error);
    }
    this.#waiting.shift()?.();
    if (this.#pending.size === 0) this.#onIdle?.();
    // "If the client receives an ESHUTDOWN error it MUST initiate a soft disconnect"
    if (request.isShutdown) void this.close();
  }

  /** The first reason stays. */
  #fail(error: BlockError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#parts.stream.close();
    this.#parts.sender.fail(error);
    for (const request of this.#pending.values()) if (!request.isSettled) request.reject(error);
    this.#pending.clear();
    for (const wake of this.#waiting.splice(0)) wake();
    this.#onIdle?.();
  }

  /** One timer for all requests: when it rings and no reply has come since it was set, the server is given up. */
  #watch(): void {
    if (this.#isWatched || this.#pending.size === 0 || this.#error !== undefined) return;
    this.#isWatched = true;
    const before = this.#progress;
    const { timer, stallMs } = this.#parts;
    timer.after(stallMs, () => {
      this.#isWatched = false;
      if (this.#progress === before && this.#pending.size > 0)
        this.#fail(new BlockError('io', `the NBD server has not answered for ${stallMs} ms`));
      else this.#watch();
    });
  }
}

/** Hot path. */
function requestHead(command: Command, cookie: number): Uint8Array {
  const head = new Uint8Array(nbd.REQUEST_SIZE);
  const view = new DataView(head.buffer);
  view.setUint32(0, nbd.NBD_REQUEST_MAGIC);
  view.setUint16(4, command.flags);
  view.setUint16(6, command.type);
  view.setUint32(8, Math.floor(cookie / 2 ** 32));
  view.setUint32(12, cookie % 2 ** 32);
  view.setUint32(16, Math.floor(command.offset / 2 ** 32));
  view.setUint32(20, command.offset % 2 ** 32);
  view.setUint32(24, command.length);
  return head;
}

const describe = ({ command }: ClientRequest): string =>
  `${NAMES[command.type] ?? 'request'} of ${command.length} bytes at ${command.offset}`;

function asBlockError(error: unknown): BlockError {
  if (error instanceof BlockError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new BlockError('io', `the NBD connection failed: ${text}`, { cause: error });
}
