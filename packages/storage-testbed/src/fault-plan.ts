/**
 * Faults by position: the nth call to any of the disks of an image fails, once or from then on. `faultLoop` runs a scenario for n = 1, 2,
 * ... until it completes untouched, so that every call has failed once.
 */
import { BlockError } from '@emkit/storage';
import type { Extent, IoOptions, WritableStorage, ZeroOptions } from '@emkit/storage';
import type { Disk } from './disk.ts';
import { SECTOR } from './power-cut.ts';

export type CallKind = 'read' | 'write' | 'flush' | 'truncate' | 'zero' | 'discard' | 'extent';

export interface FaultOptions {
  /** Which calls count; default: all. */
  readonly kinds?: readonly CallKind[];
  /** As EIO or ENOSPC. @default 'io' */
  readonly error?: 'io' | 'no-space';
  /** Every later call of these kinds fails too. */
  readonly sticky?: boolean;
  /** What a failing write leaves: nothing, about its first half (whole sectors), or everything. @default 'nothing' */
  readonly leaves?: 'nothing' | 'half' | 'everything';
}

export class FaultPlan {
  readonly options: FaultOptions;
  /** Calls of the kinds that count, so far. */
  calls = 0;
  /** Calls that failed. */
  fired = 0;
  readonly #nth: number;
  #isArmed = true;

  /** `nth` counts from 1. */
  constructor(nth: number, options: FaultOptions = {}) {
    this.#nth = nth;
    this.options = options;
  }

  /** From now on nothing fails. */
  disarm(): void {
    this.#isArmed = false;
  }

  wrap(disk: Disk): WritableStorage {
    return new FaultyDisk(disk, this);
  }

  /** The error of this call if it is one that fails. */
  next(kind: CallKind, offset: number): BlockError | undefined {
    if (!this.#isArmed || this.options.kinds?.includes(kind) === false) return undefined;
    this.calls++;
    if (this.options.sticky === true ? this.calls < this.#nth : this.calls !== this.#nth) return undefined;
    this.fired++;
    const error = this.options.error ?? 'io';
    return new BlockError(error, `injected ${error === 'io' ? 'EIO' : 'ENOSPC'} in ${kind}, call ${this.calls}`, {
      offset,
    });
  }
}

class FaultyDisk implements WritableStorage {
  readonly #disk: Disk;
  readonly #plan: FaultPlan;

  constructor(disk: Disk, plan: FaultPlan) {
    this.#disk = disk;
    this.#plan = plan;
  }

  get size(): number {
    return this.#disk.size;
  }

  get name(): string | undefined {
    return this.#disk.name;
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    this.#try('read', offset);
    await this.#disk.read(offset, buffer, options);
  }

  async write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    const error = this.#plan.next('write', offset);
    if (error !== undefined) {
      const { leaves = 'nothing' } = this.#plan.options;
      const half = Math.max(0, Math.floor((offset + buffer.length / 2) / SECTOR) * SECTOR - offset);
      if (leaves !== 'nothing') this.#disk.put(offset, leaves === 'half' ? buffer.subarray(0, half) : buffer);
      throw error;
    }
    await this.#disk.write(offset, buffer, options);
  }

  async flush(options?: IoOptions): Promise<void> {
    this.#try('flush', 0);
    await this.#disk.flush(options);
  }

  async truncate(size: number, options?: IoOptions): Promise<void> {
    this.#try('truncate', size);
    await this.#disk.truncate(size, options);
  }

  async writeZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    this.#try('zero', offset);
    await this.#disk.writeZeroes(offset, length, options);
  }

  async discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    this.#try('discard', offset);
    await this.#disk.discard(offset, length, options);
  }

  async extent(offset: number, length: number, options?: IoOptions): Promise<Extent> {
    this.#try('extent', offset);
    return this.#disk.extent(offset, length, options);
  }

  #try(kind: CallKind, offset: number): void {
    const error = this.#plan.next(kind, offset);
    if (error !== undefined) throw error;
  }
}

/** Gives the number of positions at which a fault was injected; a sticky one counts once. `limit` bounds the runs; `step` leaves some positions out. */
export async function faultLoop(
  scenario: (plan: FaultPlan) => Promise<void>,
  options: FaultOptions & { readonly limit?: number; readonly step?: number } = {},
): Promise<number> {
  const { limit = Infinity, step = 1 } = options;
  let faults = 0;
  for (let n = 1, runs = 0; runs < limit; n += step, runs++) {
    const plan = new FaultPlan(n, options);
    await scenario(plan);
    if (plan.fired === 0) break;
    faults++;
  }
  return faults;
}
