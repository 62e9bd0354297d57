/**
 * What a device supplies for an I/O region, and how an access of any size is turned into calls it can handle.
 *
 * `valid` says which guest accesses reach the device at all (others are answered with the open-bus value), `impl` says
 * which sizes the handlers understand (others are split or widened). Values are unsigned 32-bit numbers.
 */

export interface AccessSizes {
  /** Bytes: 1, 2 or 4. @default 1 */
  readonly min?: 1 | 2 | 4;
  /** Bytes: 1, 2 or 4 (8 for a region with `read64`/`write64`). @default 4 */
  readonly max?: 1 | 2 | 4 | 8;
  /** May an access straddle its natural alignment? @default false: it is split first. */
  readonly unaligned?: boolean;
}

export interface IoOps {
  /** `offset` in the region, `size` 1, 2 or 4. Extra high bits of the result are cut off. Must not throw. */
  read(offset: number, size: number): number;
  /** `value` is unsigned and fits `size` bytes. Must not throw. */
  write(offset: number, value: number, size: number): void;
  /** Optional whole 64-bit access: `out[0]` low, `out[1]` high half. Without it two 32-bit calls are made, low half first. */
  read64?(offset: number, out: Uint32Array): void;
  write64?(offset: number, low: number, high: number): void;
  readonly valid?: AccessSizes;
  readonly impl?: AccessSizes;
  /** Byte order of the registers. @default 'little' */
  readonly endianness?: 'little' | 'big';
  /**
   * An access that starts in this region stays whole even where another region covers its later bytes (PCI's 32-bit
   * CONFIG_ADDRESS at port 0xCF8 lies around the byte register 0xCF9). @default false: each byte goes to its own region.
   */
  readonly keepsWhole?: boolean;
}

export function byteSwap(value: number, size: number): number {
  if (size === 1) return value & 0xff;
  if (size === 2) return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

/** Cuts to `size` bytes, unsigned. */
export function truncate(value: number, size: number): number {
  if (size === 4) return value >>> 0;
  return size === 2 ? value & 0xffff : value & 0xff;
}

/** An IoOps with its rules unpacked into fields, so that the usual access is one test and one call. */
export class IoHandler {
  readonly ops: IoOps;
  readonly validMin: number;
  readonly validMax: number;
  readonly implMin: number;
  readonly implMax: number;
  readonly unaligned: boolean;
  readonly big: boolean;
  /** Aligned accesses of 1, 2 and 4 bytes go to the device unchanged. */
  readonly direct: boolean;
  /** Single bytes go to the device unchanged. */
  readonly directBytes: boolean;
  readonly keepsWhole: boolean;

  constructor(ops: IoOps) {
    this.ops = ops;
    this.validMin = ops.valid?.min ?? 1;
    this.validMax = ops.valid?.max ?? 4;
    this.implMin = ops.impl?.min ?? 1;
    this.implMax = Math.min(ops.impl?.max ?? 4, 4);
    this.unaligned = ops.valid?.unaligned ?? false;
    this.big = ops.endianness === 'big';
    this.keepsWhole = ops.keepsWhole ?? false;
    this.directBytes = this.validMin === 1 && this.implMin === 1;
    this.direct = this.validMin === 1 && this.validMax >= 4 && this.implMin === 1 && this.implMax === 4 && !this.big;
  }

  /** Does the device take an access of this size at this offset? Widths above `validMax` are split by the caller. */
  accepts(offset: number, size: number): boolean {
    return size >= this.validMin && size <= this.validMax && (this.unaligned || offset % size === 0);
  }

  /** An accepted access. Hot path. */
  read(offset: number, size: number): number {
    if (this.direct || (size <= this.implMax && size >= this.implMin && !this.big))
      return truncate(this.ops.read(offset, size), size);
    return this.#readSplit(offset, size);
  }

  /** An accepted access. Hot path. */
  write(offset: number, value: number, size: number): void {
    if (this.direct || (size <= this.implMax && size >= this.implMin && !this.big)) this.ops.write(offset, value, size);
    else this.#writeSplit(offset, value, size);
  }

  /** Splits into `implMax` pieces; a narrower access than `implMin` is made with `implMin` and its low bytes are used. */
  #readSplit(offset: number, size: number): number {
    const step = Math.max(Math.min(size, this.implMax), this.implMin);
    let value = 0;
    for (let done = 0; done < size; done += step) {
      const part = truncate(this.ops.read(offset + done, step), step);
      const shift = this.big ? (size - done - step) * 8 : done * 8;
      value |= step >= size ? part : part << shift;
    }
    return truncate(this.big ? byteSwap(value, size) : value, size);
  }

  #writeSplit(offset: number, value: number, size: number): void {
    const step = Math.max(Math.min(size, this.implMax), this.implMin);
    const ordered = this.big ? byteSwap(value, size) : value;
    for (let done = 0; done < size; done += step) {
      const shift = this.big ? (size - done - step) * 8 : done * 8;
      this.ops.write(offset + done, step >= size ? ordered : truncate(ordered >>> shift, step), step);
    }
  }
}
