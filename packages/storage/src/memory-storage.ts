/** A storage in memory: for tests, and for small images that were fetched whole. Sparse: only pages that were written take space. */
import { BlockError } from './block-error.ts';
import { checkAligned } from './ranges.ts';
import type { Extent, WritableStorage } from './storage.ts';

const PAGE = 65536;

export class MemoryStorage implements WritableStorage {
  readonly name: string | undefined;
  size: number;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(content: Uint8Array | number = 0, name?: string) {
    this.name = name;
    this.size = typeof content === 'number' ? content : content.length;
    if (typeof content !== 'number') this.#put(0, content);
  }

  read(offset: number, buffer: Uint8Array): Promise<void> {
    checkAligned(offset, buffer.length, 1);
    for (let done = 0; done < buffer.length;) {
      const at = offset + done;
      const within = at % PAGE;
      const count = Math.min(PAGE - within, buffer.length - done);
      const page = this.#pages.get(Math.floor(at / PAGE));
      if (page === undefined) buffer.fill(0, done, done + count);
      else buffer.set(page.subarray(within, within + count), done);
      done += count;
    }
    return Promise.resolve();
  }

  write(offset: number, buffer: Uint8Array): Promise<void> {
    checkAligned(offset, buffer.length, 1);
    this.#put(offset, buffer);
    this.size = Math.max(this.size, offset + buffer.length);
    return Promise.resolve();
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  truncate(size: number): Promise<void> {
    checkAligned(size, 0, 1);
    for (const [index, page] of this.#pages) {
      if (index * PAGE >= size) this.#pages.delete(index);
      else if ((index + 1) * PAGE > size) page.fill(0, size - index * PAGE);
    }
    this.size = size;
    return Promise.resolve();
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    checkAligned(offset, length, 1);
    this.#clear(offset, length);
    this.size = Math.max(this.size, offset + length);
    return Promise.resolve();
  }

  discard(offset: number, length: number): Promise<void> {
    checkAligned(offset, length, 1);
    this.#clear(offset, length);
    return Promise.resolve();
  }

  extent(offset: number, length: number): Promise<Extent> {
    const limit = Math.min(length, this.size - offset);
    if (!(offset >= 0 && limit > 0))
      return Promise.reject(new BlockError('out-of-bounds', `extent at ${offset} is outside of ${this.size} bytes`));
    const first = Math.floor(offset / PAGE);
    const last = Math.floor((offset + limit - 1) / PAGE);
    const data = this.#pages.has(first);
    const next = data ? this.#firstHole(first, last) : this.#firstPage(first, last);
    const end = next * PAGE;
    return Promise.resolve({ length: Math.min(end - offset, limit), data, zero: !data });
  }

  #firstHole(from: number, last: number): number {
    let index = from;
    while (index <= last && this.#pages.has(index)) index++;
    return index;
  }

  /** Looks at the pages there are, or at the places where one could be: whichever is fewer. */
  #firstPage(from: number, last: number): number {
    let best = last + 1;
    if (this.#pages.size < last - from) {
      for (const index of this.#pages.keys()) if (index > from && index < best) best = index;
      return best;
    }
    for (let index = from; index <= last; index++) if (this.#pages.has(index)) return index;
    return best;
  }

  /** A copy of everything; for small contents. */
  bytes(): Uint8Array {
    const all = new Uint8Array(this.size);
    void this.read(0, all);
    return all;
  }

  #put(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const at = offset + done;
      const index = Math.floor(at / PAGE);
      const within = at - index * PAGE;
      const count = Math.min(PAGE - within, bytes.length - done);
      let page = this.#pages.get(index);
      if (page === undefined) this.#pages.set(index, (page = new Uint8Array(PAGE)));
      page.set(bytes.subarray(done, done + count), within);
      done += count;
    }
  }

  #clear(offset: number, length: number): void {
    for (let at = offset; at < offset + length;) {
      const index = Math.floor(at / PAGE);
      const end = Math.min((index + 1) * PAGE, offset + length);
      if (end - at === PAGE) this.#pages.delete(index);
      else this.#pages.get(index)?.fill(0, at - index * PAGE, end - index * PAGE);
      at = end;
    }
  }
}
