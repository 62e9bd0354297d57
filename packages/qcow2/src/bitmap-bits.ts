/** A large set of bits, most of them clear: pages exist where something is set. Bit n is bit n % 8 of byte n / 8, as in the image. */

const PAGE_BYTES = 4096;
const PAGE_BITS = PAGE_BYTES * 8;
/** Stands for every page whose bits are all set, so that a disk that is dirty as a whole takes no memory. Never changed. */
const FULL = new Uint8Array(PAGE_BYTES).fill(0xff);

export class DirtyBits {
  readonly #pages = new Map<number, Uint8Array>();

  get isEmpty(): boolean {
    return this.#pages.size === 0;
  }

  clear(): void {
    this.#pages.clear();
  }

  /** Hot path. */
  set(first: number, end: number): void {
    for (let at = first; at < end;) {
      const index = Math.floor(at / PAGE_BITS);
      const from = at - index * PAGE_BITS;
      const to = Math.min(PAGE_BITS, end - index * PAGE_BITS);
      at = index * PAGE_BITS + to;
      let page = this.#pages.get(index);
      if (page === FULL) continue;
      if (to - from === PAGE_BITS) {
        this.#pages.set(index, FULL);
        continue;
      }
      if (page === undefined) this.#pages.set(index, (page = new Uint8Array(PAGE_BYTES)));
      setBits(page, from, to);
    }
  }

  /** Forgets bits from `end` on. */
  truncate(end: number): void {
    for (const [index, page] of this.#pages) {
      if (index * PAGE_BITS >= end) this.#pages.delete(index);
      else if ((index + 1) * PAGE_BITS > end) {
        const own = page === FULL ? FULL.slice() : page;
        this.#pages.set(index, own);
        clearBits(own, end - index * PAGE_BITS);
      }
    }
  }

  /** Whether all bits of these bytes are known to be set: whole pages only. */
  isFull(byteOffset: number, length: number): boolean {
    if (byteOffset % PAGE_BYTES !== 0 && length >= PAGE_BYTES) return false;
    for (let at = byteOffset - (byteOffset % PAGE_BYTES); at < byteOffset + length; at += PAGE_BYTES)
      if (this.#pages.get(at / PAGE_BYTES) !== FULL) return false;
    return true;
  }

  /** ORs bytes of an image in; `byteOffset` counts from the start of the bitmap. */
  orBytes(byteOffset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const index = Math.floor((byteOffset + done) / PAGE_BYTES);
      const within = (byteOffset + done) % PAGE_BYTES;
      const part = bytes.subarray(done, done + PAGE_BYTES - within);
      done += part.length;
      if (!part.some((byte) => byte !== 0)) continue;
      let page = this.#pages.get(index);
      if (page === FULL) continue;
      if (page === undefined) this.#pages.set(index, (page = new Uint8Array(PAGE_BYTES)));
      for (let i = 0; i < part.length; i++) (page[within + i] as number) |= part[i] as number;
    }
  }

  /** ORs the bits into bytes of an image; true if there were any. */
  orInto(byteOffset: number, bytes: Uint8Array): boolean {
    let isAny = false;
    for (let done = 0; done < bytes.length;) {
      const index = Math.floor((byteOffset + done) / PAGE_BYTES);
      const within = (byteOffset + done) % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - within, bytes.length - done);
      const page = this.#pages.get(index);
      if (page !== undefined) {
        isAny = true;
        for (let i = 0; i < length; i++) (bytes[done + i] as number) |= page[within + i] as number;
      }
      done += length;
    }
    return isAny;
  }

  /** Ascending indexes of the pieces of `pieceBytes` in which something is set. */
  pieces(pieceBytes: number): number[] {
    const found = new Set<number>();
    for (const index of this.#pages.keys()) {
      const start = index * PAGE_BYTES;
      for (let at = start - (start % pieceBytes); at < start + PAGE_BYTES; at += pieceBytes) found.add(at / pieceBytes);
    }
    return [...found].sort((a, b) => a - b);
  }

  /** Runs of set bits, ascending: [first, end). */
  *runs(): Generator<[first: number, end: number]> {
    let start = -1;
    let end = -1;
    for (const index of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(index) as Uint8Array;
      if (page === FULL) {
        const first = index * PAGE_BITS;
        if (first !== end) {
          if (start >= 0) yield [start, end];
          start = first;
        }
        end = first + PAGE_BITS;
        continue;
      }
      for (let i = 0; i < PAGE_BITS; i++) {
        const byte = page[i >> 3] as number;
        if (byte === 0) {
          i |= 7;
          continue;
        }
        if ((byte & (1 << (i & 7))) === 0) continue;
        const bit = index * PAGE_BITS + i;
        if (bit !== end) {
          if (start >= 0) yield [start, end];
          start = bit;
        }
        end = bit + 1;
      }
    }
    if (start >= 0) yield [start, end];
  }
}

function setBits(page: Uint8Array, from: number, to: number): void {
  let at = from;
  for (; at < to && (at & 7) !== 0; at++) (page[at >> 3] as number) |= 1 << (at & 7);
  const whole = (to - at) >> 3;
  if (whole > 0) page.fill(0xff, at >> 3, (at >> 3) + whole);
  for (at += Math.max(0, whole) * 8; at < to; at++) (page[at >> 3] as number) |= 1 << (at & 7);
}

function clearBits(page: Uint8Array, from: number): void {
  const byte = from >> 3;
  page[byte] = (page[byte] as number) & ((1 << (from & 7)) - 1);
  page.fill(0, byte + 1);
}
