/** Where a descriptor stands, and how its CID is changed there: in place, one small write, so that a cut leaves a text that can be read. */
import { BlockError, writable, type IoOptions, type Storage } from '@emkit/storage';
import { newCid, type Random } from './cid.ts';
import { parseDescriptor, type ParsedDescriptor } from './descriptor.ts';
import { hex } from './format-descriptor.ts';
import { MAX_DESCRIPTOR_BYTES } from './limits.ts';
import { fromLatin1 } from './text.ts';

/** Fewer digits leave too few values: then the text moves. */
const MIN_DIGITS = 5;

export class DescriptorPlace {
  readonly #file: Storage;
  readonly #offset: number;
  /** Bytes that are reserved for it. */
  readonly #room: number;

  constructor(file: Storage, offset: number, room: number) {
    this.#file = file;
    this.#offset = offset;
    this.#room = Math.min(room, MAX_DESCRIPTOR_BYTES);
  }

  async read(options?: IoOptions): Promise<ParsedDescriptor> {
    return parseDescriptor(await this.#bytes(options));
  }

  async #bytes(options?: IoOptions): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(this.#room, this.#file.size - this.#offset)));
    await this.#file.read(this.#offset, bytes, options);
    return bytes;
  }

  /** Writes a new CID, and gives it. Not flushed. */
  async renew(random: Random, options?: IoOptions): Promise<number> {
    const bytes = await this.#bytes(options);
    const { cid: old, cidAt } = parseDescriptor(bytes);
    const file = writable(this.#file);
    if (cidAt.length >= MIN_DIGITS) {
      // of the same length, with padding if there is some
      const isPadded = cidAt.length === 8;
      const cid = newCid(random, old, isPadded ? 8 : cidAt.length);
      await file.write(this.#offset + cidAt.offset, fromLatin1(hex(cid).slice(8 - cidAt.length)), options);
      return cid;
    }
    const cid = newCid(random, old);
    const nul = bytes.indexOf(0);
    const rest = bytes.subarray(cidAt.offset + cidAt.length, nul < 0 ? bytes.length : nul);
    // old bytes may follow the end of the text
    const moved = new Uint8Array(8 + rest.length + (nul < 0 ? 0 : 1));
    moved.set(fromLatin1(hex(cid)));
    moved.set(rest, 8);
    if (cidAt.offset + moved.length > this.#room)
      throw new BlockError('no-space', 'the descriptor has no room for a new CID', { field: 'CID' });
    await file.write(this.#offset + cidAt.offset, moved, options);
    return cid;
  }
}
