/**
 * How often each host cluster is referred to. Sparse: pages exist where something was counted, one byte a cluster until a count needs more,
 * so memory follows what the image refers to and not what size the file claims. Counts stop at 2^32-1.
 */

const PAGE_CLUSTERS = 16384;
const MAX_COUNT = 0xffffffff;

export class ClusterCounts {
  readonly #pages = new Map<number, Uint8Array | Uint32Array>();
  #last: Uint8Array | Uint32Array | undefined;
  #lastIndex = -1;

  /** Hot path. */
  get(cluster: number): number {
    const page = this.#page(Math.floor(cluster / PAGE_CLUSTERS));
    return page === undefined ? 0 : (page[cluster % PAGE_CLUSTERS] as number);
  }

  /** Gives the new count. Hot path. */
  add(cluster: number, delta: number): number {
    const index = Math.floor(cluster / PAGE_CLUSTERS);
    let page = this.#page(index);
    if (page === undefined) page = this.#put(index, new Uint8Array(PAGE_CLUSTERS));
    const at = cluster % PAGE_CLUSTERS;
    const count = Math.min(Math.max((page[at] as number) + delta, 0), MAX_COUNT);
    if (count > 255 && page instanceof Uint8Array) page = this.#put(index, Uint32Array.from(page));
    page[at] = count;
    return count;
  }

  /** First clusters of the pages there are, ascending. */
  pages(): number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b).map((index) => index * PAGE_CLUSTERS);
  }

  get pageClusters(): number {
    return PAGE_CLUSTERS;
  }

  /** The first cluster from `from` on with the count 0. */
  firstFree(from: number): number {
    for (let cluster = from; ; cluster++) if (this.get(cluster) === 0) return cluster;
  }

  #page(index: number): Uint8Array | Uint32Array | undefined {
    if (index === this.#lastIndex) return this.#last;
    const page = this.#pages.get(index);
    if (page === undefined) return undefined;
    this.#last = page;
    this.#lastIndex = index;
    return page;
  }

  #put(index: number, page: Uint8Array | Uint32Array): Uint8Array | Uint32Array {
    this.#pages.set(index, page);
    this.#last = page;
    this.#lastIndex = index;
    return page;
  }
}
