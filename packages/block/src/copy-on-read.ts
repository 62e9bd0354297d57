/**
 * What is read from the backing files is written to the top image, so that it is there the next time. Reads of one place go one after the other, and wait
 * for writes to it, so that an old copy never covers new data.
 */
import { BlockError, type BlockImage, type IoOptions, type Storage, type ZeroOptions } from '@emkit/storage';
import { FilterImage } from './filter-image.ts';
import { RangeLock } from './range-lock.ts';

const DEFAULT_UNIT = 65536;

class CopyOnReadImage extends FilterImage {
  readonly #lock = new RangeLock();
  readonly #unit: number;
  readonly #write: NonNullable<Storage['write']>;

  constructor(child: BlockImage) {
    super('copy-on-read', child);
    if (child.write === undefined) throw new BlockError('read-only', 'copy-on-read needs an image that can be written');
    this.#write = child.write.bind(child);
    this.#unit = child.clusterSize ?? DEFAULT_UNIT;
  }

  override async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const { child } = this;
    for (let done = 0; done < buffer.length;) {
      const at = offset + done;
      const status = await child.status(at, buffer.length - done, options);
      const part = buffer.subarray(done, done + status.length);
      if (status.allocated || child.backing === undefined) await child.read(at, part, options);
      else await this.#fetch(at, part, options);
      done += status.length;
    }
  }

  /** Whole clusters are copied: a part of one would be filled up from the backing file anyway. */
  async #fetch(offset: number, part: Uint8Array, options: IoOptions | undefined): Promise<void> {
    const unit = this.#unit;
    for (let done = 0; done < part.length;) {
      const start = Math.floor((offset + done) / unit) * unit;
      const length = Math.min(unit, this.size - start);
      const piece = new Uint8Array(length);
      await this.#lock.run(start, length, async () => {
        await this.child.read(start, piece, options);
        const status = await this.child.status(start, length, options);
        // somebody else may have brought it while we waited
        if (!status.allocated) await this.#write(start, piece, options);
      });
      const from = offset + done - start;
      const count = Math.min(length - from, part.length - done);
      part.set(piece.subarray(from, from + count), done);
      done += count;
    }
  }

  #locked(offset: number, length: number, body: () => Promise<void>): Promise<void> {
    const start = Math.floor(offset / this.#unit) * this.#unit;
    return this.#lock.run(start, offset + length - start, body);
  }
  protected override onWrite(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#locked(offset, buffer.length, () => super.onWrite(offset, buffer, options));
  }
  protected override onWriteZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    return this.#locked(offset, length, () => super.onWriteZeroes(offset, length, options));
  }
  protected override onDiscard(offset: number, length: number, options?: IoOptions): Promise<void> {
    return this.#locked(offset, length, () => super.onDiscard(offset, length, options));
  }
}

/** `child` must be writable. */
export const copyOnRead = (child: BlockImage): BlockImage => new CopyOnReadImage(child);
