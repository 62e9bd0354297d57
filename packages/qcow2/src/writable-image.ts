/** An open qcow2 image, for writing. */
import {
  checkAborted,
  checkRange,
  type IoOptions,
  type ResizeOptions,
  type WritableStorage,
  type ZeroOptions,
} from '@emkit/storage';
import type { AmendExtra } from './amend.ts';
import { commit, hasChanges } from './commit.ts';
import { INCOMPAT_DIRTY } from './constants.ts';
import { Qcow2Image } from './image.ts';
import { writeCompressed } from './compressed-write.ts';
import { alone, makeEmpty, setBackingReference } from './maintenance.ts';
import { buildGuard } from './load.ts';
import { NORMAL } from './l2-entry.ts';
import { checkRun } from './read.ts';
import { resizeImage } from './resize.ts';
import { writeGuest } from './write.ts';
import { discardGuest, unallocateGuest, zeroGuest } from './zero.ts';

export class WritableQcow2Image extends Qcow2Image implements WritableStorage {
  /** Hot path. */
  async write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const { core } = this;
    const { length } = buffer;
    const isCommon = Number.isInteger(offset) && offset >= 0 && offset + length <= core.size && length > 0;
    if (!isCommon || core.gate.closed !== undefined || core.isClosed || core.isCorrupt || core.guard === undefined)
      return this.#change(offset, length, options, () => writeGuest(core, offset, buffer, options));
    checkAborted(options?.signal);
    const generation = core.gate.enter();
    try {
      core.onWrite?.(offset, length);
      const piece = core.l2Piece(offset);
      const file = core.dataFile;
      if (piece !== undefined && !(piece instanceof Promise) && core.cipher === undefined && file.write !== undefined) {
        const run = core.map(piece, offset, length, true);
        if (run.type === NORMAL && run.isCopied && run.length === length) {
          checkRun(core, run, offset);
          core.checkOverlap(run.host, length);
          await file.write(run.host, buffer, options);
          return;
        }
      }
      await writeGuest(core, offset, buffer, options);
    } finally {
      core.gate.leave(generation);
    }
  }

  writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    return this.#change(offset, length, options, () => zeroGuest(this.core, offset, length, options));
  }

  discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    return this.#change(offset, length, options, () => discardGuest(this.core, offset, length));
  }

  unallocate(offset: number, length: number, options?: IoOptions): Promise<void> {
    return this.#change(offset, length, options, () => unallocateGuest(this.core, offset, length));
  }

  writeCompressed(offset: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#change(offset, data.length, options, () => writeCompressed(this.core, offset, data, options));
  }

  async flush(options?: IoOptions): Promise<void> {
    const { core } = this;
    while (core.gate.closed !== undefined) await core.gate.closed;
    core.checkOpen();
    await core.lock.run(() => commit(core, options));
  }

  /** As a storage's: sets the size, also to a smaller one. */
  truncate(size: number, options?: IoOptions): Promise<void> {
    return this.resize(size, { ...options, shrink: true });
  }

  async resize(size: number, options?: ResizeOptions): Promise<void> {
    this.#prepare();
    await alone(this.core, () => resizeImage(this.core, this.parts, size, options));
  }

  async makeEmpty(): Promise<void> {
    this.#prepare();
    await alone(this.core, () => makeEmpty(this.core));
  }

  async setBackingReference(reference: { name: string; format?: string | undefined } | undefined): Promise<void> {
    this.#prepare();
    await alone(this.core, () => setBackingReference(this.core, reference));
  }

  async amend(options: Readonly<Record<string, string>>, extra?: AmendExtra): Promise<void> {
    this.#prepare();
    const { amendImage } = await import('./amend.ts');
    await alone(this.core, () => amendImage(this.core, this.parts, options, extra));
  }

  protected override async finish(): Promise<void> {
    const { core } = this;
    await super.finish();
    if (core.isCorrupt) return;
    await core.lock.run(async () => {
      // the first commit frees clusters, the second writes that they are free
      do await commit(core, { withRefcounts: true });
      while (hasChanges(core));
      if ((core.header.incompatibleFeatures & INCOMPAT_DIRTY) === 0n || core.keepsDirty) return;
      await core.updateHeader((header) => ({ incompatibleFeatures: header.incompatibleFeatures & ~INCOMPAT_DIRTY }));
      await core.checkWritable().flush();
    });
  }

  #prepare(): void {
    this.core.checkWritable();
    this.core.guard ??= buildGuard(this.core);
  }

  async #change(
    offset: number,
    length: number,
    options: IoOptions | undefined,
    body: () => Promise<void>,
  ): Promise<void> {
    const { core } = this;
    const generation = core.gate.closed === undefined ? core.gate.enter() : await core.enterGate();
    try {
      this.#prepare();
      checkAborted(options?.signal);
      checkRange(offset, length, core.size);
      if (length === 0) return;
      core.onWrite?.(offset, length);
      await body();
    } finally {
      core.gate.leave(generation);
    }
  }
}
