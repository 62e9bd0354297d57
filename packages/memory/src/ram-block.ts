/**
 * The storage behind RAM and ROM regions: a slice of a WebAssembly.Memory (so that generated code reaches it) or a plain
 * Uint8Array (firmware, tests). It owns no policy: who may write is decided by the region that maps it.
 *
 * Growing a non-shared WebAssembly.Memory detaches its buffer; views are then made again on the next access.
 * A block lies below 2^32 bytes, since a 32-bit WebAssembly memory ends there.
 */
import { DirtyBitmap } from './dirty-bitmap.ts';
import { MemoryMapError } from './mem-tx.ts';

/** What RamBlock needs of a WebAssembly.Memory; structural, so that no DOM or Node types are required. */
export interface LinearMemory {
  readonly buffer: ArrayBufferLike;
}

export interface RamBlockOptions {
  readonly name: string;
  /** Bytes, 1 .. 2^32 - 1. */
  readonly size: number;
  /** Memory that generated code runs on, with the byte offset of the slice chosen by the accelerator. */
  readonly memory?: LinearMemory;
  readonly offset?: number;
  /** Alternative to `memory`: storage that generated code cannot see. `bytes.length === size`. */
  readonly bytes?: Uint8Array;
}

export class RamBlock {
  readonly name: string;
  readonly size: number;
  readonly memory: LinearMemory | null;
  /** Byte offset in `memory`, or -1 when the block is a plain array. */
  readonly hostOffset: number;
  readonly dirty: DirtyBitmap;
  #bytes: Uint8Array;
  #view: DataView;

  constructor(options: RamBlockOptions) {
    const { name, size, memory, offset = 0, bytes } = options;
    if (!Number.isSafeInteger(size) || size <= 0 || size >= 2 ** 32)
      throw new MemoryMapError(`RAM block ${name}: size ${size} is not in 1..2^32-1`);
    this.name = name;
    this.size = size;
    this.dirty = new DirtyBitmap(size);
    if (memory !== undefined) {
      if (!Number.isSafeInteger(offset) || offset < 0 || offset + size > memory.buffer.byteLength) {
        throw new MemoryMapError(
          `RAM block ${name}: slice ${offset}+${size} exceeds the memory of ${memory.buffer.byteLength} bytes`,
        );
      }
      this.memory = memory;
      this.hostOffset = offset;
      this.#bytes = new Uint8Array(memory.buffer, offset, size);
    } else {
      const storage = bytes ?? new Uint8Array(size);
      if (storage.length !== size)
        throw new MemoryMapError(`RAM block ${name}: array has ${storage.length} bytes, expected ${size}`);
      this.memory = null;
      this.hostOffset = -1;
      this.#bytes = storage;
    }
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, size);
  }

  /** The contents. Do not keep across a grow of the memory. Writers must call `dirty.mark`. Hot path. */
  get bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#refresh();
    return this.#bytes;
  }

  /** Same bytes as `bytes`, for multi-byte access. Hot path. */
  get view(): DataView {
    if (this.#bytes.length === 0) this.#refresh();
    return this.#view;
  }

  /** A detached buffer leaves views of length 0. */
  #refresh(): void {
    if (this.memory === null) throw new MemoryMapError(`RAM block ${this.name}: its array was detached`);
    this.#bytes = new Uint8Array(this.memory.buffer, this.hostOffset, this.size);
    this.#view = new DataView(this.memory.buffer, this.hostOffset, this.size);
  }
}
