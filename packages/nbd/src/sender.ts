/**
 * Messages out, in order, one write of the stream at a time; small ones that are ready together go in one write. Holds no limit of its
 * own: whoever sends waits for the promise before more work of the same peer is taken on.
 */
import { BlockError } from '@emkit/storage';
import type { ByteStream } from './byte-stream.ts';
import type { Timer } from './host.ts';
import type { MessageMemory } from './message-memory.ts';

/** Messages below this are copied together, up to the second number. */
const SMALL = 16384;
const BATCH = 65536;

interface Item {
  readonly bytes: Uint8Array;
  readonly done: (() => void) | undefined;
  readonly failed: ((error: unknown) => void) | undefined;
}

export class Sender {
  readonly #stream: ByteStream;
  readonly #timer: Timer;
  readonly #stallMs: number;
  readonly #memory: MessageMemory | undefined;
  readonly #queue: Item[] = [];
  #running = false;
  #error: unknown;
  #onFail: ((error: unknown) => void) | undefined;

  /** A peer that takes nothing for `stallMs` is cut off. `memory` gets back what was sent, if it is its own. */
  constructor(stream: ByteStream, timer: Timer, stallMs: number, memory?: MessageMemory) {
    this.#stream = stream;
    this.#timer = timer;
    this.#stallMs = stallMs;
    this.#memory = memory;
  }

  /** Resolves when the stream has taken the bytes. They do not change until then. */
  send(bytes: Uint8Array): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((done, failed) => {
      this.#queue.push({ bytes, done, failed });
      this.#start();
    });
  }

  /** Two parts of one message, nothing in between. */
  sendBoth(head: Uint8Array, body: Uint8Array): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((done, failed) => {
      this.#queue.push({ bytes: head, done: undefined, failed: undefined }, { bytes: body, done, failed });
      this.#start();
    });
  }

  /** Nothing more is sent; what waits rejects with `error`, even if the stream never settles its write. */
  fail(error: unknown): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    for (const item of this.#queue.splice(0)) item.failed?.(error);
    this.#onFail?.(error);
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    // one turn, so that what becomes ready in this one goes out together
    await undefined;
    while (this.#queue.length > 0) {
      const items = this.#nextBatch();
      try {
        await this.#write(items.length === 1 ? (items[0] as Item).bytes : joined(items));
      } catch (error) {
        for (const item of items) item.failed?.(error);
        return this.fail(error);
      }
      for (const item of items) {
        this.#memory?.release(item.bytes);
        item.done?.();
      }
    }
    this.#running = false;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const failed = new Promise<never>((_, reject) => (this.#onFail = reject));
    const cancel = this.#timer.after(this.#stallMs, () => {
      this.#stream.close();
      this.fail(new BlockError('io', `the peer has read nothing for ${this.#stallMs} ms`));
    });
    try {
      await Promise.race([this.#stream.write(bytes), failed]);
    } finally {
      cancel();
      this.#onFail = undefined;
    }
  }

  #nextBatch(): Item[] {
    const queue = this.#queue;
    let count = 0;
    for (let bytes = 0; count < queue.length; count++) {
      const { length } = (queue[count] as Item).bytes;
      if (length >= SMALL || bytes + length > BATCH) break;
      bytes += length;
    }
    return queue.splice(0, Math.max(1, count));
  }
}

function joined(items: readonly Item[]): Uint8Array {
  const { buffer, byteOffset } = (items[0] as Item).bytes;
  let end = byteOffset;
  for (const { bytes } of items) {
    if (bytes.buffer !== buffer || bytes.byteOffset !== end) return copied(items);
    end += bytes.length;
  }
  return new Uint8Array(buffer, byteOffset, end - byteOffset);
}

function copied(items: readonly Item[]): Uint8Array {
  const all = new Uint8Array(items.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let at = 0;
  for (const { bytes } of items) {
    all.set(bytes, at);
    at += bytes.length;
  }
  return all;
}
