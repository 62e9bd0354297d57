/**
 * An open QED image. Reads and overwrites go straight to the file; what needs new clusters goes through the allocator. Knows when the image
 * is clean: the need-check bit is taken back on close, and by a flush that finds nothing allocated since the one before.
 */
import { BlockError, checkAborted, checkRange } from '@emkit/storage';
import type {
  BlockImage,
  BlockStatus,
  CheckOptions,
  CheckResult,
  Extent,
  ImageInfo,
  IoOptions,
  Reference,
  ResizeOptions,
  Storage,
  WritableStorage,
  ZeroOptions,
} from '@emkit/storage';
import { Allocator } from './allocator.ts';
import { checkTables } from './check.ts';
import { ClusterMap } from './cluster-map.ts';
import type { Run } from './cluster-map.ts';
import { HeaderFile } from './header-file.ts';
import { Field, readU64, tableGeometry } from './header.ts';
import type { Header } from './header.ts';
import { COPY_CHUNK, STATUS_SLICES } from './limits.ts';

const SECTOR = 512;
/** Requests to the file for one read that may be under way together. */
const READ_DEPTH = 64;

/** What a writable image has more. */
interface Writer {
  readonly file: WritableStorage;
  readonly header: HeaderFile;
  readonly allocator: Allocator;
}

export class QedImage implements BlockImage {
  readonly driver = 'qed';
  readonly alignment: number;
  readonly clusterSize: number;
  readonly file: Storage;
  readonly readOnly: boolean;
  readonly mayBlock: boolean | undefined;
  readonly name: string | undefined;
  backing: Storage | undefined;
  backingReference: Reference | undefined;
  readonly #header: Header;
  readonly #map: ClusterMap;
  readonly #writer: Writer | undefined;
  #size: number;
  #ownsBacking = false;
  #isClosed = false;
  /** `allocator.changes` at the last flush. */
  #flushedChanges = 0;

  constructor(file: Storage, header: Header, reference: Reference | undefined, writer: WritableStorage | undefined) {
    this.file = file;
    this.mayBlock = file.mayBlock;
    this.name = file.name;
    this.clusterSize = header.clusterSize;
    this.alignment = 1;
    this.readOnly = writer === undefined;
    this.backingReference = reference;
    this.#header = header;
    this.#size = readU64(header.view, Field.IMAGE_SIZE);
    this.#map = new ClusterMap(file, header);
    if (writer === undefined) return;
    const headerFile = new HeaderFile(writer, header);
    this.#writer = { file: writer, header: headerFile, allocator: new Allocator(writer, this.#map, headerFile, this) };
  }

  get size(): number {
    return this.#size;
  }

  /** For the allocator. */
  get hasBacking(): boolean {
    return this.backing !== undefined || this.backingReference !== undefined;
  }

  /** After opening for writing: drops what others' autoclear bits stood for, and repairs what a crash left, unless `forCheck`. */
  async prepare(forCheck: boolean): Promise<void> {
    const { header } = this.#writable();
    await header.clearAutoclear();
    if (!header.needsCheck || forCheck) return;
    const { corruptions, checkErrors } = await this.check({ repair: 'all' });
    if (corruptions > 0 || checkErrors > 0)
      throw new BlockError('corrupt-image', `the image was not closed, and ${corruptions} errors cannot be repaired`, {
        offset: Field.FEATURES,
        field: 'features',
        hint: 'open it read only and copy what it has',
      });
  }

  /** `isOwn`: closed with the image. */
  attachBacking(backing: Storage, isOwn: boolean): void {
    this.backing = backing;
    this.#ownsBacking = isOwn;
  }

  /** Hot path. */
  read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    try {
      this.#check(offset, buffer.length, options);
      if (buffer.length === 0) return Promise.resolve();
      const run = this.#map.lookup(offset, buffer.length);
      if ('kind' in run && run.kind === 'data' && run.length === buffer.length)
        return this.file.read(run.offset, buffer, options);
      return this.#readRuns(offset, buffer, run, options);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  async #readRuns(offset: number, buffer: Uint8Array, first: Run | Promise<Run>, options?: IoOptions): Promise<void> {
    const pending: Promise<void>[] = [];
    try {
      let next: Run | Promise<Run> = first;
      for (let done = 0; done < buffer.length;) {
        const run: Run = await next;
        const part = buffer.subarray(done, done + run.length);
        if (run.kind === 'data') pending.push(this.file.read(run.offset, part, options));
        else if (run.kind === 'zero') part.fill(0);
        else pending.push(this.#readBacking(offset + done, part, options));
        done += run.length;
        if (pending.length >= READ_DEPTH) await Promise.all(pending.splice(0));
        if (done < buffer.length) next = this.#map.lookup(offset + done, buffer.length - done);
      }
      await Promise.all(pending);
    } finally {
      // the buffer is the caller's again only when nothing writes to it any more
      await Promise.allSettled(pending);
    }
  }

  async #readBacking(offset: number, part: Uint8Array, options?: IoOptions): Promise<void> {
    const inside = Math.max(0, Math.min(part.length, (this.backing?.size ?? 0) - offset));
    part.fill(0, inside);
    if (inside > 0) await this.backing?.read(offset, part.subarray(0, inside), options);
  }

  /** Hot path. */
  write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    try {
      this.#check(offset, buffer.length, options);
      const { file } = this.#writable();
      if (buffer.length === 0) return Promise.resolve();
      const run = this.#map.lookup(offset, buffer.length);
      if ('kind' in run && run.kind === 'data' && run.length === buffer.length) {
        this.#checkTarget(run);
        return file.write(run.offset, buffer, options);
      }
      return this.#writeRuns(offset, buffer, run, options);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  async #writeRuns(offset: number, buffer: Uint8Array, first: Run | Promise<Run>, options?: IoOptions): Promise<void> {
    const { file, allocator } = this.#writable();
    let next: Run | Promise<Run> = first;
    for (let done = 0; done < buffer.length;) {
      const run: Run = await next;
      checkAborted(options?.signal);
      const part = buffer.subarray(done, done + run.length);
      if (run.kind === 'data') {
        this.#checkTarget(run);
        await file.write(run.offset, part, options);
        done += run.length;
      } else done += await allocator.allocate(offset + done, part.length, part, options);
      if (done < buffer.length) next = this.#map.lookup(offset + done, buffer.length - done);
    }
  }

  async writeZeroes(offset: number, length: number, options: ZeroOptions = {}): Promise<void> {
    this.#check(offset, length, options);
    this.#writable();
    await this.#zero(offset, length, this.#size, options);
  }

  /** `diskEnd`: a cluster that reaches beyond it counts as whole. */
  async #zero(offset: number, length: number, diskEnd: number, options: ZeroOptions): Promise<void> {
    const { allocator } = this.#writable();
    const { clusterSize } = this;
    const end = offset + length;
    for (let at = offset; at < end;) {
      checkAborted(options.signal);
      const run = await this.#map.lookup(at, end - at);
      if (run.kind === 'data') {
        this.#checkTarget(run);
        await this.#zeroData(run, options);
        at += run.length;
        continue;
      }
      if (run.kind === 'zero') {
        at += run.length;
        continue;
      }
      const clusterStart = Math.floor(at / clusterSize) * clusterSize;
      const clusterEnd = clusterStart + clusterSize;
      const isPart = at > clusterStart || end < Math.min(clusterEnd, diskEnd);
      if (isPart && this.#mayShow(clusterStart)) {
        at += await allocator.allocate(at, Math.min(clusterEnd, end) - at, undefined, options);
        continue;
      }
      // a part of a cluster that is all zero anyway: the cluster
      const runEnd = at + run.length;
      const wholeEnd = runEnd >= diskEnd ? runEnd : Math.floor(runEnd / clusterSize) * clusterSize;
      const zeroEnd = isPart || wholeEnd <= clusterStart ? Math.min(clusterEnd, end) : wholeEnd;
      at += await allocator.zero(at, zeroEnd - at);
    }
  }

  /** Whether an unallocated cluster may read as something other than zeroes. */
  #mayShow(clusterStart: number): boolean {
    if (this.backing === undefined) return this.backingReference !== undefined;
    return clusterStart < this.backing.size;
  }

  async #zeroData(run: Run, options: ZeroOptions): Promise<void> {
    const { file } = this.#writable();
    if (file.writeZeroes !== undefined) return file.writeZeroes(run.offset, run.length, options);
    const zeroes = new Uint8Array(Math.min(run.length, COPY_CHUNK));
    for (let done = 0; done < run.length; done += zeroes.length) {
      checkAborted(options.signal);
      await file.write(run.offset + done, zeroes.subarray(0, Math.min(zeroes.length, run.length - done)), options);
    }
  }

  /** The format cannot give clusters back; the file may give up their space. */
  async discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    this.#check(offset, length, options);
    const { file } = this.#writable();
    if (file.discard === undefined) return;
    for (let at = offset; at < offset + length;) {
      checkAborted(options?.signal);
      const run = await this.#map.lookup(at, offset + length - at);
      if (run.kind === 'data') {
        this.#checkTarget(run);
        await file.discard(run.offset, run.length, options);
      }
      at += run.length;
    }
  }

  async flush(options?: IoOptions): Promise<void> {
    this.#check(0, 0, options);
    const { file, header, allocator } = this.#writer ?? {};
    if (file === undefined || header === undefined || allocator === undefined) return;
    const { changes } = allocator;
    await file.flush(options);
    const isIdle = changes === this.#flushedChanges && allocator.changes === changes && allocator.claims.isEmpty;
    this.#flushedChanges = changes;
    if (isIdle && header.needsCheck && !allocator.lock.isLocked) await this.#markClean();
  }

  /** Everything has been flushed: the tables in the file are complete. */
  async #markClean(): Promise<void> {
    const { file, header, allocator } = this.#writable();
    await allocator.lock.run(async () => {
      if (!header.needsCheck || allocator.isUncertain || !allocator.claims.isEmpty) return;
      await file.flush();
      await header.clearNeedCheck();
    });
  }

  async status(offset: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    this.#check(offset, length, options);
    if (length === 0) throw new BlockError('out-of-bounds', `status of no bytes at ${offset}`);
    let run = await this.#map.lookup(offset, length);
    for (let slices = 1; run.length < length && slices < STATUS_SLICES; slices++) {
      checkAborted(options?.signal);
      const next = await this.#nextRun(offset + run.length, length - run.length, run);
      if (next === undefined) break;
      run = { ...run, length: run.length + next.length };
    }
    if (run.kind === 'data')
      return { length: run.length, allocated: true, data: true, zero: false, offset: run.offset };
    if (run.kind === 'zero') return { length: run.length, allocated: true, data: false, zero: true };
    const shown = this.backing === undefined ? 0 : this.backing.size - offset;
    if (shown <= 0) return { length: run.length, allocated: false, data: false, zero: true };
    return { length: Math.min(run.length, shown), allocated: false, data: false, zero: false };
  }

  /** What continues `run`, if the tables are in order there: an error is for who asks for that place. */
  async #nextRun(offset: number, length: number, run: Run): Promise<Run | undefined> {
    try {
      const next = await this.#map.lookup(offset, length);
      if (next.kind !== run.kind) return undefined;
      return run.kind === 'data' && next.offset !== run.offset + run.length ? undefined : next;
    } catch {
      return undefined;
    }
  }

  /** Of the disk with what is behind it. */
  async extent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    const { length: known, zero, data, allocated } = await this.status(offset, length, options);
    if (allocated || this.backing === undefined) return { length: known, zero, data };
    if (zero) return { length: known, zero, data };
    if (this.backing.extent === undefined) return { length: known, zero: false, data: true };
    return this.backing.extent(offset, known, options);
  }

  /** QEMU says nothing about the need-check bit here either. */
  info(): Promise<ImageInfo> {
    return Promise.resolve({
      format: 'qed',
      virtualSize: this.#size,
      clusterSize: this.clusterSize,
      dirty: false,
    });
  }

  async check(options: CheckOptions = {}): Promise<CheckResult> {
    this.#check(0, 0, options);
    const repair = options.repair === undefined ? undefined : this.#writable();
    const target = {
      file: this.file,
      geometry: this.#header,
      imageSize: this.#size,
      repair: repair?.file,
      signal: options.signal,
    };
    const { allocator } = this.#writer ?? {};
    if (allocator === undefined) return checkTables(target);
    while (!allocator.claims.isEmpty) await allocator.claims.settle();
    return allocator.lock.run(async () => {
      const result = await checkTables(target);
      if (repair === undefined) return result;
      this.#map.reload();
      await repair.file.flush();
      if (result.corruptions === 0 && result.checkErrors === 0) {
        allocator.isUncertain = false;
        await repair.header.clearNeedCheck();
        await repair.file.flush();
      }
      return result;
    });
  }

  async resize(size: number, options: ResizeOptions = {}): Promise<void> {
    this.#check(0, 0, options);
    const { file, header, allocator } = this.#writable();
    if ((options.preallocation ?? 'off') !== 'off')
      throw new BlockError('invalid-option', `Unsupported preallocation mode '${String(options.preallocation)}'`);
    if (!Number.isSafeInteger(size) || size < 0)
      throw new BlockError('invalid-option', `size ${size} is no number of bytes`, { field: 'image_size' });
    if (size < this.#size)
      throw new BlockError(
        options.shrink === true ? 'unsupported-feature' : 'invalid-option',
        'Shrinking images is currently not supported',
      );
    const { clusterSize, tableBytes } = this.#header;
    const rounded = Math.ceil(size / SECTOR) * SECTOR;
    if (rounded > tableGeometry(clusterSize, tableBytes / clusterSize).maxImageSize)
      throw new BlockError('no-space', 'QED image size is invalid', { field: 'image_size' });
    if (this.backing === undefined && this.backingReference !== undefined)
      throw new BlockError('refused', 'the backing file must be open for the image to grow', {
        hint: 'its content past the old end must not show',
      });
    await this.#hideBeyond(this.#size, rounded, options);
    await allocator.lock.run(async () => {
      await file.flush();
      await header.setImageSize(rounded);
      await file.flush();
      this.#size = rounded;
    });
  }

  /** What the tables and the backing file have past the disk's end, zeroed: the grown part reads as zero. */
  async #hideBeyond(from: number, to: number, options: IoOptions): Promise<void> {
    const { clusterSize } = this;
    const end = Math.ceil(to / clusterSize) * clusterSize;
    for (let at = from; at < end;) {
      checkAborted(options.signal);
      const run = await this.#map.lookup(at, end - at);
      const shown = run.kind === 'none' ? Math.ceil((this.backing?.size ?? 0) / clusterSize) * clusterSize : Infinity;
      if (run.kind !== 'zero' && at < shown) await this.#zero(at, Math.min(run.length, shown - at), end, options);
      at += run.length;
    }
  }

  truncate(size: number, options?: IoOptions): Promise<void> {
    return this.resize(size, options);
  }

  setBacking(backing: Storage | undefined): void {
    this.backing = backing;
    this.#ownsBacking = false;
  }

  async setBackingReference(reference: { name: string; format?: string | undefined } | undefined): Promise<void> {
    this.#check(0, 0);
    const { file, header, allocator } = this.#writable();
    await allocator.lock.run(async () => {
      await header.setBacking(reference);
      await file.flush();
      const format = reference?.format === 'raw' ? 'raw' : undefined;
      this.backingReference = reference && { kind: 'backing', name: reference.name, format };
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { file, header, allocator } = this.#writer ?? {};
    try {
      if (file === undefined || header === undefined || allocator === undefined) return;
      while (!allocator.claims.isEmpty) await allocator.claims.settle();
      await file.flush();
      if (!header.needsCheck) return;
      await this.#markClean();
      await file.flush();
    } finally {
      if (this.#ownsBacking) await this.backing?.close?.();
    }
  }

  /** Ends without a change to the file: the image could not be opened. */
  async abandon(): Promise<void> {
    this.#isClosed = true;
    if (this.#ownsBacking) await this.backing?.close?.();
  }

  #writable(): Writer {
    if (this.#writer === undefined) throw new BlockError('read-only', `${this.name ?? 'the image'} is read only`);
    return this.#writer;
  }

  /** A damaged image must not make a write to the disk one to its header or L1 table. */
  #checkTarget(run: Run): void {
    const { l1Offset, tableBytes } = this.#header;
    if (run.offset < l1Offset + tableBytes && l1Offset < run.offset + run.length)
      throw new BlockError('corrupt-image', 'a data cluster lies in the L1 table', { offset: run.offset });
  }

  #check(offset: number, length: number, options?: IoOptions): void {
    if (this.#isClosed) throw new BlockError('closed', 'the image is closed');
    checkRange(offset, length, this.#size);
    checkAborted(options?.signal);
  }
}
