/**
 * The persistent dirty bitmaps of an open image. What is set while the image is open is kept in memory and written when it is closed; until
 * then each bitmap is marked "in use" on disk, so that after a crash nobody trusts it. qcow2 spec, "Bitmaps", flag in_use.
 */
import { BlockError, type BitmapInfo, type BitmapStore, type DirtyRanges, type JsonValue } from '@emkit/storage';
import { DirtyBits } from './bitmap-bits.ts';
import {
  FLAG_AUTO,
  FLAG_IN_USE,
  loadBitmapDirectory,
  readBitmapsExtension,
  tableSizeFor,
  type DirectoryEntry,
} from './bitmap-directory.ts';
import { readBitmapInto } from './bitmap-read.ts';
import { markInUse, storeBitmaps, type BitmapState } from './bitmap-write.ts';
import type { Qcow2Core } from './core.ts';
import { encodeString } from './header-extensions.ts';
import {
  MAX_BITMAP_BYTES,
  MAX_BITMAP_NAME_BYTES,
  MAX_BITMAPS,
  MAX_GRANULARITY_BITS,
  MIN_GRANULARITY_BITS,
} from './limits.ts';
import { alone } from './maintenance.ts';

/** The default is the cluster size within these. */
const MIN_DEFAULT_GRANULARITY = 4096;
const MAX_DEFAULT_GRANULARITY = 65536;

/** `isRecording`: the image is open for writing and not only for a check. */
export async function openBitmaps(core: Qcow2Core, isRecording: boolean): Promise<Qcow2Bitmaps> {
  const entries = await loadBitmapDirectory(core.file, core.header);
  const bitmaps = new Qcow2Bitmaps(core, entries);
  if (isRecording && entries.length > 0) {
    await markInUse(core, entries);
    bitmaps.record();
  }
  return bitmaps;
}

export class Qcow2Bitmaps implements BitmapStore {
  readonly #core: Qcow2Core;
  readonly #bitmaps: BitmapState[];
  /** Bitmaps that are gone, whose clusters are still theirs on disk. */
  readonly #removed: DirectoryEntry[] = [];
  /** As the directory on disk says, but for "in use". */
  readonly #hadEntries: boolean;
  #isRecording = false;
  /** Bits lie below this size of the disk. */
  #seenSize: number;

  constructor(core: Qcow2Core, entries: readonly DirectoryEntry[]) {
    this.#core = core;
    this.#seenSize = core.size;
    this.#hadEntries = entries.length > 0;
    this.#bitmaps = entries.map((entry) => ({
      entry,
      stored: entry,
      isInconsistent: (entry.flags & FLAG_IN_USE) !== 0,
      isCleared: false,
      isChanged: false,
      bits: new DirtyBits(),
    }));
    core.guardSources.push((guard) => {
      const extension = readBitmapsExtension(core.header);
      if (extension === undefined) return;
      const { clusterSize } = core.geometry;
      guard.add(
        'bitmap-directory',
        extension.directoryOffset / clusterSize,
        core.geometry.clustersFor(extension.directorySize),
      );
    });
  }

  /** Guest writes set bits from now on. */
  record(): void {
    if (this.#isRecording) return;
    this.#isRecording = true;
    const before = this.#core.onWrite;
    this.#core.onWrite = (offset, length) => {
      before?.(offset, length);
      this.#followSize();
      for (const bitmap of this.#bitmaps)
        if (!bitmap.isInconsistent && (bitmap.entry.flags & FLAG_AUTO) !== 0) setRange(bitmap, offset, offset + length);
    };
  }

  list(): readonly BitmapInfo[] {
    return this.#bitmaps.map(({ entry, isInconsistent }) => ({
      name: entry.name,
      granularity: 2 ** entry.granularityBits,
      enabled: (entry.flags & FLAG_AUTO) !== 0,
      inUse: isInconsistent,
    }));
  }

  /** "bitmaps" of the format-specific information; undefined: none. */
  info(): JsonValue | undefined {
    if (this.#bitmaps.length === 0) return undefined;
    return this.list().map(({ name, granularity, enabled, inUse }) => ({
      flags: [...(inUse ? ['in-use'] : []), ...(enabled ? ['auto'] : [])],
      name,
      granularity,
    }));
  }

  add(bitmap: { name: string; granularity?: number; enabled?: boolean }): Promise<void> {
    return this.#change(async () => {
      const { header, geometry } = this.#core;
      const { name } = bitmap;
      const granularity =
        bitmap.granularity ??
        Math.min(Math.max(MIN_DEFAULT_GRANULARITY, geometry.clusterSize), MAX_DEFAULT_GRANULARITY);
      const granularityBits = Math.log2(granularity);
      if (header.version < 3)
        throw new BlockError('unsupported-feature', 'Cannot store dirty bitmaps in qcow2 v2 files');
      if (
        !Number.isInteger(granularityBits) ||
        granularityBits < MIN_GRANULARITY_BITS ||
        granularityBits > MAX_GRANULARITY_BITS
      )
        throw new BlockError(
          'invalid-option',
          `Granularity must be a power of two between ${2 ** MIN_GRANULARITY_BITS} and ${2 ** MAX_GRANULARITY_BITS} bytes`,
        );
      const { length } = encodeString(name);
      if (length === 0) throw new BlockError('invalid-option', 'Bitmap name is empty');
      if (length > MAX_BITMAP_NAME_BYTES)
        throw new BlockError('invalid-option', `Name length exceeds maximum (${MAX_BITMAP_NAME_BYTES} characters)`);
      if (this.#bitmaps.some((other) => other.entry.name === name))
        throw new BlockError('exists', `Bitmap already exists: ${name}`);
      if (this.#bitmaps.length >= MAX_BITMAPS)
        throw new BlockError('no-space', 'Maximum number of persistent bitmaps is already reached');
      const tableSize = tableSizeFor(this.#core.size, granularityBits, geometry.clusterSize);
      if (tableSize * geometry.clusterSize > MAX_BITMAP_BYTES + geometry.clusterSize)
        throw new BlockError('no-space', 'Too much space will be occupied by the bitmap. Use larger granularity');
      const flags = bitmap.enabled === false ? 0 : FLAG_AUTO;
      const entry = { tableOffset: 0, tableSize, flags, granularityBits, name, extra: new Uint8Array(0) };
      this.#bitmaps.push({
        entry,
        stored: undefined,
        isInconsistent: false,
        isCleared: true,
        isChanged: true,
        bits: new DirtyBits(),
      });
      this.record();
    });
  }

  remove(name: string): Promise<void> {
    return this.#change(async () => {
      const bitmap = this.#find(name);
      this.#bitmaps.splice(this.#bitmaps.indexOf(bitmap), 1);
      if (bitmap.stored !== undefined) this.#removed.push(bitmap.stored);
    });
  }

  clear(name: string): Promise<void> {
    return this.#change(async () => {
      const bitmap = this.#usable(name);
      bitmap.bits.clear();
      bitmap.isCleared = true;
      bitmap.isChanged = true;
    });
  }

  setEnabled(name: string, enabled: boolean): Promise<void> {
    return this.#change(async () => {
      const bitmap = this.#usable(name);
      const { flags } = bitmap.entry;
      bitmap.entry = { ...bitmap.entry, flags: enabled ? flags | FLAG_AUTO : flags & ~FLAG_AUTO };
      bitmap.isChanged = true;
    });
  }

  merge(target: string, source: DirtyRanges): Promise<void> {
    return this.#change(async () => {
      const bitmap = this.#usable(target);
      for (const [start, end] of source) {
        if (!(start >= 0 && end >= start) || start > this.#core.size)
          throw new BlockError('out-of-bounds', `dirty range ${start} to ${end} is not within the disk`);
        setRange(bitmap, start, Math.min(end, this.#core.size));
      }
    });
  }

  async dirtyRanges(name: string): Promise<DirtyRanges> {
    const core = this.#core;
    core.checkOpen();
    this.#followSize();
    const bitmap = this.#usable(name);
    const all = new DirtyBits();
    if (!bitmap.isCleared && bitmap.stored !== undefined) await readBitmapInto(core, bitmap.stored, all);
    for (const [first, end] of bitmap.bits.runs()) all.set(first, end);
    const granularity = 2 ** bitmap.entry.granularityBits;
    const { size } = core;
    return (function* ranges(): Generator<readonly [number, number]> {
      for (const [first, end] of all.runs())
        if (first * granularity < size) yield [first * granularity, Math.min(end * granularity, size)];
    })();
  }

  /**
   * The disk is about to have another size, or is not after all: what stands on disk is taken over into memory, and takes its new form
   * when it is written.
   */
  async beforeResize(size: number): Promise<void> {
    this.#followSize();
    const { clusterSize } = this.#core.geometry;
    const broken = this.#bitmaps.find((bitmap) => bitmap.isInconsistent);
    if (broken !== undefined)
      throw new BlockError('unsupported-feature', `Cannot resize: bitmap '${broken.entry.name}' is inconsistent`, {
        hint: 'remove the bitmap',
      });
    for (const bitmap of this.#bitmaps) {
      const { granularityBits, name } = bitmap.entry;
      if (tableSizeFor(size, granularityBits, clusterSize) * clusterSize > MAX_BITMAP_BYTES + clusterSize)
        throw new BlockError('no-space', `bitmap '${name}' would be too large`);
      if (!bitmap.isCleared && bitmap.stored !== undefined)
        await readBitmapInto(this.#core, bitmap.stored, bitmap.bits);
      bitmap.isCleared = true;
      bitmap.isChanged = true;
    }
  }

  /** What lay past a smaller size is forgotten, and not found again when the disk grows. Hot path. */
  #followSize(): void {
    const { size } = this.#core;
    if (size === this.#seenSize) return;
    if (size < this.#seenSize)
      for (const { bits, entry } of this.#bitmaps) bits.truncate(Math.ceil(size / 2 ** entry.granularityBits));
    this.#seenSize = size;
  }

  /** Writes what has changed, and that the bitmaps are not in use any more. With nobody inside. */
  async close(): Promise<void> {
    const core = this.#core;
    if (core.writable === undefined || core.isCorrupt || !this.#isRecording || core.header.version < 3) return;
    if (!this.#hadEntries && this.#bitmaps.length === 0) return;
    this.#followSize();
    await core.lock.run(() => storeBitmaps(core, this.#bitmaps, this.#removed));
  }

  #find(name: string): BitmapState {
    const bitmap = this.#bitmaps.find((candidate) => candidate.entry.name === name);
    if (bitmap === undefined) throw new BlockError('not-found', `Dirty bitmap '${name}' not found`);
    return bitmap;
  }

  #usable(name: string): BitmapState {
    const bitmap = this.#find(name);
    if (bitmap.isInconsistent)
      throw new BlockError('corrupt-image', `Bitmap '${name}' is inconsistent and cannot be used`, {
        hint: 'remove the bitmap and start again with a full copy',
      });
    return bitmap;
  }

  async #change(body: () => Promise<void>): Promise<void> {
    this.#core.checkWritable();
    return alone(this.#core, () => {
      this.#followSize();
      return body();
    });
  }
}

/** Hot path. */
function setRange(bitmap: BitmapState, start: number, end: number): void {
  if (start >= end) return;
  const granularity = 2 ** bitmap.entry.granularityBits;
  bitmap.bits.set(Math.floor(start / granularity), Math.ceil(end / granularity));
  bitmap.isChanged = true;
}
