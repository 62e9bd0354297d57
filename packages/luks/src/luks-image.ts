/**
 * An open LUKS1 volume that is a file of its own, as a disk. Every sector of the disk is encrypted by its own number.
 *
 * Reads run in parallel. Writes that touch the same sector follow each other, since a part of a sector is read, changed and written.
 * There is no allocation, so what a crash can tear is what was being written.
 */
import {
  BlockError,
  checkRange,
  writable,
  type BlockImage,
  type BlockStatus,
  type ImageInfo,
  type IoOptions,
  type ResizeOptions,
  type Storage,
  type WritableStorage,
} from '@emkit/storage';
import type { AesProvider } from './aes.ts';
import { SECTOR_SIZE } from './limits.ts';
import { amendLuks } from './luks-amend.ts';
import type { LuksHeader } from './luks-header.ts';
import { luksInfo } from './luks-info.ts';
import { readLuksHeader } from './luks-volume.ts';
import type { SectorCipher } from './sector-cipher.ts';

interface ActiveWrite {
  readonly start: number;
  readonly end: number;
  readonly done: Promise<void>;
}

export interface LuksImageParts {
  readonly file: Storage;
  readonly header: LuksHeader;
  /** Absent: opened for its metadata only. */
  readonly cipher: SectorCipher | undefined;
  readonly readOnly: boolean;
  readonly secret: (() => Promise<Uint8Array> | Uint8Array) | undefined;
  readonly aes: AesProvider | undefined;
}

type AmendExtra = NonNullable<Parameters<NonNullable<BlockImage['amend']>>[1]>;

const alignDown = (value: number): number => value - (value % SECTOR_SIZE);
const alignUp = (value: number): number => alignDown(value + SECTOR_SIZE - 1);

export class LuksImage implements BlockImage {
  readonly driver = 'luks';
  readonly alignment = SECTOR_SIZE;
  readonly backing = undefined;
  readonly backingReference = undefined;
  readonly file: Storage;
  readonly readOnly: boolean;
  readonly #parts: LuksImageParts;
  readonly #payload: number;
  readonly #writing: ActiveWrite[] = [];
  #isClosed = false;

  constructor(parts: LuksImageParts) {
    this.#parts = parts;
    this.file = parts.file;
    this.readOnly = parts.readOnly;
    this.#payload = parts.header.payloadSector * SECTOR_SIZE;
  }

  /** The last sector may be cut: what is missing reads as encrypted zeroes. */
  get size(): number {
    return Math.max(0, alignUp(this.file.size - this.#payload));
  }

  get mayBlock(): boolean {
    return this.file.mayBlock === true;
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const cipher = this.#usable();
    const { size } = this;
    const within = Math.max(0, Math.min(buffer.length, size - offset));
    checkRange(offset, 0, Number.MAX_SAFE_INTEGER - buffer.length);
    if (within < buffer.length) buffer.fill(0, within);
    if (within === 0) return;
    if (offset % SECTOR_SIZE === 0 && within % SECTOR_SIZE === 0) {
      const target = buffer.subarray(0, within);
      await this.file.read(this.#payload + offset, target, options);
      cipher.decrypt(offset / SECTOR_SIZE, target);
      return;
    }
    const first = alignDown(offset);
    const sectors = new Uint8Array(alignUp(offset + within) - first);
    await this.file.read(this.#payload + first, sectors, options);
    cipher.decrypt(first / SECTOR_SIZE, sectors);
    buffer.set(sectors.subarray(offset - first, offset - first + within));
  }

  async write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const cipher = this.#usable();
    const file = this.#writable();
    checkRange(offset, buffer.length, this.size);
    if (buffer.length === 0) return;
    const first = alignDown(offset);
    const end = alignUp(offset + buffer.length);
    await this.#exclusive(first, end, async () => {
      const sectors = new Uint8Array(end - first);
      if (offset !== first || buffer.length !== sectors.length)
        await this.#edges(first, offset, buffer.length, sectors, options);
      sectors.set(buffer, offset - first);
      cipher.encrypt(first / SECTOR_SIZE, sectors);
      await file.write(this.#payload + first, sectors, options);
    });
  }

  /** The first and last sector as they are on disk. */
  async #edges(first: number, offset: number, length: number, sectors: Uint8Array, options?: IoOptions): Promise<void> {
    const last = sectors.length - SECTOR_SIZE;
    if (offset !== first || last === 0) await this.read(first, sectors.subarray(0, SECTOR_SIZE), options);
    if (last > 0 && (offset + length) % SECTOR_SIZE !== 0)
      await this.read(first + last, sectors.subarray(last), options);
  }

  async #exclusive(start: number, end: number, body: () => Promise<void>): Promise<void> {
    for (;;) {
      const other = this.#writing.find((w) => w.start < end && w.end > start);
      if (other === undefined) break;
      await other.done;
    }
    let finish = (): void => undefined;
    const entry = { start, end, done: new Promise<void>((resolve) => (finish = resolve)) };
    this.#writing.push(entry);
    try {
      await body();
    } finally {
      this.#writing.splice(this.#writing.indexOf(entry), 1);
      finish();
    }
  }

  async flush(options?: IoOptions): Promise<void> {
    this.#open();
    await this.file.flush?.(options);
  }

  async truncate(size: number): Promise<void> {
    this.#open();
    checkRange(size, 0, Number.MAX_SAFE_INTEGER - this.#payload - SECTOR_SIZE);
    await this.#writable().truncate(this.#payload + alignUp(size));
  }

  async resize(size: number, options?: ResizeOptions): Promise<void> {
    if (size < this.size && options?.shrink !== true)
      throw new BlockError('invalid-option', 'shrinking loses data', { hint: 'ask for it with `shrink`' });
    if ((options?.preallocation ?? 'off') !== 'off')
      throw new BlockError('invalid-option', `Unsupported preallocation mode '${options?.preallocation}'`);
    await this.truncate(size);
  }

  async status(offset: number, length: number): Promise<BlockStatus> {
    this.#open();
    checkRange(offset, length, this.size);
    return { length, zero: false, data: true, allocated: true };
  }

  async info(): Promise<ImageInfo> {
    this.#open();
    const data = luksInfo(await readLuksHeader(this.file));
    return {
      format: 'luks',
      virtualSize: this.size,
      encrypted: true,
      dirty: false,
      formatSpecific: { type: 'luks', data },
    };
  }

  async amend(options: Readonly<Record<string, string>>, extra?: AmendExtra): Promise<void> {
    this.#open();
    const secrets = extra?.secrets;
    await amendLuks(this.#writable(), {
      options,
      secret: secrets ?? (() => Promise.reject(new BlockError('key', 'no secrets were given'))),
      passphrase: this.#parts.secret,
      force: extra?.force,
      aes: this.#parts.aes,
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (!this.readOnly) await this.flush();
    this.#isClosed = true;
  }

  #open(): void {
    if (this.#isClosed) throw new BlockError('closed', 'the image is closed');
  }

  #usable(): SectorCipher {
    this.#open();
    const { cipher } = this.#parts;
    if (cipher === undefined) throw new BlockError('key', "Parameter 'key-secret' is required for cipher");
    return cipher;
  }

  #writable(): WritableStorage {
    if (this.readOnly) throw new BlockError('read-only', 'the image is open for reading only');
    return writable(this.file);
  }
}
