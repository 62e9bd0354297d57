/** A connection in memory: what one end writes, the other reads. With back-pressure, as a socket has. */
import { BlockError } from '@emkit/storage';
import type { ByteStream } from './byte-stream.ts';

/** Bytes that wait unread before a writer has to. */
const HIGH_WATER = 65536;

/** One direction. */
class Pipe {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isEnded = false;
  #onData: (() => void) | undefined;
  #onRoom: (() => void) | undefined;

  async read(): Promise<Uint8Array | undefined> {
    while (this.#chunks.length === 0 && !this.#isEnded) await new Promise<void>((resolve) => (this.#onData = resolve));
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.#bytes -= chunk.length;
    if (this.#bytes < HIGH_WATER) this.#onRoom?.();
    return chunk;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isEnded) throw new BlockError('closed', 'the stream is closed');
    // the writer may change its bytes afterwards
    this.#chunks.push(bytes.slice());
    this.#bytes += bytes.length;
    this.#onData?.();
    while (this.#bytes >= HIGH_WATER && !this.#isEnded) await new Promise<void>((resolve) => (this.#onRoom = resolve));
  }

  /** What was written can still be read. */
  end(): void {
    this.#isEnded = true;
    this.#onData?.();
    this.#onRoom?.();
  }

  /** What was written is lost. */
  drop(): void {
    this.#chunks.length = 0;
    this.#bytes = 0;
    this.end();
  }
}

export function streamPair(): [ByteStream, ByteStream] {
  const there = new Pipe();
  const back = new Pipe();
  const end = (input: Pipe, output: Pipe): ByteStream => ({
    read: () => input.read(),
    write: (bytes) => output.write(bytes),
    close() {
      input.drop();
      output.end();
    },
  });
  return [end(back, there), end(there, back)];
}
