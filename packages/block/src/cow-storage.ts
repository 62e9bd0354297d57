/**
 * A disk over another one that it does not change: writes are held in memory, cluster by cluster, and are lost at the end. For `snapshot=on` without
 * a temporary file, and for pages. The one below must not change meanwhile.
 *
 * Invariant: a cluster is in the map with its final content before any request that needs it goes on; what is in the map decides.
 */
import {
  AsyncMutex,
  BlockError,
  checkRange,
  type BlockImage,
  type BlockStatus,
  type ImageInfo,
  type IoOptions,
  type Storage,
} from '@emkit/storage';

export interface CowOptions {
  /** Bytes per piece, a power of two from 512 to 2 MiB; default 64 KiB. */
  readonly clusterSize?: number | undefined;
  /** Most bytes held; a write beyond is `no-space`. Default 1 GiB. */
  readonly limit?: number | undefined;
}

class CowImage implements BlockImage {
  readonly driver = 'cow';
  readonly readOnly = false;
  readonly alignment = 1;
  readonly backingReference = undefined;
  readonly clusterSize: number;
  readonly file: Storage;
  readonly size: number;
  readonly #limit: number;
  /** null: zeroes. */
  readonly #clusters = new Map<number, Uint8Array | null>();
  readonly #filling = new AsyncMutex();
  #held = 0;

  constructor(below: Storage, options: CowOptions) {
    const { clusterSize = 65536, limit = 2 ** 30 } = options;
    if (!Number.isSafeInteger(clusterSize) || clusterSize < 512 || clusterSize > 2 ** 21 || Math.log2(clusterSize) % 1)
      throw new BlockError('invalid-option', 'Cluster size must be a power of two between 512 and 2048k');
    this.file = below;
    this.size = below.size;
    this.clusterSize = clusterSize;
    this.#limit = limit;
  }

  get backing(): Storage {
    return this.file;
  }
  get mayBlock(): boolean | undefined {
    return this.file.mayBlock;
  }
  get name(): string | undefined {
    return this.file.name;
  }

  async read(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    checkRange(offset, buffer.length, this.size);
    for (let done = 0; done < buffer.length;) {
      const at = offset + done;
      const index = Math.floor(at / this.clusterSize);
      const within = at - index * this.clusterSize;
      const cluster = this.#clusters.get(index);
      if (cluster === undefined) {
        const length = this.#run(index, offset + buffer.length) - at;
        await this.file.read(at, buffer.subarray(done, done + length), options);
        done += length;
      } else {
        const count = Math.min(this.clusterSize - within, buffer.length - done);
        if (cluster === null) buffer.fill(0, done, done + count);
        else buffer.set(cluster.subarray(within, within + count), done);
        done += count;
      }
    }
  }

  /** End of the clusters from `index` on that are like it, at most `end`. */
  #run(index: number, end: number): number {
    const first = this.#clusters.get(index);
    let next = index + 1;
    for (; next * this.clusterSize < end; next++) {
      const cluster = this.#clusters.get(next);
      if ((cluster === undefined) !== (first === undefined) || (cluster === null) !== (first === null)) break;
    }
    return Math.min(next * this.clusterSize, end);
  }

  async write(offset: number, buffer: Uint8Array, options?: IoOptions): Promise<void> {
    checkRange(offset, buffer.length, this.size);
    for (let done = 0; done < buffer.length;) {
      const index = Math.floor((offset + done) / this.clusterSize);
      const within = offset + done - index * this.clusterSize;
      const count = Math.min(this.clusterSize - within, buffer.length - done);
      const whole = within === 0 && (count === this.clusterSize || offset + done + count === this.size);
      let cluster = this.#clusters.get(index) ?? undefined;
      cluster ??= whole ? this.#keep(index, this.#take()) : await this.#fill(index, options);
      cluster.set(buffer.subarray(done, done + count), within);
      done += count;
    }
  }

  async writeZeroes(offset: number, length: number, options?: IoOptions): Promise<void> {
    checkRange(offset, length, this.size);
    for (let at = offset; at < offset + length;) {
      const index = Math.floor(at / this.clusterSize);
      const end = Math.min((index + 1) * this.clusterSize, offset + length);
      if (at % this.clusterSize === 0 && (end % this.clusterSize === 0 || end === this.size)) this.#drop(index);
      else if (this.#clusters.get(index) !== null)
        (this.#clusters.get(index) ?? (await this.#fill(index, options)))?.fill(
          0,
          at % this.clusterSize,
          end - index * this.clusterSize,
        );
      at = end;
    }
  }

  async discard(offset: number, length: number, options?: IoOptions): Promise<void> {
    checkRange(offset, length, this.size);
    const start = Math.ceil(offset / this.clusterSize) * this.clusterSize;
    const end = Math.floor((offset + length) / this.clusterSize) * this.clusterSize;
    if (end > start) await this.writeZeroes(start, end - start, options);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  status(offset: number, length: number): Promise<BlockStatus> {
    checkRange(offset, length, this.size);
    const index = Math.floor(offset / this.clusterSize);
    const cluster = this.#clusters.get(index);
    const known = this.#run(index, offset + length) - offset;
    const allocated = cluster !== undefined;
    return Promise.resolve({ length: known, allocated, data: allocated && cluster !== null, zero: cluster === null });
  }

  info(): Promise<ImageInfo> {
    return Promise.resolve({
      format: this.driver,
      virtualSize: this.size,
      clusterSize: this.clusterSize,
      dirty: false,
    });
  }

  close(): Promise<void> {
    this.#clusters.clear();
    return Promise.resolve();
  }

  makeEmpty(): Promise<void> {
    this.#clusters.clear();
    this.#held = 0;
    return Promise.resolve();
  }

  /** A cluster as it is below. One at a time, so that it is brought in once. */
  #fill(index: number, options: IoOptions | undefined): Promise<Uint8Array> {
    return this.#filling.run(async () => {
      const there = this.#clusters.get(index);
      if (there !== undefined && there !== null) return there;
      const cluster = this.#take();
      if (there === undefined) {
        const start = index * this.clusterSize;
        const end = Math.min(start + this.clusterSize, this.size);
        try {
          await this.file.read(start, cluster.subarray(0, end - start), options);
        } catch (error) {
          this.#held -= this.clusterSize;
          throw error;
        }
        const meanwhile = this.#clusters.get(index);
        if (meanwhile !== undefined) {
          this.#held -= this.clusterSize;
          if (meanwhile !== null) return meanwhile;
          this.#held += this.clusterSize;
          cluster.fill(0);
        }
      }
      return this.#keep(index, cluster);
    });
  }

  #take(): Uint8Array {
    if (this.#held + this.clusterSize > this.#limit)
      throw new BlockError('no-space', `the changes take more than the ${this.#limit} bytes that are allowed`);
    this.#held += this.clusterSize;
    return new Uint8Array(this.clusterSize);
  }

  #keep(index: number, cluster: Uint8Array): Uint8Array {
    this.#clusters.set(index, cluster);
    return cluster;
  }

  #drop(index: number): void {
    const there = this.#clusters.get(index);
    if (there !== undefined && there !== null) this.#held -= this.clusterSize;
    this.#clusters.set(index, null);
  }
}

export const cowStorage = (below: Storage, options: CowOptions = {}): BlockImage => new CowImage(below, options);
