/**
 * The client's half of the handshake: from the greeting to an export with what can be done with it. Fixed newstyle with GO, and
 * what older servers need: EXPORT_NAME alone. NBD protocol, "Newstyle negotiation", "Option types".
 *
 * The server is not trusted: counts and lengths are bounded, its texts are cut and cleaned before they stand in an error.
 */
import { BlockError } from '@emkit/storage';
import type { StreamReader } from './byte-stream.ts';
import { printable } from './errno.ts';
import { fromUtf8 } from './host.ts';
import { MAX_EXPORT_SIZE, MAX_OPTION_DATA, MAX_OPTION_REPLIES, MAX_PAYLOAD } from './limits.ts';
import { MessageReader, MessageWriter } from './message.ts';
import * as nbd from './protocol.ts';
import type { Sender } from './sender.ts';

/** What a server says of an export. */
export interface ExportInfo {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Transmission flags, as in the protocol document. */
  readonly flags: number;
  readonly description?: string | undefined;
  /** Requests must be multiples of `minimum`, and payloads at most `maximum`; undefined: the server does not say. */
  readonly blockSizes?: { readonly minimum: number; readonly preferred: number; readonly maximum: number } | undefined;
}

/** A metadata context that the server agreed to. */
export interface AgreedContext {
  readonly id: number;
  readonly name: string;
}

interface OptionReply {
  readonly type: number;
  readonly data: Uint8Array;
}

export class ClientHandshake {
  readonly #reader: StreamReader;
  readonly #sender: Sender;
  #isFixed = false;
  #noZeroes = false;
  #replies = 0;
  structured = false;

  constructor(reader: StreamReader, sender: Sender) {
    this.#reader = reader;
    this.#sender = sender;
  }

  async greet(): Promise<void> {
    const greeting = new MessageReader(await this.#reader.take(16));
    if (!greeting.is(nbd.NBDMAGIC)) throw nonsense('no NBD server answers there (wrong magic)');
    const second = [greeting.u32(), greeting.u32()] as const;
    if (second[0] === nbd.CLISERV_MAGIC[0] && second[1] === nbd.CLISERV_MAGIC[1])
      throw new BlockError('unsupported-feature', 'the server speaks only the oldstyle handshake');
    if (second[0] !== nbd.IHAVEOPT[0] || second[1] !== nbd.IHAVEOPT[1])
      throw nonsense('no NBD server answers there (wrong second magic)');
    const flags = new MessageReader(await this.#reader.take(2)).u16();
    this.#isFixed = (flags & nbd.NBD_FLAG_FIXED_NEWSTYLE) !== 0;
    this.#noZeroes = (flags & nbd.NBD_FLAG_NO_ZEROES) !== 0;
    const answer = flags & (nbd.NBD_FLAG_FIXED_NEWSTYLE | nbd.NBD_FLAG_NO_ZEROES);
    await this.#send(new MessageWriter().u32(answer).bytes());
  }

  /** Asks for structured replies. */
  async askStructured(): Promise<boolean> {
    if (!this.#isFixed) return false;
    const [reply] = await this.#ask(nbd.NBD_OPT_STRUCTURED_REPLY, new MessageWriter(), []);
    this.structured = reply.type === nbd.NBD_REP_ACK;
    return this.structured;
  }

  /** Chooses metadata contexts, or lists them. Empty when the server cannot. */
  async contexts(option: 'list' | 'set', exportName: string, queries: readonly string[]): Promise<AgreedContext[]> {
    if (!this.structured) return [];
    const data = new MessageWriter().counted(exportName).u32(queries.length);
    for (const query of queries) data.counted(query);
    const number = option === 'set' ? nbd.NBD_OPT_SET_META_CONTEXT : nbd.NBD_OPT_LIST_META_CONTEXT;
    const replies = await this.#ask(number, data, [nbd.NBD_REP_META_CONTEXT]);
    if (replies[0].type >= nbd.NBD_REP_FLAG_ERROR) return [];
    const agreed: AgreedContext[] = [];
    for (const { type, data: body } of replies) {
      if (type !== nbd.NBD_REP_META_CONTEXT) continue;
      const reader = new MessageReader(body);
      const context = { id: reader.u32(), name: reader.rest() };
      if (!reader.ok) throw nonsense('a broken metadata context');
      if (option === 'list') agreed.push(context);
      // a context that nobody asked for, or an id twice, could not be told apart later
      else if (queries.includes(context.name) && agreed.every(({ id }) => id !== context.id)) agreed.push(context);
      else throw nonsense(`metadata context '${printable(context.name)}', which was not asked for`);
    }
    return agreed;
  }

  /** Enters the transmission phase, or (`info`) only asks about an export. */
  async choose(option: 'go' | 'info', exportName: string): Promise<ExportInfo> {
    if (!this.#isFixed) return this.#exportName(exportName);
    const types = [nbd.NBD_INFO_NAME, nbd.NBD_INFO_DESCRIPTION, nbd.NBD_INFO_BLOCK_SIZE];
    const data = new MessageWriter().counted(exportName).u16(types.length);
    for (const type of types) data.u16(type);
    const number = option === 'go' ? nbd.NBD_OPT_GO : nbd.NBD_OPT_INFO;
    const replies = await this.#ask(number, data, [nbd.NBD_REP_INFO]);
    const last = replies.at(-1) as OptionReply;
    if (last.type === nbd.NBD_REP_ERR_UNSUP && option === 'go') return this.#exportName(exportName);
    if (last.type !== nbd.NBD_REP_ACK) throw refusal(last, exportName);
    return readInfo(exportName, replies);
  }

  async list(): Promise<{ name: string; description: string | undefined }[]> {
    if (!this.#isFixed) throw new BlockError('unsupported-feature', 'the server cannot list its exports');
    const replies = await this.#ask(nbd.NBD_OPT_LIST, new MessageWriter(), [nbd.NBD_REP_SERVER]);
    const last = replies.at(-1) as OptionReply;
    if (last.type !== nbd.NBD_REP_ACK) throw refusal(last, '');
    return replies.slice(0, -1).map(({ data }) => {
      const reader = new MessageReader(data);
      const name = reader.counted();
      const description = reader.rest();
      if (!reader.ok) throw nonsense('a broken name of an export');
      return { name, description: description === '' ? undefined : description };
    });
  }

  /** Leaves in order. */
  async abort(): Promise<void> {
    if (this.#isFixed) await this.#sender.send(optionMessage(nbd.NBD_OPT_ABORT, new Uint8Array(0)));
  }

  async #exportName(exportName: string): Promise<ExportInfo> {
    await this.#send(optionMessage(nbd.NBD_OPT_EXPORT_NAME, new MessageWriter().text(exportName).bytes()));
    if (await this.#reader.atEnd())
      throw new BlockError('not-found', `the server closed the connection: it may have no export '${exportName}'`);
    const reply = new MessageReader(await this.#reader.take(10));
    const info = { name: exportName, size: checkedSize(reply.u64()), flags: checkedFlags(reply.u16()) };
    if (!this.#noZeroes) await this.#reader.skip(124);
    return info;
  }

  /** A server that has closed may have said why: what comes from it decides, not that it cannot be reached. */
  async #send(message: Uint8Array): Promise<void> {
    await this.#sender.send(message).catch(() => undefined);
  }

  /** All replies to an option; the last one is ACK or an error. Types in `also` may come before it. */
  async #ask(option: number, data: MessageWriter, also: readonly number[]): Promise<[OptionReply, ...OptionReply[]]> {
    await this.#send(optionMessage(option, data.bytes()));
    const replies: OptionReply[] = [];
    for (;;) {
      const header = new MessageReader(await this.#reader.take(nbd.OPTION_REPLY_SIZE));
      if (!header.is(nbd.OPTION_REPLY_MAGIC)) throw nonsense('wrong magic of an option reply');
      if (header.u32() !== option) throw nonsense('a reply to an option that was not sent');
      const type = header.u32();
      const length = header.u32();
      if (length > MAX_OPTION_DATA) throw nonsense(`an option reply of ${length} bytes`);
      if (++this.#replies > MAX_OPTION_REPLIES) throw nonsense(`more than ${MAX_OPTION_REPLIES} option replies`);
      const bytes = await this.#reader.take(length);
      // a copy: the bytes are part of a larger chunk that would be kept alive
      const reply = { type, data: bytes.slice() };
      if (type === nbd.NBD_REP_ERR_SHUTDOWN) throw new BlockError('io', 'the server is shutting down');
      if (type === nbd.NBD_REP_ACK || type >= nbd.NBD_REP_FLAG_ERROR) {
        replies.push(reply);
        return replies as [OptionReply, ...OptionReply[]];
      }
      if (!also.includes(type)) throw nonsense(`reply type ${type} to option ${option}`);
      replies.push(reply);
    }
  }
}

function optionMessage(option: number, data: Uint8Array): Uint8Array {
  return new MessageWriter().pair(nbd.IHAVEOPT).u32(option).u32(data.length).u8s(data).bytes();
}

function readInfo(exportName: string, replies: readonly OptionReply[]): ExportInfo {
  let main: { size: number; flags: number } | undefined;
  let name = exportName;
  let description: string | undefined;
  let blockSizes: ExportInfo['blockSizes'];
  for (const { type, data } of replies) {
    if (type !== nbd.NBD_REP_INFO) continue;
    const reader = new MessageReader(data);
    switch (reader.u16()) {
      case nbd.NBD_INFO_EXPORT:
        main = { size: checkedSize(reader.u64()), flags: checkedFlags(reader.u16()) };
        break;
      case nbd.NBD_INFO_NAME:
        name = reader.rest();
        break;
      case nbd.NBD_INFO_DESCRIPTION:
        description = reader.rest();
        break;
      case nbd.NBD_INFO_BLOCK_SIZE:
        blockSizes = checkedBlockSizes({ minimum: reader.u32(), preferred: reader.u32(), maximum: reader.u32() });
        break;
    }
    if (!reader.ok) throw nonsense('broken information about an export');
  }
  if (main === undefined) throw nonsense('no size of the export');
  return { name, ...main, description, blockSizes };
}

function checkedSize(size: number): number {
  // NaN: beyond 2^53
  if (!(size <= MAX_EXPORT_SIZE))
    throw new BlockError('unsupported-feature', 'the export is larger than 2^53 bytes', { field: 'export size' });
  return size;
}

function checkedFlags(flags: number): number {
  if ((flags & nbd.NBD_FLAG_HAS_FLAGS) === 0) throw nonsense('transmission flags without NBD_FLAG_HAS_FLAGS');
  return flags;
}

/** "The minimum block size MUST be a power of 2, and at most 64 KiB." */
function checkedBlockSizes(sizes: { minimum: number; preferred: number; maximum: number }): ExportInfo['blockSizes'] {
  const { minimum, preferred } = sizes;
  // 0xffffffff means no limit; ours holds either way
  const maximum = Math.min(sizes.maximum, MAX_PAYLOAD);
  if (minimum < 1 || minimum > 65536 || (minimum & (minimum - 1)) !== 0 || preferred < minimum || maximum < minimum)
    throw nonsense(`block sizes ${minimum}, ${preferred}, ${sizes.maximum}`);
  return { minimum, preferred, maximum: maximum - (maximum % minimum) };
}

function refusal({ type, data }: OptionReply, exportName: string): BlockError {
  const said = fromUtf8(data);
  const words = said === undefined || said === '' ? '' : `: ${printable(said)}`;
  switch (type) {
    case nbd.NBD_REP_ERR_UNKNOWN:
      return new BlockError('not-found', `the server has no export '${printable(exportName)}'${words}`);
    case nbd.NBD_REP_ERR_TLS_REQD:
      return new BlockError('unsupported-feature', `the server wants TLS, which is not supported${words}`);
    case nbd.NBD_REP_ERR_UNSUP:
      return new BlockError('unsupported-feature', `the server does not know the option${words}`);
    default:
      return new BlockError('refused', `the server refuses export '${printable(exportName)}'${words}`);
  }
}

export const nonsense = (text: string): BlockError => new BlockError('invalid-format', `NBD server: ${text}`);
