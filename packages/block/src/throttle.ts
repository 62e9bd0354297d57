/**
 * Limits on bytes and requests a second, as leaky buckets: each unit of work fills its buckets, which leak at the rate of the limit; a request waits until
 * every bucket that it fills has room. With a `max`, a second bucket leaks at that rate and the first one holds `maxLength` seconds of it, so that
 * bursts pass. Time is the clock's: nothing here reads the host's.
 *
 * Options and meaning: man qemu-system(1), "-drive throttling.*"; QEMU documentation "The QEMU throttling infrastructure".
 */
import { BlockError, checkAborted, type BlockImage, type IoOptions, type ZeroOptions } from '@emkit/storage';
import type { BlockClock } from './environment.ts';
import { FilterImage } from './filter-image.ts';

/** Units a second, 0 or absent: no limit. As QEMU's `limits.*`: bursts of up to `max` a second for `maxLength` seconds. */
export interface ThrottleLimits {
  readonly bpsTotal?: number;
  readonly bpsRead?: number;
  readonly bpsWrite?: number;
  readonly iopsTotal?: number;
  readonly iopsRead?: number;
  readonly iopsWrite?: number;
  readonly bpsTotalMax?: number;
  readonly bpsReadMax?: number;
  readonly bpsWriteMax?: number;
  readonly iopsTotalMax?: number;
  readonly iopsReadMax?: number;
  readonly iopsWriteMax?: number;
  /** Seconds; default 1. */
  readonly maxLength?: number;
  /** Bytes that count as one I/O; larger requests count as several. */
  readonly iopsSize?: number;
}

const SECOND = 1e9;
/** Without a `max`: how much of a second's work may come at once. */
const DEFAULT_BURST = 0.1;

class Bucket {
  readonly #rate: number;
  readonly #capacity: number;
  readonly #peak: number;
  #level = 0;
  #peakLevel = 0;
  #last: number;

  constructor(rate: number, max: number, seconds: number, now: number) {
    this.#rate = rate;
    this.#peak = max;
    this.#capacity = max > 0 ? max * seconds : rate * DEFAULT_BURST;
    this.#last = now;
  }

  /** Nanoseconds until a unit more may go in; 0: now. */
  wait(now: number): number {
    const seconds = Math.max(0, now - this.#last) / SECOND;
    this.#last = now;
    this.#level = Math.max(0, this.#level - seconds * this.#rate);
    this.#peakLevel = Math.max(0, this.#peakLevel - seconds * this.#peak);
    const over = this.#level - this.#capacity;
    const wait = over > 0 ? over / this.#rate : 0;
    const peakOver = this.#peak > 0 ? this.#peakLevel - this.#peak * DEFAULT_BURST : 0;
    return Math.ceil(Math.max(wait, peakOver > 0 ? peakOver / this.#peak : 0) * SECOND);
  }

  fill(units: number): void {
    this.#level += units;
    this.#peakLevel += units;
  }
}

class ThrottleImage extends FilterImage {
  readonly #clock: BlockClock;
  readonly #iopsSize: number;
  readonly #bytes: { readonly read: Bucket[]; readonly write: Bucket[] };
  readonly #requests: { readonly read: Bucket[]; readonly write: Bucket[] };
  /** Requests are let through in order. */
  #turn: Promise<void> = Promise.resolve();

  constructor(child: BlockImage, limits: ThrottleLimits, clock: BlockClock) {
    super('throttle', child);
    for (const [name, value] of Object.entries(limits))
      if (!(Number.isFinite(value) && (value as number) >= 0))
        throw new BlockError('invalid-option', `bps/iops/max values must be within [0, 2^53): ${name}=${value}`);
    const seconds = limits.maxLength ?? 1;
    if (seconds < 1) throw new BlockError('invalid-option', 'burst length cannot be 0');
    const now = clock.now();
    const make = (rate = 0, max = 0): Bucket[] => {
      if (max > 0 && rate === 0)
        throw new BlockError('invalid-option', 'bps_max/iops_max require corresponding bps/iops values');
      if (max > 0 && max < rate)
        throw new BlockError('invalid-option', 'bps_max/iops_max cannot be lower than bps/iops');
      return rate > 0 ? [new Bucket(rate, max, seconds, now)] : [];
    };
    const bytes = make(limits.bpsTotal, limits.bpsTotalMax);
    const requests = make(limits.iopsTotal, limits.iopsTotalMax);
    this.#bytes = {
      read: [...bytes, ...make(limits.bpsRead, limits.bpsReadMax)],
      write: [...bytes, ...make(limits.bpsWrite, limits.bpsWriteMax)],
    };
    this.#requests = {
      read: [...requests, ...make(limits.iopsRead, limits.iopsReadMax)],
      write: [...requests, ...make(limits.iopsWrite, limits.iopsWriteMax)],
    };
    this.#iopsSize = limits.iopsSize ?? 0;
    this.#clock = clock;
  }

  override async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    await this.#pass('read', buffer.length, options);
    return this.child.read(offset, buffer, options);
  }
  protected override async onWrite(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    await this.#pass('write', buffer.length, options);
    return super.onWrite(offset, buffer, options);
  }
  protected override async onWriteZeroes(offset: number, length: number, options?: ZeroOptions): Promise<void> {
    await this.#pass('write', length, options);
    return super.onWriteZeroes(offset, length, options);
  }
  protected override async onDiscard(offset: number, length: number, options?: IoOptions): Promise<void> {
    await this.#pass('write', length, options);
    return super.onDiscard(offset, length, options);
  }

  #pass(direction: 'read' | 'write', bytes: number, options: IoOptions | undefined): Promise<void> {
    const mine = this.#turn.then(() => this.#wait(direction, bytes, options));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #wait(direction: 'read' | 'write', bytes: number, options: IoOptions | undefined): Promise<void> {
    const byBytes = this.#bytes[direction];
    const byRequests = this.#requests[direction];
    for (;;) {
      checkAborted(options?.signal);
      const now = this.#clock.now();
      const wait = [...byBytes, ...byRequests].reduce((most, bucket) => Math.max(most, bucket.wait(now)), 0);
      if (wait === 0) break;
      await this.#clock.sleep(wait, options?.signal);
    }
    for (const bucket of byBytes) bucket.fill(bytes);
    for (const bucket of byRequests) bucket.fill(this.#iopsSize > 0 ? Math.max(1, bytes / this.#iopsSize) : 1);
  }
}

export const throttle = (child: BlockImage, limits: ThrottleLimits, clock: BlockClock): BlockImage =>
  new ThrottleImage(child, limits, clock);
