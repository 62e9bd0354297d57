/** Replies of the transmission phase as bytes. NBD protocol, "Simple reply message", "Structured reply chunk message". */
import { utf8 } from './host.ts';
import { MAX_STRING } from './limits.ts';
import type { MessageMemory } from './message-memory.ts';
import {
  CHUNK_SIZE,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
  SIMPLE_REPLY_SIZE,
} from './protocol.ts';

/** A client's name for its request; bytes that come back as they are. */
export interface Cookie {
  readonly high: number;
  readonly low: number;
}

/** A reply and the part of it that takes `length` bytes of data. */
export interface DataReply {
  readonly message: Uint8Array;
  readonly data: Uint8Array;
}

/** Hot path. */
export function simpleReply(cookie: Cookie, errno: number, length: number, memory: MessageMemory): DataReply {
  const message = memory.take(SIMPLE_REPLY_SIZE + length);
  const view = new DataView(message.buffer, message.byteOffset);
  view.setUint32(0, NBD_SIMPLE_REPLY_MAGIC);
  view.setUint32(4, errno);
  view.setUint32(8, cookie.high);
  view.setUint32(12, cookie.low);
  return { message, data: message.subarray(SIMPLE_REPLY_SIZE) };
}

/** Hot path. */
function chunk(
  cookie: Cookie,
  type: number,
  isLast: boolean,
  length: number,
  message: Uint8Array = new Uint8Array(CHUNK_SIZE + length),
): [Uint8Array, DataView] {
  const view = new DataView(message.buffer, message.byteOffset);
  view.setUint32(0, NBD_STRUCTURED_REPLY_MAGIC);
  view.setUint16(4, isLast ? NBD_REPLY_FLAG_DONE : 0);
  view.setUint16(6, type);
  view.setUint32(8, cookie.high);
  view.setUint32(12, cookie.low);
  view.setUint32(16, length);
  return [message, view];
}

function putOffset(view: DataView, offset: number): void {
  view.setUint32(CHUNK_SIZE, Math.floor(offset / 2 ** 32));
  view.setUint32(CHUNK_SIZE + 4, offset % 2 ** 32);
}

/** Hot path. */
export function dataChunk(
  cookie: Cookie,
  isLast: boolean,
  offset: number,
  length: number,
  memory: MessageMemory,
): DataReply {
  const whole = memory.take(CHUNK_SIZE + 8 + length);
  const [message, view] = chunk(cookie, NBD_REPLY_TYPE_OFFSET_DATA, isLast, 8 + length, whole);
  putOffset(view, offset);
  return { message, data: message.subarray(CHUNK_SIZE + 8) };
}

export function holeChunk(cookie: Cookie, isLast: boolean, offset: number, length: number): Uint8Array {
  const [message, view] = chunk(cookie, NBD_REPLY_TYPE_OFFSET_HOLE, isLast, 12);
  putOffset(view, offset);
  view.setUint32(CHUNK_SIZE + 8, length);
  return message;
}

export const doneChunk = (cookie: Cookie): Uint8Array => chunk(cookie, NBD_REPLY_TYPE_NONE, true, 0)[0];

export function errorChunk(cookie: Cookie, errno: number, text: string): Uint8Array {
  let words = utf8(text);
  // cut between characters: 10xxxxxx continues one
  let end = Math.min(words.length, MAX_STRING);
  if (end < words.length) while (end > 0 && ((words[end] as number) & 0xc0) === 0x80) end--;
  words = words.subarray(0, end);
  const [message, view] = chunk(cookie, NBD_REPLY_TYPE_ERROR, true, 6 + words.length);
  view.setUint32(CHUNK_SIZE, errno);
  view.setUint16(CHUNK_SIZE + 4, words.length);
  message.set(words, CHUNK_SIZE + 6);
  return message;
}

export function statusChunk(
  cookie: Cookie,
  isLast: boolean,
  context: number,
  extents: readonly { readonly length: number; readonly flags: number }[],
): Uint8Array {
  const [message, view] = chunk(cookie, NBD_REPLY_TYPE_BLOCK_STATUS, isLast, 4 + 8 * extents.length);
  view.setUint32(CHUNK_SIZE, context);
  extents.forEach(({ length, flags }, index) => {
    view.setUint32(CHUNK_SIZE + 4 + 8 * index, length);
    view.setUint32(CHUNK_SIZE + 8 + 8 * index, flags);
  });
  return message;
}
