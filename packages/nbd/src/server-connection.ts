/**
 * The transmission phase of one client: reads requests, checks them, keeps a bounded number at work, answers.
 * NBD protocol, "Transmission", "Request message", "Terminating the transmission phase".
 *
 * Requests run at the same time and are answered as they end. A client that has too much at work, or does not read its replies, is not
 * read from until it has caught up: memory is bounded by MAX_IN_FLIGHT_BYTES.
 */
import type { StreamReader } from './byte-stream.ts';
import { Commands, isWriting, type Request } from './commands.ts';
import { errnoOf, printable } from './errno.ts';
import { MAX_IN_FLIGHT, MAX_IN_FLIGHT_BYTES, MAX_PAYLOAD } from './limits.ts';
import type { MessageMemory } from './message-memory.ts';
import { join64 } from './message.ts';
import * as nbd from './protocol.ts';
import { errorChunk, simpleReply, type Cookie } from './reply.ts';
import type { Sender } from './sender.ts';
import { violation, type Negotiated } from './server-handshake.ts';

/** Flags that a command may have besides FUA, which all may have. NBD protocol, "Command flags". */
const FLAGS: Readonly<Record<number, number>> = {
  [nbd.NBD_CMD_READ]: nbd.NBD_CMD_FLAG_DF,
  [nbd.NBD_CMD_WRITE]: 0,
  [nbd.NBD_CMD_DISC]: 0,
  [nbd.NBD_CMD_FLUSH]: 0,
  [nbd.NBD_CMD_TRIM]: 0,
  [nbd.NBD_CMD_CACHE]: 0,
  [nbd.NBD_CMD_WRITE_ZEROES]: nbd.NBD_CMD_FLAG_NO_HOLE | nbd.NBD_CMD_FLAG_FAST_ZERO,
  [nbd.NBD_CMD_BLOCK_STATUS]: nbd.NBD_CMD_FLAG_REQ_ONE,
};

interface Refusal {
  readonly errno: number;
  readonly text: string;
}

export class ServerConnection {
  readonly #reader: StreamReader;
  readonly #sender: Sender;
  readonly #negotiated: Negotiated;
  readonly #commands: Commands;
  readonly #memory: MessageMemory;
  #inFlight = 0;
  #bytes = 0;
  #wake: (() => void) | undefined;
  #open = true;
  #closing = false;
  /** Why nothing can be sent any more. */
  #failure: unknown;

  constructor(reader: StreamReader, sender: Sender, negotiated: Negotiated, memory: MessageMemory) {
    this.#reader = reader;
    this.#sender = sender;
    this.#negotiated = negotiated;
    this.#memory = memory;
    this.#commands = new Commands(negotiated, sender, memory, () => this.#open);
  }

  /** Until the client leaves. Throws when it must be cut off. Either way `settled` comes after it. */
  async run(): Promise<void> {
    while (await this.#next());
  }

  /** What the client began has ended. */
  async settled(): Promise<void> {
    while (this.#inFlight > 0) await this.#turn();
  }

  /** New requests are refused with ESHUTDOWN; resolves when the old ones are answered. */
  async drain(): Promise<void> {
    this.#closing = true;
    await this.settled();
  }

  /** The client is gone: work that only it wanted may stop. */
  abandon(): void {
    this.#open = false;
  }

  /** Takes one request; false: there are no more. */
  async #next(): Promise<boolean> {
    const reader = this.#reader;
    const end = reader.atEnd();
    if (end !== false && (await end)) {
      // a stalled client's stream was closed by us
      if (this.#failure !== undefined) throw this.#failure;
      return false;
    }
    const taken = reader.take(nbd.REQUEST_SIZE);
    const header = taken instanceof Uint8Array ? taken : await taken;
    const view = new DataView(header.buffer, header.byteOffset, nbd.REQUEST_SIZE);
    if (view.getUint32(0) !== nbd.NBD_REQUEST_MAGIC) throw violation('wrong magic of a request');
    const flags = view.getUint16(4);
    const type = view.getUint16(6);
    const cookie = { high: view.getUint32(8), low: view.getUint32(12) };
    const offset = join64(view.getUint32(16), view.getUint32(20));
    const length = view.getUint32(24);
    if (type === nbd.NBD_CMD_DISC) return false;

    if (type === nbd.NBD_CMD_WRITE && length > MAX_PAYLOAD) throw violation(`a write of ${length} bytes`);
    const refusal = this.#refusal(type, flags, offset, length);
    const payloadBytes =
      type === nbd.NBD_CMD_WRITE || (type === nbd.NBD_CMD_READ && refusal === undefined) ? length : 0;
    while (this.#inFlight >= MAX_IN_FLIGHT || (this.#inFlight > 0 && this.#bytes + payloadBytes > MAX_IN_FLIGHT_BYTES))
      await this.#turn();
    if (this.#failure !== undefined) throw this.#failure;

    if (refusal !== undefined) {
      // the payload comes whether we want it or not
      if (type === nbd.NBD_CMD_WRITE) await reader.skip(length);
      this.#start(cookie, payloadBytes, () => this.#refuse(cookie, refusal));
      return true;
    }
    let payload: Uint8Array | undefined;
    if (type === nbd.NBD_CMD_WRITE) {
      const body = reader.take(length, this.#memory);
      payload = body instanceof Uint8Array ? body : await body;
    }
    const request: Request = { cookie, flags, type, offset, length, payload };
    this.#start(cookie, payloadBytes, () => this.#commands.run(request), payload);
    return true;
  }

  /** NBD protocol, "Error values": which error for what. */
  #refusal(type: number, flags: number, offset: number, length: number): Refusal | undefined {
    const { served, size, contexts, structured } = this.#negotiated;
    if (this.#closing) return { errno: nbd.NBD_ESHUTDOWN, text: 'the server is shutting down' };
    const allowed = FLAGS[type];
    if (allowed === undefined) return { errno: nbd.NBD_EINVAL, text: `command ${type} is not known here` };
    const wrong = flags & ~(allowed | nbd.NBD_CMD_FLAG_FUA);
    if (wrong !== 0 || ((flags & nbd.NBD_CMD_FLAG_DF) !== 0 && !structured))
      return { errno: nbd.NBD_EINVAL, text: `flags 0x${flags.toString(16)} do not belong to command ${type}` };
    if (isWriting(type) && served.readOnly) return { errno: nbd.NBD_EPERM, text: 'the export is read-only' };
    if (type === nbd.NBD_CMD_FLUSH) return undefined;
    if (!(offset <= size && length <= size - offset)) {
      const grows = type === nbd.NBD_CMD_WRITE || type === nbd.NBD_CMD_WRITE_ZEROES;
      return {
        errno: grows ? nbd.NBD_ENOSPC : nbd.NBD_EINVAL,
        text: `the range ends beyond the export's ${size} bytes`,
      };
    }
    if (type === nbd.NBD_CMD_READ && length > MAX_PAYLOAD)
      return { errno: nbd.NBD_EINVAL, text: `a read of more than ${MAX_PAYLOAD} bytes` };
    if (type === nbd.NBD_CMD_BLOCK_STATUS && (contexts.size === 0 || length === 0))
      return {
        errno: nbd.NBD_EINVAL,
        text: length === 0 ? 'no bytes asked about' : 'no metadata context was negotiated',
      };
    return undefined;
  }

  #start(cookie: Cookie, bytes: number, work: () => Promise<void>, payload?: Uint8Array): void {
    this.#inFlight++;
    this.#bytes += bytes;
    void this.#finish(cookie, bytes, work, payload);
  }

  async #finish(
    cookie: Cookie,
    bytes: number,
    work: () => Promise<void>,
    payload: Uint8Array | undefined,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      const text = error instanceof Error ? printable(error.message) : 'error';
      // if it was the sending that failed, so does this
      await this.#refuse(cookie, { errno: errnoOf(error), text }).catch((failure: unknown) => {
        this.#failure = failure;
        this.#open = false;
      });
    }
    if (payload !== undefined) this.#memory.release(payload);
    this.#inFlight--;
    this.#bytes -= bytes;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #refuse(cookie: Cookie, { errno, text }: Refusal): Promise<void> {
    return this.#sender.send(
      this.#negotiated.structured
        ? errorChunk(cookie, errno, text)
        : simpleReply(cookie, errno, 0, this.#memory).message,
    );
  }

  /** Until some request has ended. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake;
      this.#wake = () => {
        before?.();
        resolve();
      };
    });
  }
}
