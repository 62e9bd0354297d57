/** A Blob, or a File that somebody chose or dropped, as a storage; read only, since the web platform gives no way back into it. */
import { BlockError, checkAborted, checkAligned } from '@emkit/storage';
import type { IoOptions, Storage } from '@emkit/storage';
import type { BlobLike } from './host.ts';
import { BLOB_CHUNK } from './limits.ts';

export class BlobStorage implements Storage {
  readonly size: number;
  readonly name: string | undefined;
  readonly #blob: BlobLike;

  constructor(blob: BlobLike, name: string | undefined = blob.name) {
    this.#blob = blob;
    this.size = blob.size;
    this.name = name;
  }

  async read(offset: number, buffer: Uint8Array, options: IoOptions = {}): Promise<void> {
    checkAligned(offset, buffer.length, 1);
    const inside = Math.max(0, Math.min(buffer.length, this.size - offset));
    buffer.fill(0, inside);
    for (let done = 0; done < inside; done += BLOB_CHUNK) {
      checkAborted(options.signal);
      const length = Math.min(BLOB_CHUNK, inside - done);
      buffer.set(await this.#bytes(offset + done, length), done);
    }
  }

  async #bytes(offset: number, length: number): Promise<Uint8Array> {
    const hint = 'the file was changed, moved or removed after it was chosen: choose it again';
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      throw new BlockError('io', `${this.name ?? 'the blob'} cannot be read`, { offset, hint, cause });
    }
    if (bytes.length === length) return bytes;
    throw new BlockError('io', `${this.name ?? 'the blob'} gave ${bytes.length} of ${length} bytes`, { offset, hint });
  }
}
