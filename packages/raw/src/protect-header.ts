/**
 * A raw image whose format was guessed, not given: a guest that wrote another format's header to the start of its disk would have the
 * next guess open it as that format, with a backing file of the guest's choice. Such writes are refused, as QEMU does for guessed raw
 * (there for the first sector; here for all that a probe sees).
 *
 * Invariant: as long as all writes go through this image, its first bytes never probe as anything but raw.
 */
import { AsyncMutex, BlockError, checkRange, isZero } from '@emkit/storage';
import type {
  BlockImage,
  BlockStatus,
  ImageInfo,
  IoOptions,
  ResizeOptions,
  Storage,
  ZeroOptions,
} from '@emkit/storage';
import { PROBE_SIZE } from './limits.ts';

/** The methods of an open raw image. */
type RawDisk = BlockImage &
  Required<Pick<BlockImage, 'write' | 'writeZeroes' | 'discard' | 'flush' | 'truncate' | 'resize'>>;

/** `image` is one that `raw` has opened. `probe` gives the name of the format that a disk with this head would be taken for. */
export function protectHeader(image: BlockImage, probe: (head: Uint8Array) => string): BlockImage {
  if (image.driver !== 'raw')
    throw new BlockError('invalid-option', `protectHeader is for raw images, not for ${image.driver}`);
  return image.readOnly ? image : new ProtectedImage(image as RawDisk, probe);
}

class ProtectedImage implements BlockImage {
  readonly driver: string;
  readonly readOnly: boolean;
  readonly alignment: number;
  readonly file: Storage;
  readonly backing = undefined;
  readonly backingReference = undefined;
  readonly mayBlock: boolean | undefined;
  readonly name: string | undefined;
  readonly #image: RawDisk;
  readonly #probe: (head: Uint8Array) => string;
  /** Two writes that are harmless alone could make a header together, so those to the head go one by one. */
  readonly #head = new AsyncMutex();

  constructor(image: RawDisk, probe: (head: Uint8Array) => string) {
    this.driver = image.driver;
    this.readOnly = image.readOnly;
    this.alignment = image.alignment;
    this.file = image.file;
    this.mayBlock = image.mayBlock;
    this.name = image.name;
    this.#image = image;
    this.#probe = probe;
  }

  get size(): number {
    return this.#image.size;
  }

  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#image.read(offset, buffer, options);
  }

  async write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    checkRange(offset, buffer.length, this.size);
    if (offset >= PROBE_SIZE) return this.#image.write(offset, buffer, options);
    // the caller's buffer is checked once and written as checked
    const bytes = buffer.slice();
    return this.#head.run(async () => {
      await this.#check(offset, bytes);
      await this.#image.write(offset, bytes, options);
    });
  }

  async writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    checkRange(offset, length, this.size);
    if (offset >= PROBE_SIZE) return this.#image.writeZeroes(offset, length, options);
    return this.#head.run(async () => {
      await this.#check(offset, new Uint8Array(Math.min(length, PROBE_SIZE - offset)));
      await this.#image.writeZeroes(offset, length, options);
    });
  }

  /** What is given up reads as anything between old and zero, so the head is not given up. */
  async discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    checkRange(offset, length, this.size);
    const start = Math.max(offset, PROBE_SIZE);
    if (start < offset + length) await this.#image.discard(start, offset + length - start, options);
  }

  flush(options?: IoOptions): Promise<void> {
    return this.#image.flush(options);
  }

  truncate(size: number, options?: IoOptions): Promise<void> {
    return this.#image.truncate(size, options);
  }

  async extent(offset: number, length: number, options?: IoOptions) {
    const { length: known, zero, data } = await this.status(offset, length, options);
    return { length: known, zero, data };
  }

  resize(size: number, options?: ResizeOptions): Promise<void> {
    return this.#image.resize(size, options);
  }

  status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    return this.#image.status(offset, length, options);
  }

  info(options?: IoOptions): Promise<ImageInfo> {
    return this.#image.info(options);
  }

  close(): Promise<void> {
    return this.#image.close();
  }

  async #check(offset: number, bytes: Uint8Array): Promise<void> {
    const head = new Uint8Array(Math.min(PROBE_SIZE, this.size));
    await this.#image.read(0, head);
    head.set(bytes.subarray(0, Math.max(0, head.length - offset)), offset);
    if (isZero(head)) return;
    const format = this.#probe(head);
    if (format === 'raw') return;
    throw new BlockError('refused', `write to the first sectors would make the image look like ${format}`, {
      offset,
      hint: `the format of ${this.name ?? 'the image'} was guessed to be raw: name it (format=raw) to allow such writes`,
    });
  }
}
