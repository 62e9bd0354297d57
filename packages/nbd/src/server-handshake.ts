/**
 * The server's half of the handshake: greeting, then options until the client has chosen an export. Fixed newstyle; of the older
 * ways only the name of an export without fixed newstyle. TLS is not offered.
 * NBD protocol, "Newstyle negotiation", "Fixed newstyle negotiation", "Option types".
 *
 * A client that breaks a MUST in a way that leaves the stream readable gets an error reply; any other loses the connection.
 */
import { BlockError } from '@emkit/storage';
import type { StreamReader } from './byte-stream.ts';
import { transmissionFlags, type ServedExport } from './export.ts';
import { MAX_OPTION_DATA, MAX_OPTIONS, MAX_STRING } from './limits.ts';
import { MessageReader, MessageWriter } from './message.ts';
import { selectContexts, type MetaContext } from './meta-context.ts';
import * as nbd from './protocol.ts';
import type { Sender } from './sender.ts';

/** What a client has chosen. */
export interface Negotiated {
  readonly served: ServedExport;
  readonly structured: boolean;
  /** By their ids on the wire; empty: BLOCK_STATUS was not negotiated. */
  readonly contexts: ReadonlyMap<number, MetaContext>;
  /** Size and flags as the client was told. */
  readonly size: number;
  readonly flags: number;
}

/** The server behind the handshake. */
export interface ExportSource {
  /** In the order in which they are listed. */
  list(): Iterable<ServedExport>;
  find(name: string): ServedExport | undefined;
  /** Takes a place on the export until the connection ends; false: there is none. */
  enter(served: ServedExport): boolean;
  readonly closing: boolean;
}

export class ServerHandshake {
  readonly #reader: StreamReader;
  readonly #sender: Sender;
  readonly #exports: ExportSource;
  #noZeroes = false;
  #structured = false;
  #contextExport: ServedExport | undefined;
  #contexts = new Map<number, MetaContext>();
  #result: Negotiated | undefined;

  constructor(reader: StreamReader, sender: Sender, exports: ExportSource) {
    this.#reader = reader;
    this.#sender = sender;
    this.#exports = exports;
  }

  /** Undefined: the client has left in order. Throws when it must be cut off. */
  async run(): Promise<Negotiated | undefined> {
    const flags = nbd.NBD_FLAG_FIXED_NEWSTYLE | nbd.NBD_FLAG_NO_ZEROES;
    await this.#sender.send(new MessageWriter().pair(nbd.NBDMAGIC).pair(nbd.IHAVEOPT).u16(flags).bytes());
    if (await this.#reader.atEnd()) return undefined;
    const clientFlags = new MessageReader(await this.#reader.take(4)).u32();
    if ((clientFlags & ~flags) !== 0) throw violation(`unknown client flags 0x${clientFlags.toString(16)}`);
    this.#noZeroes = (clientFlags & nbd.NBD_FLAG_NO_ZEROES) !== 0;
    const isFixed = (clientFlags & nbd.NBD_FLAG_FIXED_NEWSTYLE) !== 0;
    for (let count = 0; count < MAX_OPTIONS; count++) {
      if (await this.#reader.atEnd()) return undefined;
      const header = new MessageReader(await this.#reader.take(nbd.OPTION_SIZE));
      if (!header.is(nbd.IHAVEOPT)) throw violation('wrong magic of an option');
      const option = header.u32();
      const length = header.u32();
      if (length > MAX_OPTION_DATA) throw violation(`option ${option} with ${length} bytes of data`);
      const data = new MessageReader(await this.#reader.take(length));
      if (!isFixed && option !== nbd.NBD_OPT_EXPORT_NAME) throw violation(`option ${option} without fixed newstyle`);
      if (option === nbd.NBD_OPT_ABORT) {
        // the client may have closed already
        await this.#reply(option, nbd.NBD_REP_ACK).catch(() => undefined);
        return undefined;
      }
      await this.#option(option, data);
      if (this.#result !== undefined) return this.#result;
    }
    throw violation(`more than ${MAX_OPTIONS} options`);
  }

  #option(option: number, data: MessageReader): Promise<void> {
    if (this.#exports.closing && option !== nbd.NBD_OPT_EXPORT_NAME)
      return this.#error(option, nbd.NBD_REP_ERR_SHUTDOWN, 'the server is shutting down');
    switch (option) {
      case nbd.NBD_OPT_EXPORT_NAME:
        return this.#exportName(data);
      case nbd.NBD_OPT_LIST:
        return this.#list(data);
      case nbd.NBD_OPT_STARTTLS:
        return this.#error(option, nbd.NBD_REP_ERR_POLICY, 'TLS is not offered');
      case nbd.NBD_OPT_INFO:
      case nbd.NBD_OPT_GO:
        return this.#infoOrGo(option, data);
      case nbd.NBD_OPT_STRUCTURED_REPLY:
        if (data.left !== 0) return this.#invalid(option, 'STRUCTURED_REPLY has no data');
        if (this.#structured) return this.#invalid(option, 'structured replies are negotiated already');
        this.#structured = true;
        return this.#reply(option, nbd.NBD_REP_ACK);
      case nbd.NBD_OPT_LIST_META_CONTEXT:
      case nbd.NBD_OPT_SET_META_CONTEXT:
        return this.#metaContext(option, data);
      default:
        return this.#error(option, nbd.NBD_REP_ERR_UNSUP, `option ${option} is not known here`);
    }
  }

  /** No error can be told: whatever is wrong ends the connection. */
  async #exportName(data: MessageReader): Promise<void> {
    const name = data.rest();
    const served = data.ok ? this.#exports.find(name) : undefined;
    if (served === undefined || this.#exports.closing) throw violation('EXPORT_NAME of an export that is not here');
    if (!this.#exports.enter(served)) throw violation('too many connections to the export');
    this.#choose(served);
    const message = new MessageWriter().u64(served.size).u16(transmissionFlags(served, this.#structured));
    if (!this.#noZeroes) message.zeroes(124);
    await this.#sender.send(message.bytes());
  }

  async #list(data: MessageReader): Promise<void> {
    const option = nbd.NBD_OPT_LIST;
    if (data.left !== 0) return this.#invalid(option, 'LIST has no data');
    for (const { name, description } of this.#exports.list()) {
      const body = new MessageWriter().counted(name).text(description ?? '');
      await this.#reply(option, nbd.NBD_REP_SERVER, body.bytes());
    }
    await this.#reply(option, nbd.NBD_REP_ACK);
  }

  async #infoOrGo(option: number, data: MessageReader): Promise<void> {
    const nameLength = data.u32();
    if (nameLength > MAX_STRING) return this.#error(option, nbd.NBD_REP_ERR_TOO_BIG, 'export name too long');
    const name = data.text(nameLength);
    const count = data.u16();
    if (!data.ok || data.left !== count * 2) return this.#invalid(option, 'lengths do not fit');
    const wanted = new Set<number>();
    for (let n = 0; n < count; n++) wanted.add(data.u16());

    const served = this.#exports.find(name);
    if (served === undefined) return this.#error(option, nbd.NBD_REP_ERR_UNKNOWN, 'no such export');
    if (option === nbd.NBD_OPT_GO && !this.#exports.enter(served))
      return this.#error(option, nbd.NBD_REP_ERR_POLICY, 'too many connections to the export');
    // from here on a place is taken: the connection must learn of it even if a reply cannot be sent
    if (option === nbd.NBD_OPT_GO) this.#choose(served);

    const info = (type: number): MessageWriter => new MessageWriter().u16(type);
    const send = (message: MessageWriter): Promise<void> => this.#reply(option, nbd.NBD_REP_INFO, message.bytes());
    if (wanted.has(nbd.NBD_INFO_NAME)) await send(info(nbd.NBD_INFO_NAME).text(served.name));
    if (wanted.has(nbd.NBD_INFO_DESCRIPTION) && served.description !== undefined)
      await send(info(nbd.NBD_INFO_DESCRIPTION).text(served.description));
    const { minimum, preferred, maximum } = served.blockSizes;
    await send(info(nbd.NBD_INFO_BLOCK_SIZE).u32(minimum).u32(preferred).u32(maximum));
    await send(info(nbd.NBD_INFO_EXPORT).u64(served.size).u16(transmissionFlags(served, this.#structured)));
    await this.#reply(option, nbd.NBD_REP_ACK);
  }

  async #metaContext(option: number, data: MessageReader): Promise<void> {
    if (!this.#structured) return this.#invalid(option, 'structured replies must be negotiated first');
    const isSet = option === nbd.NBD_OPT_SET_META_CONTEXT;
    // the last one counts, also when it fails
    if (isSet) this.#contexts = new Map();
    const name = data.counted();
    const count = data.u32();
    const queries: string[] = [];
    // each query has a length of 4 bytes at least, so the data bounds the loop
    for (let n = 0; n < count && data.ok; n++) queries.push(data.counted());
    if (!data.ok || data.left !== 0) return this.#invalid(option, 'lengths do not fit');
    const served = this.#exports.find(name);
    if (served === undefined) return this.#error(option, nbd.NBD_REP_ERR_UNKNOWN, 'no such export');

    for (const context of selectContexts(served.contexts, queries, !isSet)) {
      const id = isSet ? served.contexts.indexOf(context) : 0;
      if (isSet) this.#contexts.set(id, context);
      await this.#reply(option, nbd.NBD_REP_META_CONTEXT, new MessageWriter().u32(id).text(context.name).bytes());
    }
    if (isSet) this.#contextExport = served;
    await this.#reply(option, nbd.NBD_REP_ACK);
  }

  #choose(served: ServedExport): void {
    this.#result = {
      served,
      structured: this.#structured,
      contexts: this.#contextExport === served ? this.#contexts : new Map(),
      size: served.size,
      flags: transmissionFlags(served, this.#structured),
    };
  }

  /** What was chosen, also when the handshake failed later: its place must be given back. */
  get chosen(): ServedExport | undefined {
    return this.#result?.served;
  }

  #invalid(option: number, text: string): Promise<void> {
    return this.#error(option, nbd.NBD_REP_ERR_INVALID, text);
  }
  #error(option: number, type: number, text: string): Promise<void> {
    return this.#reply(option, type, new MessageWriter().text(text).bytes());
  }
  #reply(option: number, type: number, data: Uint8Array = new Uint8Array(0)): Promise<void> {
    const head = new MessageWriter().pair(nbd.OPTION_REPLY_MAGIC).u32(option).u32(type).u32(data.length);
    return this.#sender.send(head.u8s(data).bytes());
  }
}

export const violation = (text: string): BlockError => new BlockError('invalid-format', `the client sent ${text}`);
