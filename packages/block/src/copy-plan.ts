/** What a copy has to do, piece by piece and in order: asks the source's chain what is data and cuts it to the size of a buffer. */
import { type AbortSignal, type BlockImage, type Storage } from '@emkit/storage';
import { chainStatus } from './chain-status.ts';

export interface CopyPiece {
  /** Number in the order of the disk, from 0. */
  readonly index: number;
  readonly offset: number;
  readonly length: number;
  /** `skip`: the target's own backing file has it. */
  readonly kind: 'data' | 'zero' | 'skip';
}

export interface CopyPlanOptions {
  readonly offset: number;
  readonly length: number;
  readonly bufferSize: number;
  /** Pieces begin and end at multiples of it, but for the ends of the range: a cluster of a compressed target. 1: anywhere. */
  readonly unit: number;
  readonly sharedBacking: Storage | undefined;
  /** Everything is data: `-S 0`. */
  readonly allData: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Zeroes that are done in one go: their cost does not grow with their length, but a signal should be looked at. */
const ZERO_PIECE = 2 ** 30;

export class CopyPlan {
  readonly #source: Storage;
  readonly #how: CopyPlanOptions;
  readonly #end: number;
  #at: number;
  #index = 0;
  /** End and kind of the part that was asked for last. */
  #knownEnd = 0;
  #known: CopyPiece['kind'] = 'data';
  #asking: Promise<void> | undefined;

  constructor(source: Storage, how: CopyPlanOptions) {
    this.#source = source;
    this.#how = how;
    this.#at = how.offset;
    this.#end = how.offset + how.length;
  }

  /** Undefined: that was all. A promise: the source must be asked first; call again when it has settled. */
  next(): CopyPiece | Promise<void> | undefined {
    if (this.#asking !== undefined) return this.#asking;
    const offset = this.#at;
    if (offset >= this.#end) return undefined;
    if (this.#knownEnd <= offset) return (this.#asking = this.#ask(offset).finally(() => (this.#asking = undefined)));
    const { bufferSize, unit } = this.#how;
    const most = this.#known === 'data' ? bufferSize : ZERO_PIECE;
    // buffers end at multiples of their size, so that clusters are not cut
    const limit = offset - (offset % most) + most;
    let end = Math.min(this.#knownEnd, limit, this.#end);
    let kind = this.#known;
    if (unit > 1 && end < this.#end && end % unit !== 0) {
      const down = end - (end % unit);
      if (down > offset) end = down;
      else {
        // a cluster of both kinds is data
        end = Math.min(offset - (offset % unit) + unit, this.#end);
        kind = 'data';
      }
    }
    this.#at = end;
    return { index: this.#index++, offset, length: end - offset, kind };
  }

  async #ask(offset: number): Promise<void> {
    const { sharedBacking, allData, signal } = this.#how;
    if (allData) {
      this.#knownEnd = this.#end;
      return;
    }
    const { status: ownStatus, backing } = this.#source as Partial<BlockImage>;
    // where there is no chain, the image's own word is all: it is asked at each change between data and zeroes
    const status =
      ownStatus !== undefined && backing === undefined
        ? await ownStatus.call(this.#source, offset, this.#end - offset, { signal })
        : await chainStatus(this.#source, offset, this.#end - offset, { base: sharedBacking, signal });
    this.#knownEnd = offset + status.length;
    if (status.zero || (!status.allocated && backing === undefined)) this.#known = 'zero';
    else this.#known = status.allocated || sharedBacking === undefined ? 'data' : 'skip';
  }
}
