/**
 * Replies of a server into the request that they belong to. Checks everything that they say against what was asked.
 * NBD protocol, "Simple reply message", "Structured reply types".
 */
import type { StreamReader } from './byte-stream.ts';
import { nonsense } from './client-handshake.ts';
import type { ClientRequest } from './client-request.ts';
import { errorOf } from './errno.ts';
import { fromUtf8 } from './host.ts';
import { MAX_EXTENTS, MAX_OPTION_DATA } from './limits.ts';
import { MessageReader } from './message.ts';
import * as nbd from './protocol.ts';

/** A status chunk may be this long: more extents than we would send, since others send more. */
const MAX_STATUS_BYTES = 4 + 8 * MAX_EXTENTS * 64;

export class ReplyReader {
  readonly #reader: StreamReader;
  readonly #structured: boolean;

  constructor(reader: StreamReader, structured: boolean) {
    this.#reader = reader;
    this.#structured = structured;
  }

  /** `what`: the request in words, for errors. */
  async simple(request: ClientRequest, errno: number, what: string): Promise<void> {
    const { type, length } = request.command;
    if (this.#structured && (request.isRead || (type === nbd.NBD_CMD_BLOCK_STATUS && errno === 0)))
      throw nonsense('a simple reply where a structured one must be');
    if (errno !== 0) refuse(request, errno, what, undefined);
    else if (request.isRead) await this.#receive(request, 0, length);
  }

  /** The rest of a chunk, from its length on. True: it was the last one. */
  async chunk(request: ClientRequest, flags: number, type: number, what: string): Promise<boolean> {
    const length = new MessageReader(await this.#reader.take(4)).u32();
    const isLast = (flags & nbd.NBD_REPLY_FLAG_DONE) !== 0;
    if ((type & nbd.NBD_REPLY_TYPE_ERROR_BIT) !== 0) await this.#error(request, type, length, what);
    else {
      switch (type) {
        case nbd.NBD_REPLY_TYPE_NONE:
          if (length !== 0 || !isLast) throw nonsense('a broken chunk of type NONE');
          break;
        case nbd.NBD_REPLY_TYPE_OFFSET_DATA:
          await this.#data(request, length);
          break;
        case nbd.NBD_REPLY_TYPE_OFFSET_HOLE:
          await this.#hole(request, length);
          break;
        case nbd.NBD_REPLY_TYPE_BLOCK_STATUS:
          await this.#status(request, length);
          break;
        default:
          throw nonsense(`a chunk of unknown type ${type}`);
      }
    }
    if (isLast && request.error === undefined) checkComplete(request);
    return isLast;
  }

  async #data(request: ClientRequest, length: number): Promise<void> {
    if (!request.isRead || length < 9) throw nonsense('a broken chunk of data');
    const offset = new MessageReader(await this.#reader.take(8)).u64();
    const start = claim(request, offset, length - 8);
    await this.#receive(request, start, length - 8);
  }

  async #hole(request: ClientRequest, length: number): Promise<void> {
    if (!request.isRead || length !== 12) throw nonsense('a broken chunk of a hole');
    const message = new MessageReader(await this.#reader.take(12));
    const offset = message.u64();
    const size = message.u32();
    const start = claim(request, offset, size);
    if (!request.isSettled) request.command.target?.fill(0, start, start + size);
  }

  /** Into the caller's buffer as long as it is ours. */
  async #receive(request: ClientRequest, start: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const part = await this.#reader.some(length - done);
      if (!request.isSettled) request.command.target?.set(part, start + done);
      done += part.length;
    }
  }

  async #status(request: ClientRequest, length: number): Promise<void> {
    if (
      request.command.type !== nbd.NBD_CMD_BLOCK_STATUS ||
      length < 12 ||
      length % 8 !== 4 ||
      length > MAX_STATUS_BYTES
    )
      throw nonsense('a broken chunk of block status');
    const message = new MessageReader(await this.#reader.take(12));
    const id = message.u32();
    // one extent was asked for; more are no harm
    const extent = { length: message.u32(), flags: message.u32() };
    await this.#reader.skip(length - 12);
    if (extent.length === 0 || request.status.has(id)) throw nonsense('a broken chunk of block status');
    request.status.set(id, extent);
  }

  async #error(request: ClientRequest, type: number, length: number, what: string): Promise<void> {
    if (length < 6 || length > MAX_OPTION_DATA) throw nonsense('a broken error chunk');
    const bytes = await this.#reader.take(length);
    const message = new MessageReader(bytes);
    const errno = message.u32();
    const textLength = message.u16();
    const fixed = type === nbd.NBD_REPLY_TYPE_ERROR_OFFSET ? 14 : 6;
    if (errno === 0 || textLength > length - fixed) throw nonsense('a broken error chunk');
    const text = fromUtf8(bytes.subarray(6, 6 + textLength));
    refuse(request, errno, what, text === '' ? undefined : text);
  }
}

function refuse(request: ClientRequest, errno: number, what: string, text: string | undefined): void {
  request.error ??= errorOf(errno, what, text);
  if (errno === nbd.NBD_ESHUTDOWN) request.isShutdown = true;
}

/** Takes a part of a read into account; its place in the buffer. */
function claim(request: ClientRequest, offset: number, size: number): number {
  const { offset: from, length } = request.command;
  const start = offset - from;
  // NaN fails too
  if (!(size > 0 && start >= 0 && size <= length - start)) throw nonsense('data outside of what was asked for');
  if (!request.pieces.add(start, start + size)) throw nonsense('overlapping or too many pieces of data');
  return start;
}

function checkComplete(request: ClientRequest): void {
  if (request.isRead && !request.pieces.isComplete(0, request.command.length))
    throw nonsense('a read without all its data');
  if (request.command.type === nbd.NBD_CMD_BLOCK_STATUS && request.status.size === 0)
    throw nonsense('block status without an extent');
}
