/**
 * Grains of stream-optimized extents: a marker with the sector and the count of bytes, then these, padded to a sector. Virtual Disk
 * Format 5.0 "Stream-Optimized Compressed". A grain is read and inflated as a whole; the last few are kept.
 */
import { BlockError, type Storage } from '@emkit/storage';
import type { GrainCodec } from './codec.ts';
import type { BoundedCache } from './caches.ts';
import { SECTOR, type GrainLayout } from './grain-layout.ts';

/** Bytes of a grain's marker: lba (8), size (4). */
export const GRAIN_MARKER_BYTES = 12;

export class CompressedGrains {
  readonly #file: Storage;
  readonly #layout: GrainLayout;
  readonly #codec: GrainCodec;
  readonly #cache: BoundedCache<string, Promise<Uint8Array>>;
  readonly #extent: number;

  constructor(
    file: Storage,
    layout: GrainLayout,
    codec: GrainCodec,
    cache: BoundedCache<string, Promise<Uint8Array>>,
    extent: number,
  ) {
    this.#file = file;
    this.#layout = layout;
    this.#codec = codec;
    this.#cache = cache;
    this.#extent = extent;
  }

  /** Copies a part of the grain that stands at `offset` in the file. */
  async read(offset: number, within: number, buffer: Uint8Array): Promise<void> {
    const key = `${this.#extent}:${offset}`;
    let grain = this.#cache.get(key);
    if (grain === undefined) {
      // not with the signal of the one who came first: others wait for it too
      grain = this.#load(offset);
      this.#cache.set(key, grain, this.#layout.grainBytes);
      // what failed is tried anew
      grain.catch(() => this.#cache.delete(key));
    }
    const bytes = await grain;
    if (within + buffer.length > bytes.length)
      throw new BlockError('corrupt-image', `a grain has only ${bytes.length} bytes`, { offset, field: 'grain' });
    buffer.set(bytes.subarray(within, within + buffer.length));
  }

  async #load(offset: number): Promise<Uint8Array> {
    const { grainBytes, markers } = this.#layout;
    const room = Math.min(2 * grainBytes, this.#file.size - offset);
    // most grains are smaller than they were; the few that are not take a second request
    let input = new Uint8Array(Math.max(0, Math.min(room, grainBytes + SECTOR)));
    await this.#file.read(offset, input);
    let start = 0;
    let size = Math.max(0, room);
    if (markers) {
      if (input.length < GRAIN_MARKER_BYTES) throw this.#corrupt(offset, 'the grain is beyond the end of the file');
      size = new DataView(input.buffer).getUint32(8, true);
      start = GRAIN_MARKER_BYTES;
      if (size === 0 || size > 2 * grainBytes) throw this.#corrupt(offset, `a grain of ${size} bytes`);
      if (start + size > this.#file.size - offset) throw this.#corrupt(offset, 'the grain ends beyond the file');
    }
    if (start + size > input.length) {
      const whole = new Uint8Array(start + size);
      whole.set(input);
      await this.#file.read(offset + input.length, whole.subarray(input.length));
      input = whole;
    }
    const output = new Uint8Array(grainBytes);
    try {
      const count = await this.#codec.inflate(input.subarray(start, start + size), output);
      return count === grainBytes ? output : output.subarray(0, count);
    } catch (error) {
      throw new BlockError('corrupt-image', 'a grain cannot be decompressed', {
        offset,
        field: 'grain',
        cause: error,
      });
    }
  }

  /** The bytes of a grain for the file: marker, data, padding. `sector` counts from the extent's beginning. */
  async pack(sector: number, data: Uint8Array): Promise<Uint8Array> {
    const { grainBytes, markers } = this.#layout;
    let grain = data;
    if (data.length < grainBytes) {
      grain = new Uint8Array(grainBytes);
      grain.set(data);
    }
    const deflated = await this.#codec.deflate(grain);
    const start = markers ? GRAIN_MARKER_BYTES : 0;
    const packed = new Uint8Array(Math.ceil((start + deflated.length) / SECTOR) * SECTOR);
    if (markers) {
      const view = new DataView(packed.buffer);
      view.setUint32(0, sector >>> 0, true);
      view.setUint32(4, Math.floor(sector / 0x100000000), true);
      view.setUint32(8, deflated.length, true);
    }
    packed.set(deflated, start);
    return packed;
  }

  #corrupt(offset: number, message: string): BlockError {
    return new BlockError('corrupt-image', message, { offset, field: 'grain' });
  }
}
