/** An open qcow2 image, for reading. Requests run side by side; see `core.ts` for the state and `writable-image.ts` for the rest. */
import {
  BlockError,
  checkAborted,
  checkRange,
  type BlockImage,
  type BlockStatus,
  type CheckOptions,
  type CheckResult,
  type ImageInfo,
  type IoOptions,
  type Reference,
  type SnapshotStore,
  type BitmapStore,
  type Storage,
} from '@emkit/storage';
import type { Qcow2Core } from './core.ts';
import { imageInfo } from './info.ts';
import { NORMAL } from './l2-entry.ts';
import type { ImageParts } from './parts.ts';
import { checkRun, readGuest } from './read.ts';
import { guestStatus } from './status.ts';

export class Qcow2Image implements BlockImage {
  readonly driver = 'qcow2';
  readonly name: string | undefined;
  readonly core: Qcow2Core;
  readonly parts: ImageParts;
  /** Opened by this image itself: closed with it. */
  readonly #opened: readonly Storage[];

  constructor(core: Qcow2Core, parts: ImageParts, opened: readonly Storage[]) {
    this.core = core;
    this.parts = parts;
    this.name = core.file.name;
    this.#opened = opened;
  }

  get size(): number {
    return this.core.size;
  }

  get mayBlock(): boolean | undefined {
    return this.core.file.mayBlock;
  }

  get readOnly(): boolean {
    return this.core.writable === undefined;
  }

  get alignment(): number {
    return this.core.header.cryptMethod === 0 ? 1 : 512;
  }

  get clusterSize(): number {
    return this.core.geometry.clusterSize;
  }

  get file(): Storage {
    return this.core.file;
  }

  get backing(): Storage | undefined {
    return this.core.backing;
  }

  get backingReference(): Reference | undefined {
    const { backingFile, backingFormat } = this.core.header;
    return backingFile === undefined ? undefined : { kind: 'backing', name: backingFile, format: backingFormat };
  }

  get snapshots(): SnapshotStore | undefined {
    return this.parts.snapshots;
  }

  get bitmaps(): BitmapStore | undefined {
    return this.parts.bitmaps;
  }

  /** Hot path. */
  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const { core } = this;
    const { length } = buffer;
    const isCommon = Number.isInteger(offset) && offset >= 0 && offset + length <= core.size && length > 0;
    if (!isCommon || core.gate.closed !== undefined || core.isClosed)
      return this.#readElsewhere(offset, buffer, options);
    checkAborted(options?.signal);
    const generation = core.gate.enter();
    try {
      const piece = core.l2Piece(offset);
      if (piece !== undefined && !(piece instanceof Promise) && core.cipher === undefined) {
        const run = core.map(piece, offset, length);
        if (run.type === NORMAL && run.length === length) {
          checkRun(core, run, offset);
          await core.dataFile.read(run.host, buffer, options);
          return;
        }
      }
      await readGuest(core, offset, buffer, options);
    } finally {
      core.gate.leave(generation);
    }
  }

  /** What is not the common case: waiting to be let in, ranges that go past the end or are none. */
  async #readElsewhere(offset: number, buffer: Uint8Array, options: IoOptions | undefined): Promise<void> {
    const generation = await this.core.enterGate();
    try {
      checkAborted(options?.signal);
      checkRange(offset, buffer.length, Number.MAX_SAFE_INTEGER);
      const length = Math.max(0, Math.min(buffer.length, this.core.size - offset));
      buffer.fill(0, length);
      if (length > 0) await readGuest(this.core, offset, buffer.subarray(0, length), options);
    } finally {
      this.core.gate.leave(generation);
    }
  }

  /** Hot path: a copy asks for each run. */
  status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    const { core } = this;
    if (core.gate.closed !== undefined) return this.#statusLater(offset, length, options);
    try {
      core.checkOpen();
      this.#checkExtent(offset, length);
      const status = guestStatus(core, offset, length, options);
      if (!(status instanceof Promise)) return Promise.resolve(status);
      // still in the turn in which it began
      const generation = core.gate.enter();
      return status.finally(() => core.gate.leave(generation));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #statusLater(offset: number, length: number, options: IoOptions | undefined): Promise<BlockStatus> {
    const generation = await this.core.enterGate();
    try {
      this.#checkExtent(offset, length);
      return await guestStatus(this.core, offset, length, options);
    } finally {
      this.core.gate.leave(generation);
    }
  }

  /** The whole chain's: what this layer does not have is asked from the backing file. */
  async extent(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    const status = await this.status(offset, length, options);
    const { backing } = this.core;
    if (status.allocated || status.zero || backing === undefined) return status;
    if (backing.extent === undefined) return { ...status, data: true };
    const below = await backing.extent(offset, status.length, options);
    return { ...status, length: below.length, data: below.data, zero: below.zero };
  }

  async info(): Promise<ImageInfo> {
    this.core.checkOpen();
    return imageInfo(this.core, this.parts);
  }

  async check(options?: CheckOptions): Promise<CheckResult> {
    const { core, parts } = this;
    core.checkOpen();
    return core.gate.alone(async () => {
      const result = await (await import('./check-core.ts')).checkCore(core, options);
      if (options?.repair !== undefined) await parts.snapshots?.reload();
      return result;
    });
  }

  setBacking(backing: Storage | undefined): void {
    this.core.backing = backing;
  }

  async close(): Promise<void> {
    const { core } = this;
    if (core.isClosed) return;
    try {
      await core.gate.alone(() => this.finish());
    } finally {
      core.isClosed = true;
      for (const storage of this.#opened) await storage.close?.();
    }
  }

  /** The last writes, with nobody inside. */
  protected async finish(): Promise<void> {
    await this.parts.close?.();
  }

  #checkExtent(offset: number, length: number): void {
    checkRange(offset, length, this.core.size);
    if (length === 0) throw new BlockError('out-of-bounds', 'the range is empty');
  }
}
