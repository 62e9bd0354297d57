/** The clusters that a check has met: a bitmap in pages, which exist where a cluster was added, so that a sparse file costs nothing. */
import { BlockError } from '@emkit/storage';
import { MAX_CHECK_MEMORY } from './limits.ts';

const WORDS = 128;
const PAGE_CLUSTERS = WORDS * 32;
/** Bytes of a page with what the map needs for it. */
const PAGE_COST = WORDS * 4 + 128;

export class ClusterSet {
  /** Clusters in the set. */
  count = 0;
  readonly #pages = new Map<number, Uint32Array>();
  readonly #maxPages: number;

  constructor(maxBytes = MAX_CHECK_MEMORY) {
    this.#maxPages = Math.max(1, Math.floor(maxBytes / PAGE_COST));
  }

  /** False: it was there already. Throws `corrupt-image` when the clusters in use are scattered over more pages than are allowed. */
  add(cluster: number): boolean {
    const index = Math.floor(cluster / PAGE_CLUSTERS);
    let page = this.#pages.get(index);
    if (page === undefined) {
      if (this.#pages.size >= this.#maxPages)
        throw new BlockError('corrupt-image', 'the clusters in use are scattered too widely for a check', {
          hint: 'copy the disk into a new image',
        });
      this.#pages.set(index, (page = new Uint32Array(WORDS)));
    }
    const bit = cluster - index * PAGE_CLUSTERS;
    const mask = 1 << (bit & 31);
    if (((page[bit >> 5] as number) & mask) !== 0) return false;
    (page[bit >> 5] as number) |= mask;
    this.count++;
    return true;
  }
}
