/**
 * The buffers of one connection, used again and again: replies on their way out, payloads that came in pieces. New ones would be filled with zeroes first,
 * and collected after; that is a third of the work of a server that reads from a cache.
 *
 * Small messages are cut from one block after the other, so that those which are sent together mostly stand together and need not be copied.
 * What is taken holds what was in it before: whoever takes it fills all of it. Bounded by KEPT_BYTES beyond what is in use.
 */
import { KEPT_BYTES } from './limits.ts';

/** Messages up to this share blocks. */
const SMALL = 16384;
const BLOCK = 256 * 1024;
/** Sizes of the others are rounded up to this. */
const UNIT = 4096;

interface Block {
  readonly bytes: Uint8Array;
  /** Parts that were taken and not released. */
  users: number;
  /** Free from here on. */
  at: number;
}

export class MessageMemory {
  /** In use, and the open one. */
  readonly #blocks = new Map<ArrayBufferLike, Block>();
  readonly #free = new Map<number, Block[]>();
  #kept = 0;
  #open: Block | undefined;

  /** Hot path. */
  take(length: number): Uint8Array {
    if (length > KEPT_BYTES) return new Uint8Array(length);
    let block: Block;
    if (length > SMALL) block = this.#block(Math.ceil(length / UNIT) * UNIT);
    else {
      if (this.#open === undefined || this.#open.at + length > BLOCK) this.#open = this.#block(BLOCK);
      block = this.#open;
    }
    const bytes = block.bytes.subarray(block.at, block.at + length);
    block.at += length;
    block.users++;
    return bytes;
  }

  /** Once for what `take` gave, when nobody uses it any more. Anything else is let pass. Hot path. */
  release(bytes: Uint8Array): void {
    const block = this.#blocks.get(bytes.buffer);
    if (block === undefined || --block.users > 0) return;
    block.at = 0;
    if (block === this.#open) return;
    this.#blocks.delete(block.bytes.buffer);
    const size = block.bytes.length;
    if (this.#kept + size > KEPT_BYTES) {
      // kept are sizes that are not asked for any more
      this.#free.clear();
      this.#kept = 0;
    }
    const list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, [block]);
    else list.push(block);
    this.#kept += size;
  }

  #block(size: number): Block {
    let block = this.#free.get(size)?.pop();
    if (block === undefined) block = { bytes: new Uint8Array(size), users: 0, at: 0 };
    else this.#kept -= size;
    this.#blocks.set(block.bytes.buffer, block);
    return block;
  }
}
