/**
 * What each command does to the export, and its reply. Offsets, lengths and flags have been checked. NBD protocol, "Request types".
 *
 * The payload is here as a whole before a write begins; a read sends nothing of a piece before it has all of it, so an error is
 * always an error reply and never a broken stream.
 */
import { BlockError, type Storage } from '@emkit/storage';
import { MAX_EXTENTS, MAX_PAYLOAD } from './limits.ts';
import type { MetaContext, MetaExtent } from './meta-context.ts';
import type { MessageMemory } from './message-memory.ts';
import * as nbd from './protocol.ts';
import { dataChunk, doneChunk, holeChunk, simpleReply, statusChunk, type Cookie, type DataReply } from './reply.ts';
import type { Sender } from './sender.ts';
import type { Negotiated } from './server-handshake.ts';

export interface Request {
  readonly cookie: Cookie;
  readonly flags: number;
  readonly type: number;
  readonly offset: number;
  readonly length: number;
  /** Of a write. */
  readonly payload: Uint8Array | undefined;
}

/** Below this, to ask for holes costs more than to send zeroes. */
const SPARSE_READ_MIN = 65536;
/** Pieces of which one sparse read may consist. */
const MAX_READ_CHUNKS = 64;
const ZERO_PIECE = 1 << 20;

export class Commands {
  readonly #negotiated: Negotiated;
  readonly #storage: Storage;
  readonly #sender: Sender;
  readonly #memory: MessageMemory;
  readonly #isOpen: () => boolean;

  /** `isOpen`: the client is still there; long work asks now and then. */
  constructor(negotiated: Negotiated, sender: Sender, memory: MessageMemory, isOpen: () => boolean) {
    this.#negotiated = negotiated;
    this.#storage = negotiated.served.storage;
    this.#sender = sender;
    this.#memory = memory;
    this.#isOpen = isOpen;
  }

  /** Resolves when the reply is on its way. Throws what becomes an error reply. */
  run(request: Request): Promise<void> {
    switch (request.type) {
      case nbd.NBD_CMD_READ:
        return this.#read(request);
      case nbd.NBD_CMD_BLOCK_STATUS:
        return this.#blockStatus(request);
      default:
        return this.#change(request);
    }
  }

  #read(request: Request): Promise<void> {
    const { cookie, offset, length, flags } = request;
    if (!this.#negotiated.structured) return this.#readSimple(request);
    if (length === 0) return this.#sender.send(doneChunk(cookie));
    const isWhole =
      (flags & nbd.NBD_CMD_FLAG_DF) !== 0 || length < SPARSE_READ_MIN || this.#storage.extent === undefined;
    return isWhole ? this.#readPiece(cookie, true, offset, length) : this.#readSparse(request);
  }

  async #readSimple({ cookie, offset, length }: Request): Promise<void> {
    const reply = simpleReply(cookie, 0, length, this.#memory);
    if (length > 0) await this.#fill(offset, reply);
    await this.#sender.send(reply.message);
  }

  /** Hot path. */
  async #readPiece(cookie: Cookie, isLast: boolean, offset: number, length: number): Promise<void> {
    const reply = dataChunk(cookie, isLast, offset, length, this.#memory);
    await this.#fill(offset, reply);
    await this.#sender.send(reply.message);
  }

  /** Hot path. */
  async #fill(offset: number, { message, data }: DataReply): Promise<void> {
    try {
      await this.#storage.read(offset, data);
    } catch (error) {
      this.#memory.release(message);
      throw error;
    }
  }

  /** Holes as holes, the rest as data. After enough pieces, all that is left is data. */
  async #readSparse({ cookie, offset, length }: Request): Promise<void> {
    const end = offset + length;
    for (let at = offset, pieces = 1; at < end; pieces++) {
      const left = end - at;
      const extent = pieces < MAX_READ_CHUNKS ? await this.#storage.extent?.(at, left) : undefined;
      const size = extent === undefined ? left : clamped(extent.length, left);
      const isLast = size === left;
      if (extent?.zero === true) await this.#sender.send(holeChunk(cookie, isLast, at, size));
      else await this.#readPiece(cookie, isLast, at, size);
      at += size;
    }
  }

  async #blockStatus({ cookie, offset, length, flags }: Request): Promise<void> {
    const { contexts } = this.#negotiated;
    const most = (flags & nbd.NBD_CMD_FLAG_REQ_ONE) !== 0 ? 1 : MAX_EXTENTS;
    const chunks: Uint8Array[] = [];
    for (const [id, context] of contexts) {
      const extents = await this.#extents(context, offset, length, most);
      chunks.push(statusChunk(cookie, chunks.length === contexts.size - 1, id, extents));
    }
    await Promise.all(chunks.map((chunk) => this.#sender.send(chunk)));
  }

  /** Neighbours with the same flags are one extent, so a count of questions bounds the work, not one of extents. */
  async #extents(context: MetaContext, offset: number, length: number, most: number): Promise<MetaExtent[]> {
    const found: { length: number; flags: number }[] = [];
    for (let at = 0, asked = 0; at < length && asked < MAX_EXTENTS; asked++) {
      const extent = await context.extent(offset + at, length - at);
      const size = clamped(extent.length, length - at);
      const last = found.at(-1);
      if (last?.flags === extent.flags) last.length += size;
      else if (found.length === most) break;
      else found.push({ length: size, flags: extent.flags });
      at += size;
    }
    return found;
  }

  /** All commands whose reply has no payload. */
  async #change(request: Request): Promise<void> {
    await this.#perform(request);
    // "MUST NOT send its reply until all write operations have been persisted"
    if ((request.flags & nbd.NBD_CMD_FLAG_FUA) !== 0 && isWriting(request.type)) await this.#storage.flush?.();
    await this.#sender.send(simpleReply(request.cookie, 0, 0, this.#memory).message);
  }

  #perform({ type, offset, length, payload, flags }: Request): Promise<void> | undefined {
    const storage = this.#storage;
    switch (type) {
      case nbd.NBD_CMD_WRITE:
        return length === 0 ? undefined : storage.write?.(offset, payload as Uint8Array);
      case nbd.NBD_CMD_FLUSH:
        return storage.flush?.();
      case nbd.NBD_CMD_TRIM:
        return length === 0 ? undefined : storage.discard?.(offset, length);
      case nbd.NBD_CMD_CACHE:
        return this.#cache(offset, Math.min(length, MAX_PAYLOAD));
      case nbd.NBD_CMD_WRITE_ZEROES:
        return length === 0 ? undefined : this.#zero(offset, length, flags);
      default:
        return undefined;
    }
  }

  async #zero(offset: number, length: number, flags: number): Promise<void> {
    const storage = this.#storage;
    if (storage.writeZeroes !== undefined)
      return storage.writeZeroes(offset, length, { unmap: (flags & nbd.NBD_CMD_FLAG_NO_HOLE) === 0 });
    if ((flags & nbd.NBD_CMD_FLAG_FAST_ZERO) !== 0)
      throw new BlockError('unsupported-feature', 'zeroes are not written faster than data here');
    const zeroes = new Uint8Array(Math.min(length, ZERO_PIECE));
    for (let done = 0; done < length && this.#isOpen(); done += zeroes.length)
      await storage.write?.(offset + done, zeroes.subarray(0, Math.min(zeroes.length, length - done)));
  }

  /** A hint: what is read now is in the caches of whatever is below. */
  async #cache(offset: number, length: number): Promise<void> {
    const buffer = new Uint8Array(Math.min(length, ZERO_PIECE));
    for (let done = 0; done < length && this.#isOpen(); done += buffer.length)
      await this.#storage.read(offset + done, buffer.subarray(0, Math.min(buffer.length, length - done)));
  }
}

export const isWriting = (type: number): boolean =>
  type === nbd.NBD_CMD_WRITE || type === nbd.NBD_CMD_TRIM || type === nbd.NBD_CMD_WRITE_ZEROES;

const clamped = (length: number, most: number): number => Math.max(1, Math.min(length, most));
