/**
 * A storage that watches its reader: how much it reads, how large the largest request is, and after how much a parser is as good as hanging.
 * Going over a cap throws an error that is no `BlockError`, so that it counts as a finding.
 */
import { BlockError } from '@emkit/storage';
import type { Extent, IoOptions, WritableStorage, ZeroOptions } from '@emkit/storage';
import type { Disk } from './disk.ts';

export interface HostileCaps {
  /** Calls. @default 200 000 */
  readonly calls?: number;
  /** Bytes read in all. @default 256 MiB */
  readonly bytes?: number;
  /** Bytes of one request. @default 16 MiB */
  readonly request?: number;
  /** Bytes that the disk may grow to; more is ENOSPC, as on a real one. @default 64 MiB */
  readonly size?: number;
}

export class HostileStorage implements WritableStorage {
  readonly disk: Disk;
  calls = 0;
  bytesRead = 0;
  /** Bytes of the largest request. */
  largest = 0;
  /** What cap was hit, if one was: also when the error was swallowed. */
  exceeded: string | undefined;
  readonly #caps: Required<HostileCaps>;

  constructor(disk: Disk, caps: HostileCaps = {}) {
    this.disk = disk;
    this.#caps = { calls: 200_000, bytes: 256 << 20, request: 16 << 20, size: 64 << 20, ...caps };
  }

  get size(): number {
    return this.disk.size;
  }

  get name(): string | undefined {
    return this.disk.name;
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    this.#count('read', buffer.length);
    this.bytesRead += buffer.length;
    if (this.bytesRead > this.#caps.bytes) this.#over(`${this.bytesRead} bytes were read`);
    await this.disk.read(offset, buffer, options);
  }

  async write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    this.#count('write', buffer.length);
    this.#room(offset + buffer.length);
    await this.disk.write(offset, buffer, options);
  }

  async flush(options?: IoOptions): Promise<void> {
    this.#count('flush', 0);
    await this.disk.flush(options);
  }

  async truncate(size: number, options?: IoOptions): Promise<void> {
    this.#count('truncate', 0);
    this.#room(size);
    await this.disk.truncate(size, options);
  }

  async writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    this.#count('writeZeroes', 0);
    this.#room(offset + length);
    await this.disk.writeZeroes(offset, length, options);
  }

  async discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    this.#count('discard', 0);
    await this.disk.discard(offset, length, options);
  }

  async extent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    this.#count('extent', 0);
    return this.disk.extent(offset, length, options);
  }

  #count(what: string, bytes: number): void {
    this.calls++;
    this.largest = Math.max(this.largest, bytes);
    if (this.calls > this.#caps.calls) this.#over(`${this.calls} calls`);
    if (bytes > this.#caps.request) this.#over(`${what} of ${bytes} bytes`);
  }

  #room(end: number): void {
    if (end > this.#caps.size) throw new BlockError('no-space', `no room for ${end} bytes`);
  }

  #over(what: string): never {
    this.exceeded = what;
    throw new Error(`over budget: ${what}`);
  }
}
