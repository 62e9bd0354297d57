/**
 * A growing byte buffer with the number encodings of the WebAssembly binary format: LEB128, IEEE little endian, vectors.
 *
 * Two layers: `put*` methods write without checking capacity (the caller has called `reserve` for the whole
 * instruction); all others check for themselves. No method allocates except when the buffer grows, and none uses BigInt.
 * Spec: WebAssembly Core 2.0 §5.2 (Binary Format, Values).
 */
import { WasmEncodeError } from './errors.ts';

/** Longest LEB128 of a 32-bit and of a 64-bit number. */
export const MAX_LEB32_BYTES = 5;
export const MAX_LEB64_BYTES = 10;

export class ByteWriter {
  /** Bytes written so far. */
  length = 0;
  private bytes: Uint8Array;
  private view: DataView;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Make room for `count` more bytes, so that `put*` calls writing at most that many are safe. */
  reserve(count: number): void {
    if (this.length + count > this.bytes.length) this.grow(count);
  }

  private grow(count: number): void {
    const bytes = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  put(byte: number): void {
    this.bytes[this.length++] = byte;
  }

  /** Unsigned LEB128 of an integer in 0 .. 2^32-1. */
  putU32(value: number): void {
    if (value >>> 0 !== value) throw new WasmEncodeError('bad-immediate', `${value} is not an unsigned 32-bit integer`);
    const bytes = this.bytes;
    let at = this.length;
    while (value > 0x7f) {
      bytes[at++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    bytes[at++] = value;
    this.length = at;
  }

  /** An opcode byte and one index: most of what a code generator writes, hence in one piece. Checks capacity. Hot path. */
  opcodeU32(opcode: number, value: number): void {
    if (value >>> 0 !== value) throw new WasmEncodeError('bad-immediate', `${value} is not an unsigned 32-bit integer`);
    if (this.length + 1 + MAX_LEB32_BYTES > this.bytes.length) this.grow(1 + MAX_LEB32_BYTES);
    const bytes = this.bytes;
    let at = this.length;
    bytes[at++] = opcode;
    while (value > 0x7f) {
      bytes[at++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    bytes[at++] = value;
    this.length = at;
  }

  /** Signed LEB128 of a 32-bit integer, which may be written signed or unsigned (-1 and 0xffffffff are the same bits). */
  putS32(value: number): void {
    let rest = value | 0;
    if (rest !== value && value >>> 0 !== value)
      throw new WasmEncodeError('bad-immediate', `${value} is not a 32-bit integer`);
    const bytes = this.bytes;
    let at = this.length;
    // One byte holds -64 .. 63; the arithmetic shift keeps the sign.
    while (rest < -64 || rest > 63) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    bytes[at++] = rest & 0x7f;
    this.length = at;
  }

  /** Signed LEB128 of the 64-bit integer `hi:lo`; each half may be signed or unsigned. */
  putS64Parts(lo: number, hi: number): void {
    lo |= 0;
    hi |= 0;
    const bytes = this.bytes;
    let at = this.length;
    // While more than one byte is needed: hi is not the sign extension of lo, or lo does not fit in seven bits.
    while (hi !== lo >> 31 || lo < -64 || lo > 63) {
      bytes[at++] = (lo & 0x7f) | 0x80;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
    }
    bytes[at++] = lo & 0x7f;
    this.length = at;
  }

  putF32(value: number): void {
    this.view.setFloat32(this.length, value, true);
    this.length += 4;
  }

  putF64(value: number): void {
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** 32 raw bits, little endian. */
  putBits32(bits: number): void {
    this.view.setInt32(this.length, bits, true);
    this.length += 4;
  }

  u8(byte: number): void {
    this.reserve(1);
    this.put(byte);
  }

  u32(value: number): void {
    this.reserve(MAX_LEB32_BYTES);
    this.putU32(value);
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  appendWriter(other: ByteWriter): void {
    this.append(other.bytes.subarray(0, other.length));
  }

  /** A vector of bytes: length, then the bytes. */
  sized(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.append(bytes);
  }

  /** A name: UTF-8, length first (spec §5.2.4). Lone surrogates have no UTF-8 form and are refused. */
  name(text: string): void {
    this.sized(encodeUtf8(text));
  }

  /** The bytes written so far, as a copy of exactly that length. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }
}

/** Bytes that `putU32` takes for `value`. */
export function u32ByteLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function encodeUtf8(text: string): Uint8Array {
  const out: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (code < 0x80) out.push(code);
    else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x10000) {
      if (code >= 0xd800 && code <= 0xdfff) throw new WasmEncodeError('bad-immediate', 'name holds a lone surrogate');
      out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    } else
      out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return Uint8Array.from(out);
}
