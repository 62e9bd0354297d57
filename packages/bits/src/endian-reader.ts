/**
 * Bounded reads of fixed-width integers from bytes that may be hostile: file headers, tables, packets.
 * Offsets are absolute, as a specification's tables give them. Every read past the end throws `BoundsError` with the
 * offset; nothing is ever read outside the given bytes. Made for headers: hot paths use a typed array of their own.
 */
import { BoundsError } from './bounds-error.ts';

class EndianReader {
  /** Number of bytes. */
  readonly length: number;
  private readonly view: DataView;
  private readonly littleEndian: boolean;
  private readonly what: string;

  constructor(bytes: Uint8Array, what: string, littleEndian: boolean) {
    this.length = bytes.length;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.littleEndian = littleEndian;
    this.what = what;
  }

  u8(offset: number): number {
    return this.at(offset, 1).getUint8(offset);
  }

  u16(offset: number): number {
    return this.at(offset, 2).getUint16(offset, this.littleEndian);
  }

  u32(offset: number): number {
    return this.at(offset, 4).getUint32(offset, this.littleEndian);
  }

  u64(offset: number): bigint {
    return this.at(offset, 8).getBigUint64(offset, this.littleEndian);
  }

  i8(offset: number): number {
    return this.at(offset, 1).getInt8(offset);
  }

  i16(offset: number): number {
    return this.at(offset, 2).getInt16(offset, this.littleEndian);
  }

  i32(offset: number): number {
    return this.at(offset, 4).getInt32(offset, this.littleEndian);
  }

  /** A 64-bit size or offset as a number; above 2^53-1 it throws `BoundsError`. */
  size64(offset: number): number {
    const value = this.u64(offset);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new BoundsError(`${this.what}: 64-bit size ${value} at ${offset} is too large`, offset);
    return Number(value);
  }

  /** A view (no copy) of `length` bytes. */
  bytes(offset: number, length: number): Uint8Array {
    const view = this.at(offset, length);
    return new Uint8Array(view.buffer, view.byteOffset + offset, length);
  }

  private at(offset: number, length: number): DataView {
    // `length <= this.length - offset`, not a sum: no overflow however large the claimed length.
    if (
      !Number.isInteger(offset) ||
      !Number.isInteger(length) ||
      offset < 0 ||
      length < 0 ||
      length > this.length - offset
    ) {
      throw new BoundsError(
        `${this.what}: ${length} byte(s) at offset ${offset} are outside its ${this.length} bytes`,
        offset,
      );
    }
    return this.view;
  }
}

/** Least significant byte first. `what` names the data in error messages. */
export class LittleEndianReader extends EndianReader {
  constructor(bytes: Uint8Array, what = 'data') {
    super(bytes, what, true);
  }
}

/** Most significant byte first. `what` names the data in error messages. */
export class BigEndianReader extends EndianReader {
  constructor(bytes: Uint8Array, what = 'data') {
    super(bytes, what, false);
  }
}
