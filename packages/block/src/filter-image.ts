/** An image that passes everything on to another one: what filters are made from. Each overrides what it changes. */
import type {
  BlockImage,
  BlockStatus,
  Extent,
  ImageInfo,
  IoOptions,
  Reference,
  Storage,
  ZeroOptions,
} from '@emkit/storage';

export class FilterImage implements BlockImage {
  readonly driver: string;
  protected readonly child: BlockImage;
  declare write?: NonNullable<Storage['write']>;
  declare flush?: NonNullable<Storage['flush']>;
  declare truncate?: NonNullable<Storage['truncate']>;
  declare writeZeroes?: NonNullable<Storage['writeZeroes']>;
  declare discard?: NonNullable<Storage['discard']>;
  declare extent?: NonNullable<Storage['extent']>;

  constructor(driver: string, child: BlockImage) {
    this.driver = driver;
    this.child = child;
    if (child.extent !== undefined) this.extent = (offset, length, options) => this.onExtent(offset, length, options);
    if (child.write === undefined || child.readOnly) return;
    this.write = (offset, buffer, options) => this.onWrite(offset, buffer, options);
    this.flush = (options) => this.onFlush(options);
    if (child.truncate !== undefined) this.truncate = (size, options) => this.onTruncate(size, options);
    if (child.writeZeroes !== undefined)
      this.writeZeroes = (offset, length, options) => this.onWriteZeroes(offset, length, options);
    if (child.discard !== undefined)
      this.discard = (offset, length, options) => this.onDiscard(offset, length, options);
  }

  get size(): number {
    return this.child.size;
  }
  get readOnly(): boolean {
    return this.child.readOnly;
  }
  get alignment(): number {
    return this.child.alignment;
  }
  get clusterSize(): number | undefined {
    return this.child.clusterSize;
  }
  get mayBlock(): boolean | undefined {
    return this.child.mayBlock;
  }
  get name(): string | undefined {
    return this.child.name;
  }
  get file(): Storage {
    return this.child;
  }
  get backing(): Storage | undefined {
    return this.child.backing;
  }
  get backingReference(): Reference | undefined {
    return this.child.backingReference;
  }

  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.child.read(offset, buffer, options);
  }
  status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    return this.child.status(offset, length, options);
  }
  info(options?: IoOptions): Promise<ImageInfo> {
    return this.child.info(options);
  }
  async close(): Promise<void> {
    await this.child.close();
  }

  protected onWrite(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return (this.child.write as NonNullable<Storage['write']>)(offset, buffer, options);
  }
  protected async onFlush(options?: IoOptions): Promise<void> {
    await this.child.flush?.(options);
  }
  protected async onTruncate(size: number, options?: IoOptions): Promise<void> {
    await this.child.truncate?.(size, options);
  }
  protected async onWriteZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    await this.child.writeZeroes?.(offset, length, options);
  }
  protected async onDiscard(offset: number, length: number, options?: IoOptions): Promise<void> {
    await this.child.discard?.(offset, length, options);
  }
  protected onExtent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    return (this.child.extent as NonNullable<Storage['extent']>)(offset, length, options);
  }
}
