/** Byte-level reader and writer of saved states: bounds, names, little-endian scalars. The layout is in `state-stream.ts`. */
import type { ScalarKind } from './vmstate.ts';

/** A state that cannot be loaded (or an object that does not fit its description). */
export class StateError extends Error {
  override readonly name = 'StateError';
  readonly section: string;
  readonly field: string;
  constructor(section: string, fieldName: string, message: string) {
    super(`saved state: section '${section}'${fieldName === '' ? '' : `, field '${fieldName}'`}: ${message}`);
    this.section = section;
    this.field = fieldName;
  }
}

/** Bytes per scalar. */
export const SCALAR_SIZES: Readonly<Record<ScalarKind, number>> = {
  bool: 1,
  u8: 1,
  u16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};
const TWO_32 = 0x100000000;

export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
  u8(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }
  u16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
  }
  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }
  str(text: string): void {
    const bytes = encodeUtf8(text);
    if (bytes.length > 255) throw new StateError(text, '', 'name longer than 255 bytes');
    this.u8(bytes.length);
    for (const byte of bytes) this.u8(byte);
  }
  scalar(kind: ScalarKind, value: number): void {
    const at = this.#reserve(SCALAR_SIZES[kind]);
    if (kind === 'f64') this.#view.setFloat64(at, value, true);
    else if (SCALAR_SIZES[kind] === 8) {
      const high = Math.floor(value / TWO_32);
      this.#view.setUint32(at, value - high * TWO_32, true);
      this.#view.setInt32(at + 4, high, true);
    } else if (SCALAR_SIZES[kind] === 4) this.#view.setUint32(at, value, true);
    else if (kind === 'u16') this.#view.setUint16(at, value, true);
    else this.#view.setUint8(at, value);
  }
  /** Writes a u32 byte length, then what `write` writes. */
  sized(write: () => void): void {
    const at = this.#reserve(4);
    write();
    this.#view.setUint32(at, this.#length - at - 4, true);
  }
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

export class ByteReader {
  section = '';
  field = '';
  position = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get left(): number {
    return this.#view.byteLength - this.position;
  }
  fail(message: string): StateError {
    return new StateError(this.section, this.field, message);
  }
  #take(count: number): number {
    if (count > this.left) throw this.fail('truncated');
    this.position += count;
    return this.position - count;
  }
  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  str(): string {
    const length = this.u8();
    const at = this.#take(length);
    return decodeUtf8(new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, length));
  }
  /** Reads a byte length; returns the position where the block ends. */
  blockEnd(): number {
    const length = this.u32();
    if (length > this.left) throw this.fail('truncated');
    return this.position + length;
  }
  scalar(kind: ScalarKind): number {
    const at = this.#take(SCALAR_SIZES[kind]);
    if (kind === 'f64') return this.#view.getFloat64(at, true);
    if (kind === 'u64') return this.#view.getUint32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true);
    if (kind === 'i64') return this.#view.getInt32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true);
    if (kind === 'i32') return this.#view.getInt32(at, true);
    if (kind === 'u32') return this.#view.getUint32(at, true);
    return kind === 'u16' ? this.#view.getUint16(at, true) : this.#view.getUint8(at);
  }
}

/** Ids are ASCII in practice; other code points are escaped so that no text encoder of a host library is needed. */
function encodeUtf8(text: string): number[] {
  const escaped = encodeURIComponent(text);
  const bytes: number[] = [];
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] === '%') {
      bytes.push(Number.parseInt(escaped.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(escaped.charCodeAt(i));
  }
  return bytes;
}

/** Invalid sequences become U+FFFD: the name then matches nothing and is refused. */
function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decodeURIComponent([...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
  } catch {
    return '\ufffd';
  }
}
