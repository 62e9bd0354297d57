/** A bare storage as an image, so that what images are stored in can be a node like any other. */
import { BlockError, type BlockImage, type BlockStatus, type ImageInfo, type Storage } from '@emkit/storage';

export class ProtocolImage implements BlockImage {
  readonly driver: string;
  readonly file: Storage;
  readonly alignment = 1;
  readonly backing = undefined;
  readonly backingReference = undefined;
  declare write?: NonNullable<Storage['write']>;
  declare flush?: NonNullable<Storage['flush']>;
  declare truncate?: NonNullable<Storage['truncate']>;
  declare writeZeroes?: NonNullable<Storage['writeZeroes']>;
  declare discard?: NonNullable<Storage['discard']>;
  declare extent?: NonNullable<Storage['extent']>;
  declare resize?: NonNullable<BlockImage['resize']>;

  constructor(driver: string, storage: Storage) {
    this.driver = driver;
    this.file = storage;
    for (const key of ['write', 'flush', 'truncate', 'writeZeroes', 'discard', 'extent'] as const) {
      const method = storage[key];
      if (method !== undefined) Object.assign(this, { [key]: method.bind(storage) });
    }
    const { truncate } = this;
    if (truncate !== undefined) this.resize = (size, options) => truncate(size, options);
  }

  get size(): number {
    return this.file.size;
  }
  get readOnly(): boolean {
    return this.file.write === undefined;
  }
  get name(): string | undefined {
    return this.file.name;
  }
  get mayBlock(): boolean | undefined {
    return this.file.mayBlock;
  }

  read(offset: number, buffer: Uint8Array, options?: Parameters<Storage['read']>[2]): Promise<void> {
    return this.file.read(offset, buffer, options);
  }

  status(offset: number, length: number): Promise<BlockStatus> {
    return storageStatus(this.file, offset, length);
  }

  info(): Promise<ImageInfo> {
    return Promise.resolve({ format: this.driver, virtualSize: this.size, dirty: false });
  }

  async close(): Promise<void> {
    await this.file.close?.();
  }
}

/** Status of a storage that is not an image: what `extent` knows, at the same offset. */
export async function storageStatus(storage: Storage, offset: number, length: number): Promise<BlockStatus> {
  if (!(offset >= 0 && length > 0 && offset + length <= storage.size))
    throw new BlockError('out-of-bounds', `status of ${length} bytes at ${offset} is outside of ${storage.size} bytes`);
  if (storage.extent === undefined) return { length, data: true, zero: false, allocated: true, offset };
  const part = await storage.extent(offset, length);
  return { length: part.length, data: part.data, zero: part.zero, allocated: true, offset };
}
