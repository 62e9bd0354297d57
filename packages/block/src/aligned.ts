/** Requests reach `child` in multiples of an alignment; what is not is read, changed and written back, never two in one place at a time. */
import { BlockError, checkRange, type BlockImage, type IoOptions, type ZeroOptions } from '@emkit/storage';
import { FilterImage } from './filter-image.ts';
import { RangeLock } from './range-lock.ts';

const MAX_ALIGNMENT = 2 ** 20;

class AlignedImage extends FilterImage {
  readonly #unit: number;
  readonly #lock = new RangeLock();

  constructor(child: BlockImage, alignment: number) {
    super('aligned', child);
    if (
      !Number.isSafeInteger(alignment) ||
      alignment < 1 ||
      alignment > MAX_ALIGNMENT ||
      Math.log2(alignment) % 1 !== 0
    )
      throw new BlockError('invalid-option', `Cannot meet constraints with align ${alignment}`);
    if (child.size % alignment !== 0)
      throw new BlockError('invalid-option', `the disk of ${child.size} bytes is no multiple of ${alignment}`);
    this.#unit = alignment;
  }

  override get alignment(): number {
    return 1;
  }

  override async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    checkRange(offset, buffer.length, this.size);
    if (this.#fits(offset, buffer.length)) return this.child.read(offset, buffer, options);
    const start = this.#down(offset);
    const whole = new Uint8Array(this.#up(offset + buffer.length) - start);
    await this.child.read(start, whole, options);
    buffer.set(whole.subarray(offset - start, offset - start + buffer.length));
  }

  protected override async onWrite(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    checkRange(offset, buffer.length, this.size);
    if (buffer.length === 0) return;
    const start = this.#down(offset);
    const end = this.#up(offset + buffer.length);
    return this.#lock.run(start, end - start, async () => {
      if (this.#fits(offset, buffer.length)) return super.onWrite(offset, buffer, options);
      const whole = new Uint8Array(end - start);
      await this.#edges(start, whole, options);
      whole.set(buffer, offset - start);
      return super.onWrite(start, whole, options);
    });
  }

  protected override async onWriteZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    checkRange(offset, length, this.size);
    const start = Math.min(this.#up(offset), offset + length);
    const end = Math.max(this.#down(offset + length), start);
    if (start > offset) await this.onWrite(offset, new Uint8Array(start - offset), options);
    if (end > start) await this.#lock.run(start, end - start, () => super.onWriteZeroes(start, end - start, options));
    if (offset + length > end) await this.onWrite(end, new Uint8Array(offset + length - end), options);
  }

  /** What is not a whole unit keeps its content. */
  protected override async onDiscard(offset: number, length: number, options?: IoOptions): Promise<void> {
    checkRange(offset, length, this.size);
    const start = this.#up(offset);
    const end = this.#down(offset + length);
    if (end > start) await this.#lock.run(start, end - start, () => super.onDiscard(start, end - start, options));
  }

  /** Fills the first and the last unit. */
  async #edges(start: number, whole: Uint8Array, options: IoOptions | undefined): Promise<void> {
    const unit = this.#unit;
    await this.child.read(start, whole.subarray(0, unit), options);
    if (whole.length > unit)
      await this.child.read(start + whole.length - unit, whole.subarray(whole.length - unit), options);
  }

  #fits(offset: number, length: number): boolean {
    return offset % this.#unit === 0 && length % this.#unit === 0;
  }
  #down(offset: number): number {
    return offset - (offset % this.#unit);
  }
  #up(offset: number): number {
    return Math.ceil(offset / this.#unit) * this.#unit;
  }
}

export const aligned = (child: BlockImage, alignment: number): BlockImage => new AlignedImage(child, alignment);
