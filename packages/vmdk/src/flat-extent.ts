/** FLAT and VMFS: a range of a file as it is. Virtual Disk Format 5.0 "Simple Extents". A file that is too short reads as zeroes. */
import { BlockError, writable, zeroRange, type BlockStatus, type IoOptions, type Storage } from '@emkit/storage';
import type { VmdkExtent } from './extent.ts';

export class FlatExtent implements VmdkExtent {
  readonly start: number;
  readonly length: number;
  readonly format: string;
  readonly filename: string;
  readonly file: Storage;
  readonly readOnlyReason: string | undefined;
  /** Where it begins in the file. */
  readonly #offset: number;

  constructor(
    file: Storage,
    place: { start: number; length: number; offset: number },
    words: { format: string; filename: string; readOnlyReason?: string | undefined },
  ) {
    this.file = file;
    this.start = place.start;
    this.length = place.length;
    this.#offset = place.offset;
    this.format = words.format;
    this.filename = words.filename;
    this.readOnlyReason = words.readOnlyReason ?? (file.write === undefined ? 'it cannot be written' : undefined);
  }

  /** Hot path. */
  read(at: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    return this.file.read(this.#offset + at, buffer, options);
  }

  /** Hot path. */
  write(at: number, data: Uint8Array, options?: IoOptions): Promise<void> {
    return writable(this.file).write(this.#offset + at, data, options);
  }

  writeZeroes(at: number, length: number, options?: IoOptions): Promise<void> {
    return zeroRange(writable(this.file), this.#offset + at, length, options?.signal);
  }

  async status(at: number, length: number, options?: IoOptions): Promise<BlockStatus> {
    const offset = this.#offset + at;
    const place = { allocated: true, data: true, offset, file: this.file.name ?? this.filename };
    if (offset >= this.file.size) return { ...place, length, zero: true };
    const within = Math.min(length, this.file.size - offset);
    if (this.file.extent === undefined) return { ...place, length: within, zero: false };
    const below = await this.file.extent(offset, within, options);
    return { ...place, length: below.length, zero: below.zero };
  }

  flush(options?: IoOptions): Promise<void> {
    return this.file.flush === undefined ? Promise.resolve() : this.file.flush(options);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(report: (line: string) => void): Promise<void> {
    if (this.file.size >= this.#offset + this.length || this.length === 0) return Promise.resolve();
    // QEMU does not look at this, so it is no error
    report(`Extent file ${this.filename} is shorter than the extent: the rest reads as zeroes`);
    return Promise.resolve();
  }
}

/** ZERO: reads as zeroes, takes no writes. NOACCESS: takes nothing at all. Virtual Disk Format 5.0 "The Extent Section". */
export class VoidExtent implements VmdkExtent {
  readonly start: number;
  readonly length: number;
  readonly format: string;
  readonly filename: string;
  readonly file = undefined;
  readonly readOnlyReason: string;
  readonly #isReadable: boolean;

  constructor(
    place: { start: number; length: number },
    words: { format: string; filename: string },
    isReadable: boolean,
  ) {
    this.start = place.start;
    this.length = place.length;
    this.format = words.format;
    this.filename = words.filename;
    this.#isReadable = isReadable;
    this.readOnlyReason = isReadable ? 'it has no file' : 'the descriptor allows no access';
  }

  read(at: number, buffer: Uint8Array): Promise<void> {
    if (!this.#isReadable) return Promise.reject(this.#refusal(at, 'refused'));
    buffer.fill(0);
    return Promise.resolve();
  }

  write(at: number): Promise<void> {
    return Promise.reject(this.#refusal(at));
  }

  writeZeroes(at: number): Promise<void> {
    return this.#isReadable ? Promise.resolve() : Promise.reject(this.#refusal(at, 'refused'));
  }

  status(_at: number, length: number): Promise<BlockStatus> {
    return Promise.resolve({ length, allocated: true, zero: this.#isReadable, data: !this.#isReadable });
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  #refusal(at: number, kind: 'read-only' | 'refused' = 'read-only'): BlockError {
    return new BlockError(kind, `the extent at ${this.start + at} cannot be used so: ${this.readOnlyReason}`);
  }
}
