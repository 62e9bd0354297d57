/** Messages in the order of their fields, and back. Everything big-endian; 64-bit numbers that are no safe integers come out as NaN. */
import { fromUtf8, utf8 } from './host.ts';
import { MAX_STRING } from './limits.ts';

/** A message under construction. */
export class MessageWriter {
  readonly #parts: number[] = [];

  u8s(bytes: Uint8Array): this {
    for (const byte of bytes) this.#parts.push(byte);
    return this;
  }
  u16(value: number): this {
    this.#parts.push((value >>> 8) & 0xff, value & 0xff);
    return this;
  }
  u32(value: number): this {
    return this.u16(value >>> 16).u16(value);
  }
  u64(value: number): this {
    return this.u32(Math.floor(value / 2 ** 32)).u32(value % 2 ** 32);
  }
  pair(halves: readonly [number, number]): this {
    return this.u32(halves[0]).u32(halves[1]);
  }
  zeroes(count: number): this {
    for (let n = 0; n < count; n++) this.#parts.push(0);
    return this;
  }
  text(text: string): this {
    return this.u8s(utf8(text));
  }
  /** 32 bits of length, then the text. */
  counted(text: string): this {
    const bytes = utf8(text);
    return this.u32(bytes.length).u8s(bytes);
  }
  bytes(): Uint8Array {
    return Uint8Array.from(this.#parts);
  }
}

/** A number of 64 bits from its halves; NaN beyond what a double holds exactly. Hot path. */
export const join64 = (high: number, low: number): number => (high < 0x200000 ? high * 2 ** 32 + low : NaN);

/** Reads a message that is here as a whole. A field beyond its end makes everything after it undefined: check `ok` once, at the end. */
export class MessageReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  /** Nothing was read past the end, and no text was broken. */
  ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }
  u16(): number {
    return this.#has(2) ? this.#view.getUint16(this.#step(2)) : 0;
  }
  u32(): number {
    return this.#has(4) ? this.#view.getUint32(this.#step(4)) : 0;
  }
  u64(): number {
    return join64(this.u32(), this.u32());
  }
  is(halves: readonly [number, number]): boolean {
    return (this.u32() === halves[0] && this.u32() === halves[1]) === true;
  }
  /** Text of `length` bytes; broken, too long or past the end: the empty text, and not `ok`. */
  text(length: number): string {
    if (length > MAX_STRING || !this.#has(length)) {
      this.ok = false;
      return '';
    }
    const at = this.#step(length);
    const text = fromUtf8(this.#bytes.subarray(at, at + length));
    if (text === undefined) this.ok = false;
    return text ?? '';
  }
  counted(): string {
    return this.text(this.u32());
  }
  rest(): string {
    return this.text(this.left);
  }

  #has(count: number): boolean {
    if (count > this.left) this.ok = false;
    return this.ok;
  }
  #step(count: number): number {
    const at = this.#at;
    this.#at += count;
    return at;
  }
}
