/**
 * An open disk: its extents side by side, a parent below, a descriptor that describes it. With the first write the descriptor gets a new
 * CID, on disk before any data, so that no child of the old content takes the new one for it.
 */
import {
  BlockError,
  checkAligned,
  checkRange,
  settleAll,
  type BlockImage,
  type BlockStatus,
  type CheckOptions,
  type CheckResult,
  type Extent,
  type ImageInfo,
  type IoOptions,
  type JsonValue,
  type Reference,
  type Storage,
  type ZeroOptions,
} from '@emkit/storage';
import type { Random } from './cid.ts';
import type { ParsedDescriptor } from './descriptor.ts';
import type { DescriptorPlace } from './descriptor-place.ts';
import type { Below, VmdkExtent } from './extent.ts';
import { checkParent } from './parent.ts';
import { Parts } from './settle.ts';

export interface VmdkImageSetup {
  readonly file: Storage;
  readonly readOnly: boolean;
  readonly descriptor: ParsedDescriptor;
  readonly place: DescriptorPlace;
  readonly extents: readonly VmdkExtent[];
  /** Findings that are told by `check`. */
  readonly remarks: readonly string[];
  readonly below: ParentView;
  readonly random: Random;
  /** Closes what was opened for the image. */
  readonly release: () => Promise<void>;
}

/** The parent as extents see it; it can be exchanged. */
export class ParentView implements Below {
  readonly #parentCid: number;
  #disk: Storage | undefined;
  /** The CID is still to be matched. */
  #checking: Promise<void> | undefined;

  constructor(parentCid: number) {
    this.#parentCid = parentCid;
  }

  get disk(): Storage | undefined {
    return this.#disk;
  }

  get size(): number {
    return this.#disk?.size ?? 0;
  }

  set(disk: Storage | undefined): void {
    this.#disk = disk;
    this.#checking = undefined;
  }

  /** Matches the CID, once. */
  check(options?: IoOptions): Promise<void> {
    if (this.#disk === undefined) return Promise.resolve();
    return (this.#checking ??= checkParent(this.#disk, this.#parentCid, options));
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    await this.check();
    const disk = this.#disk;
    const count = disk === undefined ? 0 : Math.max(0, Math.min(buffer.length, disk.size - offset));
    if (disk !== undefined && count > 0) await disk.read(offset, buffer.subarray(0, count), options);
    buffer.fill(0, count);
  }
}

export class VmdkImage implements BlockImage {
  readonly driver = 'vmdk';
  readonly size: number;
  readonly readOnly: boolean;
  readonly alignment = 512;
  readonly clusterSize: number | undefined;
  readonly file: Storage;
  readonly backingReference: Reference | undefined;
  readonly mayBlock: boolean | undefined;
  readonly name: string | undefined;
  readonly #setup: VmdkImageSetup;
  readonly #extents: readonly VmdkExtent[];
  #cid: number;
  #renewing: Promise<void> | undefined;
  #isRenewed = false;
  #isClosed = false;

  constructor(setup: VmdkImageSetup) {
    const last = setup.extents.at(-1);
    this.#setup = setup;
    this.#extents = setup.extents;
    this.size = last === undefined ? 0 : last.start + last.length;
    this.readOnly = setup.readOnly;
    this.clusterSize = setup.extents[0]?.grainBytes;
    this.file = setup.file;
    this.mayBlock = setup.file.mayBlock;
    this.name = setup.file.name;
    this.#cid = setup.descriptor.cid;
    const hint = setup.descriptor.parentFileNameHint;
    this.backingReference = hint === undefined ? undefined : { kind: 'parent', name: hint, format: 'vmdk' };
  }

  get backing(): Storage | undefined {
    return this.#setup.below.disk;
  }

  setBacking(backing: Storage | undefined): void {
    this.#setup.below.set(backing);
  }

  /** Hot path. */
  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const only = this.#extents[0];
    if (this.#extents.length === 1 && only !== undefined && !this.#isClosed && offset + buffer.length <= this.size)
      if (Number.isInteger(offset) && offset >= 0) return only.read(offset, buffer, options);
    return this.#read(offset, buffer, options);
  }

  async #read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    this.#checkOpen();
    checkAligned(offset, buffer.length, 1);
    const length = Math.max(0, Math.min(buffer.length, this.size - offset));
    await this.#each(offset, length, (extent, at, from, to) => extent.read(at, buffer.subarray(from, to), options));
    buffer.fill(0, length);
  }

  /** Hot path. */
  write(offset: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    const only = this.#extents[0];
    if (this.#extents.length === 1 && only !== undefined && this.#isRenewed && !this.#isClosed)
      if (Number.isInteger(offset) && offset >= 0 && offset + data.length <= this.size)
        return only.write(offset, data, options);
    return this.#write(offset, data, options);
  }

  async #write(offset: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    await this.#prepareWrite(offset, data.length, options);
    await this.#each(offset, data.length, (extent, at, from, to) => extent.write(at, data.subarray(from, to), options));
  }

  async writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    await this.#prepareWrite(offset, length, options);
    await this.#each(offset, length, (extent, at, from, to) => extent.writeZeroes(at, to - from, options));
  }

  /** Extents that are not compressed take the data as it is, as QEMU's do. */
  writeCompressed(offset: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    const grain = this.clusterSize;
    if (grain === undefined || data.length <= grain) return this.write(offset, data, options);
    // begun in order, so that several are compressed at a time
    const started: Promise<void>[] = [];
    for (let at = 0; at < data.length; at += grain)
      started.push(this.write(offset + at, data.subarray(at, at + grain), options));
    return settleAll(started);
  }

  async #prepareWrite(offset: number, length: number, options?: IoOptions): Promise<void> {
    this.#checkOpen();
    checkRange(offset, length, this.size);
    if (this.readOnly) throw new BlockError('read-only', 'the image was opened read-only');
    // all or nothing
    for (const extent of this.#extents)
      if (extent.readOnlyReason !== undefined && extent.start < offset + length)
        if (extent.start + extent.length > offset) throw new BlockError('read-only', extent.readOnlyReason);
    if (this.#isRenewed || length === 0) return;
    this.#renewing ??= this.#renew(options).finally(() => (this.#renewing = undefined));
    await this.#renewing;
  }

  async #renew(options?: IoOptions): Promise<void> {
    await this.#setup.below.check(options);
    this.#cid = await this.#setup.place.renew(this.#setup.random, options);
    await this.file.flush?.(options);
    this.#isRenewed = true;
  }

  async flush(options?: IoOptions): Promise<void> {
    this.#checkOpen();
    if (this.readOnly) return;
    for (const extent of this.#extents) await extent.flush(options);
    if (this.#isRenewed && !this.#extents.some((extent) => extent.file === this.file)) await this.file.flush?.(options);
  }

  truncate(): Promise<void> {
    return Promise.reject(new BlockError('unsupported-feature', 'Image format driver does not support resize'));
  }

  async status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    this.#checkOpen();
    checkRange(offset, length, this.size);
    const extent = this.#extentAt(offset);
    if (extent === undefined) throw new BlockError('out-of-bounds', 'a status of no bytes was asked for');
    const at = offset - extent.start;
    const status = await extent.status(at, Math.min(length, extent.length - at), options);
    return status.file !== undefined && extent.file === this.file ? { ...status, file: undefined } : status;
  }

  async extent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    const { length: here, allocated, data, zero } = await this.status(offset, length, options);
    const below = this.backing;
    if (allocated || below === undefined || offset >= below.size)
      return { length: here, data: allocated && data, zero: allocated ? zero : true };
    const within = Math.min(here, below.size - offset);
    return below.extent === undefined
      ? { length: within, data: true, zero: false }
      : below.extent(offset, within, options);
  }

  info(): Promise<ImageInfo> {
    const { descriptor } = this.#setup;
    const extents: JsonValue[] = this.#extents.map((extent) => ({
      ...(extent.compressed === true ? { compressed: true } : {}),
      'virtual-size': extent.length,
      filename: extent.filename,
      ...(extent.grainBytes === undefined ? {} : { 'cluster-size': extent.grainBytes }),
      format: extent.format,
    }));
    return Promise.resolve({
      format: 'vmdk',
      virtualSize: this.size,
      clusterSize: this.clusterSize,
      // QEMU pays no attention to uncleanShutdown either: a cut leaves nothing that would need a repair
      dirty: false,
      formatSpecific: {
        type: 'vmdk',
        data: {
          cid: this.#cid,
          'parent-cid': descriptor.parentCid,
          'create-type': descriptor.createType,
          extents,
        },
      },
    });
  }

  /** Rejects with `corrupt-image` after the first finding, as QEMU's check of this format fails there. */
  async check(options: CheckOptions = {}): Promise<CheckResult> {
    this.#checkOpen();
    if (options.repair !== undefined)
      throw new BlockError('unsupported-feature', 'This image format does not support checks', {
        hint: 'vmdk images can be checked, but not repaired',
      });
    const report = options.report ?? ((): void => undefined);
    for (const remark of this.#setup.remarks) report(remark);
    for (const extent of this.#extents) await extent.check(report, options);
    return { corruptions: 0, corruptionsFixed: 0, leaks: 0, leaksFixed: 0, checkErrors: 0 };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    try {
      if (!this.readOnly) {
        await this.flush();
        for (const extent of this.#extents) await extent.finish();
      }
    } finally {
      this.#isClosed = true;
      await this.#setup.release();
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new BlockError('closed', 'the image is closed');
  }

  #extentAt(offset: number): VmdkExtent | undefined {
    let low = 0;
    let high = this.#extents.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#extents[middle] as VmdkExtent).start <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#extents[low];
  }

  /** Cuts a request into those of the extents. */
  async #each(
    offset: number,
    length: number,
    work: (extent: VmdkExtent, at: number, from: number, to: number) => Promise<void>,
  ): Promise<void> {
    const parts = new Parts();
    try {
      for (let done = 0; done < length;) {
        const extent = this.#extentAt(offset + done) as VmdkExtent;
        const at = offset + done - extent.start;
        const to = done + Math.min(length - done, extent.length - at);
        parts.add(work(extent, at, done, to));
        done = to;
        if (parts.isFull) await parts.settle();
      }
    } finally {
      await parts.settle();
    }
  }
}
