/**
 * The connection, as this package needs it, and exact reads from it. Any transport fits that keeps bytes in order: TCP and UNIX
 * sockets, WebSockets, a MessagePort, two queues in memory.
 */
import { BlockError } from '@emkit/storage';
import type { MessageMemory } from './message-memory.ts';

export interface ByteStream {
  /** The next bytes, at least one; undefined at the end. Called again only after it has settled. The bytes are the caller's from then on. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves when the peer keeps up and more may be written. Called again only after it has settled; the bytes do not change until then. */
  write(bytes: Uint8Array): Promise<void>;
  /** Sends what was written and ends the connection; pending calls settle. May be called again. */
  close(): void;
}

const EMPTY = new Uint8Array(0);

/** Cuts the stream into the lengths that the protocol says. No method is called while another is pending. */
export class StreamReader {
  readonly #stream: ByteStream;
  #chunk: Uint8Array = EMPTY;
  #at = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Whether the stream ends here; waits for the next byte. */
  atEnd(): boolean | Promise<boolean> {
    return this.#at < this.#chunk.length ? false : this.#next().then((more) => !more);
  }

  /** `length` bytes, at once if they are here already; else in a buffer of `memory`. `length` has been compared with a limit. Hot path. */
  take(length: number, memory?: MessageMemory): Uint8Array | Promise<Uint8Array> {
    const end = this.#at + length;
    if (end > this.#chunk.length) return this.#gather(memory?.take(length) ?? new Uint8Array(length));
    const bytes = this.#chunk.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** At most `length` bytes: what is here, else the next that come. */
  async some(length: number): Promise<Uint8Array> {
    if (this.#at === this.#chunk.length && !(await this.#next())) throw ended();
    const bytes = this.#chunk.subarray(this.#at, Math.min(this.#chunk.length, this.#at + length));
    this.#at += bytes.length;
    return bytes;
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) left -= (await this.some(left)).length;
  }

  async #gather(bytes: Uint8Array): Promise<Uint8Array> {
    for (let done = 0; done < bytes.length;) {
      const part = await this.some(bytes.length - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  async #next(): Promise<boolean> {
    const chunk = await this.#stream.read();
    this.#chunk = chunk ?? EMPTY;
    this.#at = 0;
    return chunk !== undefined && (chunk.length > 0 || this.#next());
  }
}

const ended = (): BlockError => new BlockError('io', 'the connection ended in the middle of a message');
