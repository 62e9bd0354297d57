/**
 * Reads and writes of any length as requests that the server takes: cut at its maximum block size, rounded to its minimum. A write that
 * does not fit the minimum reads the rest of its blocks first; such writes exclude all others meanwhile.
 * NBD protocol, "Block size constraints".
 */
import { AsyncMutex, settleAll, type AbortSignal } from '@emkit/storage';
import type { ClientConnection } from './client-connection.ts';
import { NBD_CMD_READ, NBD_CMD_WRITE } from './protocol.ts';

export class AlignedAccess {
  readonly #connection: ClientConnection;
  readonly #size: number;
  readonly #minimum: number;
  readonly #maximum: number;
  readonly #mutex = new AsyncMutex();

  constructor(connection: ClientConnection, size: number, minimum: number, maximum: number) {
    this.#connection = connection;
    this.#size = size;
    this.#minimum = minimum;
    this.#maximum = maximum;
  }

  /** The blocks that the range touches. */
  widened(offset: number, length: number): [start: number, end: number] {
    const minimum = this.#minimum;
    const start = offset - (offset % minimum);
    return [start, Math.min(this.#size, Math.ceil((offset + length) / minimum) * minimum)];
  }

  /** The blocks that lie within the range; start >= end: none. The end of the export counts as a boundary. */
  narrowed(offset: number, length: number): [start: number, end: number] {
    const minimum = this.#minimum;
    const end = offset + length;
    const start = Math.ceil(offset / minimum) * minimum;
    return [start, end === this.#size ? end : end - (end % minimum)];
  }

  /** The range is within the export. Hot path. */
  async read(offset: number, buffer: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { length } = buffer;
    if (this.#minimum > 1) {
      const [start, end] = this.widened(offset, length);
      if (start !== offset || end !== offset + length) {
        const whole = new Uint8Array(end - start);
        await this.#readBlocks(start, whole, signal);
        buffer.set(whole.subarray(offset - start, offset - start + length));
        return;
      }
    }
    await this.#readBlocks(offset, buffer, signal);
  }

  /** The range is within the export. */
  async write(offset: number, buffer: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { length } = buffer;
    if (length === 0) return;
    if (this.#minimum === 1) return this.#writeBlocks(offset, buffer, signal);
    const [start, end] = this.widened(offset, length);
    // also whole blocks wait: another write may be about to put their old content back
    await this.#mutex.run(async () => {
      if (start === offset && end === offset + length) return this.#writeBlocks(offset, buffer, signal);
      const whole = new Uint8Array(end - start);
      await this.#readBlocks(start, whole, signal);
      whole.set(buffer, offset - start);
      await this.#writeBlocks(start, whole, signal);
    });
  }

  /** Zeroes what `narrowed` leaves out. */
  async writeZeroEdges(offset: number, length: number, signal: AbortSignal | undefined): Promise<void> {
    const [start, end] = this.narrowed(offset, length);
    if (start >= end) return this.write(offset, new Uint8Array(length), signal);
    await this.write(offset, new Uint8Array(start - offset), signal);
    await this.write(end, new Uint8Array(offset + length - end), signal);
  }

  #readBlocks(offset: number, buffer: Uint8Array, signal: AbortSignal | undefined): Promise<unknown> {
    return this.#pieces(offset, buffer.length, (at, from, to) =>
      this.#connection.run({
        type: NBD_CMD_READ,
        flags: 0,
        offset: at,
        length: to - from,
        target: buffer.subarray(from, to),
        signal,
      }),
    );
  }

  #writeBlocks(offset: number, buffer: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    return this.#pieces(offset, buffer.length, (at, from, to) =>
      this.#connection.run({
        type: NBD_CMD_WRITE,
        flags: 0,
        offset: at,
        length: to - from,
        payload: buffer.subarray(from, to),
        signal,
      }),
    );
  }

  /** All pieces at work together; an error is reported when none of them uses the buffer any more. */
  async #pieces(
    offset: number,
    length: number,
    run: (at: number, from: number, to: number) => Promise<unknown>,
  ): Promise<void> {
    if (length <= this.#maximum) {
      await run(offset, 0, length);
      return;
    }
    const all: Promise<unknown>[] = [];
    for (let from = 0; from < length; from += this.#maximum)
      all.push(run(offset + from, from, Math.min(length, from + this.#maximum)));
    await settleAll(all);
  }
}
