/**
 * A window onto a storage: `size` bytes from `offset`. With a fixed size it ends there; without one it follows the end of the storage
 * below, and can grow. As the `offset` and `size` options of QEMU's raw driver.
 *
 * Invariant: no request leaves the window, whatever the caller asks for.
 */
import { BlockError, checkAligned } from '@emkit/storage';
import type { IoOptions, Storage } from '@emkit/storage';

export interface WindowOptions {
  /** Bytes; default 0. */
  readonly offset?: number | undefined;
  /** Bytes; default: up to the end of the storage, as it moves. */
  readonly size?: number | undefined;
}

/** Throws `invalid-option` when the window does not lie within the storage. The window has the methods that the storage has. */
export function offsetStorage(storage: Storage, options: WindowOptions = {}): Storage {
  const { offset = 0, size } = options;
  checkAligned(offset, size ?? 0, 1);
  if (offset > storage.size)
    throw new BlockError(
      'invalid-option',
      `Offset (${offset}) cannot be greater than size of the containing file (${storage.size})`,
      { field: 'offset' },
    );
  if (size !== undefined && size > storage.size - offset)
    throw new BlockError(
      'invalid-option',
      `The sum of offset (${offset}) and size (${size}) has to be smaller or equal to the actual size of the containing file (${storage.size})`,
      { field: 'size' },
    );
  return new Window(storage, offset, size);
}

class Window implements Storage {
  readonly mayBlock: boolean | undefined;
  readonly name: string | undefined;
  readonly write?: NonNullable<Storage['write']>;
  readonly flush?: NonNullable<Storage['flush']>;
  readonly truncate?: NonNullable<Storage['truncate']>;
  readonly writeZeroes?: NonNullable<Storage['writeZeroes']>;
  readonly discard?: NonNullable<Storage['discard']>;
  readonly extent?: NonNullable<Storage['extent']>;
  readonly #storage: Storage;
  readonly #offset: number;
  readonly #size: number | undefined;

  constructor(storage: Storage, offset: number, size: number | undefined) {
    this.#storage = storage;
    this.#offset = offset;
    this.#size = size;
    this.mayBlock = storage.mayBlock;
    this.name = storage.name;
    const { write, flush, truncate, writeZeroes, discard, extent } = storage;
    // what the storage lacks stays absent: absence is how a storage says what it cannot do
    if (write !== undefined)
      this.write = async (at, buffer, options) => {
        this.#checkInside(at, buffer.length);
        return write.call(storage, offset + at, buffer, options);
      };
    if (flush !== undefined) this.flush = (options) => flush.call(storage, options);
    if (truncate !== undefined && size === undefined)
      this.truncate = async (to, options) => {
        checkAligned(to, 0, 1);
        checkAligned(offset, to, 1);
        return truncate.call(storage, offset + to, options);
      };
    if (writeZeroes !== undefined)
      this.writeZeroes = async (at, length, options) => {
        this.#checkInside(at, length);
        return writeZeroes.call(storage, offset + at, length, options);
      };
    if (discard !== undefined)
      this.discard = async (at, length, options) => {
        this.#checkInside(at, length);
        return discard.call(storage, offset + at, length, options);
      };
    if (extent !== undefined)
      this.extent = async (at, length, options) => {
        checkAligned(at, length, 1);
        const inside = Math.min(length, this.size - at);
        if (inside <= 0) throw new BlockError('out-of-bounds', `extent at ${at} is outside of ${this.size} bytes`);
        return extent.call(storage, offset + at, inside, options);
      };
  }

  get size(): number {
    return this.#size ?? Math.max(0, this.#storage.size - this.#offset);
  }

  async read(at: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    checkAligned(at, buffer.length, 1);
    const inside = Math.max(0, Math.min(buffer.length, this.size - at));
    if (inside > 0) {
      const part = inside === buffer.length ? buffer : buffer.subarray(0, inside);
      await this.#storage.read(this.#offset + at, part, options);
    }
    buffer.fill(0, inside);
  }

  /** Writes may make the storage grow, but only where the window has no end of its own. */
  #checkInside(at: number, length: number): void {
    checkAligned(at, length, 1);
    checkAligned(this.#offset + at, length, 1);
    if (this.#size !== undefined && length > this.#size - at)
      throw new BlockError(
        'out-of-bounds',
        `request of ${length} bytes at ${at} is outside the window of ${this.#size} bytes`,
      );
  }
}
