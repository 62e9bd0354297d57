/**
 * A disk in memory that can be forked cheaply: a fork shares its pages until one side writes. Sparse. Unlike `MemoryStorage` it also has
 * synchronous operations, since the cut engine makes a disk per cut point. It orders nothing and loses nothing: see `Recorder`, `FaultPlan`.
 */
import { BlockError, checkAborted, checkAligned } from '@emkit/storage';
import type { Extent, IoOptions, WritableStorage } from '@emkit/storage';

const PAGE = 4096;

interface Page {
  readonly bytes: Uint8Array;
  /** Who may write in place. */
  readonly owner: object;
}

export class Disk implements WritableStorage {
  readonly name: string | undefined;
  #size: number;
  #pages: Map<number, Page>;
  #me: object = {};

  constructor(content: Uint8Array | number = 0, name?: string) {
    this.name = name;
    this.#pages = new Map();
    this.#size = 0;
    if (typeof content === 'number') this.#size = content;
    else this.put(0, content);
  }

  get size(): number {
    return this.#size;
  }

  /** Another disk with the same content; neither sees what is written to the other from now on. */
  fork(): Disk {
    const copy = new Disk(0, this.name);
    copy.#size = this.#size;
    copy.#pages = new Map(this.#pages);
    this.#me = {};
    return copy;
  }

  get(offset: number, buffer: Uint8Array): void {
    for (let done = 0; done < buffer.length;) {
      const at = offset + done;
      const within = at % PAGE;
      const count = Math.min(PAGE - within, buffer.length - done);
      const page = this.#pages.get((at - within) / PAGE);
      if (page === undefined) buffer.fill(0, done, done + count);
      else buffer.set(page.bytes.subarray(within, within + count), done);
      done += count;
    }
  }

  put(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const at = offset + done;
      const within = at % PAGE;
      const count = Math.min(PAGE - within, bytes.length - done);
      this.#own((at - within) / PAGE).set(bytes.subarray(done, done + count), within);
      done += count;
    }
    if (offset + bytes.length > this.#size) this.#size = offset + bytes.length;
  }

  /** Zeroes within the disk; does not grow it. */
  clear(offset: number, length: number): void {
    const end = Math.min(offset + length, this.#size);
    for (let at = offset; at < end;) {
      const within = at % PAGE;
      const index = (at - within) / PAGE;
      const count = Math.min(PAGE - within, end - at);
      if (count === PAGE) this.#pages.delete(index);
      else if (this.#pages.has(index)) this.#own(index).fill(0, within, within + count);
      at += count;
    }
  }

  resize(size: number): void {
    for (const index of this.#pages.keys()) {
      if (index * PAGE >= size) this.#pages.delete(index);
      else if ((index + 1) * PAGE > size) this.#own(index).fill(0, size - index * PAGE);
    }
    this.#size = size;
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#size);
    this.get(0, all);
    return all;
  }

  /** Bytes of pages that are held. */
  get held(): number {
    return this.#pages.size * PAGE;
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    check(offset, buffer.length, options);
    this.get(offset, buffer);
  }

  async write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    check(offset, buffer.length, options);
    this.put(offset, buffer);
  }

  async flush(options?: IoOptions): Promise<void> {
    checkAborted(options?.signal);
  }

  async truncate(size: number, options?: IoOptions): Promise<void> {
    check(size, 0, options);
    this.resize(size);
  }

  async writeZeroes(offset: number, length: number, options?: IoOptions): Promise<void> {
    check(offset, length, options);
    if (offset + length > this.#size) this.#size = offset + length;
    this.clear(offset, length);
  }

  async discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    check(offset, length, options);
    this.clear(offset, length);
  }

  async extent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    check(offset, length, options);
    const limit = Math.min(length, this.#size - offset);
    if (limit <= 0) throw new BlockError('out-of-bounds', `extent at ${offset} is outside of ${this.#size} bytes`);
    const first = Math.floor(offset / PAGE);
    const data = this.#pages.has(first);
    let next = first + 1;
    while (next * PAGE < offset + limit && this.#pages.has(next) === data) next++;
    return { length: Math.min(next * PAGE - offset, limit), data, zero: !data };
  }

  #own(index: number): Uint8Array {
    const page = this.#pages.get(index);
    if (page !== undefined && page.owner === this.#me) return page.bytes;
    const bytes = page === undefined ? new Uint8Array(PAGE) : page.bytes.slice();
    this.#pages.set(index, { bytes, owner: this.#me });
    return bytes;
  }
}

function check(offset: number, length: number, options: IoOptions | undefined): void {
  checkAligned(offset, length, 1);
  checkAborted(options?.signal);
}
