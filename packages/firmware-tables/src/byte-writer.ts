/** A table of fixed size being filled in: little-endian stores at byte offsets, and the checksum all these tables share. */
export interface ByteWriter {
  readonly bytes: Uint8Array;
  u8(offset: number, value: number): void;
  u16(offset: number, value: number): void;
  u32(offset: number, value: number): void;
  /** A value below 2^53 as 64 bits. */
  u64(offset: number, value: number): void;
  /** ASCII, padded with spaces to `length`. */
  text(offset: number, value: string, length: number): void;
  /** Sets the byte at `offset` so that [from, to) sums to zero mod 256. */
  checksum(offset: number, from: number, to: number): void;
}

export function createByteWriter(size: number): ByteWriter {
  const bytes = new Uint8Array(size);
  const v = new DataView(bytes.buffer);
  return {
    bytes,
    u8: (o, n) => v.setUint8(o, n),
    u16: (o, n) => v.setUint16(o, n, true),
    u32: (o, n) => v.setUint32(o, n, true),
    u64: (o, n) => {
      v.setUint32(o, n % 2 ** 32, true);
      v.setUint32(o + 4, Math.floor(n / 2 ** 32), true);
    },
    text: (o, s, length) => {
      for (let i = 0; i < length; i++) bytes[o + i] = i < s.length ? s.charCodeAt(i) : 0x20;
    },
    checksum: (o, from, to) => {
      bytes[o] = 0;
      let sum = 0;
      for (let i = from; i < to; i++) sum += bytes[i]!;
      bytes[o] = -sum & 0xff;
    },
  };
}
