/**
 * Which host clusters hold metadata, and of which kind: for overlap checks at every write, so a hash table of numbers, 16 bytes a slot,
 * in place of a Map. In proportion to the L1 and refcount tables, which are in memory and bounded themselves.
 */

const EMPTY = -1;
const REMOVED = -2;
const FIRST_SLOTS = 1024;
/** Knuth's multiplicative hash. */
const GOLDEN = 0x9e3779b1;

export class ClusterSet {
  #keys = new Float64Array(FIRST_SLOTS).fill(EMPTY);
  #kinds = new Uint8Array(FIRST_SLOTS);
  /** Slots that are not EMPTY. */
  #used = 0;
  /** No cluster above is in the set: what is written to a growing file lies above. */
  #highest = -1;

  /** Whether a run has a cluster of the set. Hot path. */
  meets(first: number, count: number): boolean {
    const last = Math.min(first + count - 1, this.#highest);
    for (let cluster = first; cluster <= last; cluster++) if (this.get(cluster) !== 0) return true;
    return false;
  }

  /** The kind, 0 when the cluster is not in the set. Hot path. */
  get(cluster: number): number {
    const mask = this.#keys.length - 1;
    for (let slot = hash(cluster) & mask; ; slot = (slot + 1) & mask) {
      const key = this.#keys[slot];
      if (key === cluster) return this.#kinds[slot] as number;
      if (key === EMPTY) return 0;
    }
  }

  set(cluster: number, kind: number): void {
    if (this.#used * 2 >= this.#keys.length) this.#grow();
    const mask = this.#keys.length - 1;
    let slot = hash(cluster) & mask;
    while (this.#keys[slot] !== EMPTY && this.#keys[slot] !== cluster) slot = (slot + 1) & mask;
    if (this.#keys[slot] === EMPTY) this.#used++;
    this.#keys[slot] = cluster;
    this.#kinds[slot] = kind;
    if (cluster > this.#highest) this.#highest = cluster;
  }

  delete(cluster: number): void {
    const mask = this.#keys.length - 1;
    for (let slot = hash(cluster) & mask; this.#keys[slot] !== EMPTY; slot = (slot + 1) & mask)
      if (this.#keys[slot] === cluster) {
        this.#keys[slot] = REMOVED;
        return;
      }
  }

  #grow(): void {
    const keys = this.#keys;
    const kinds = this.#kinds;
    let live = 0;
    for (const key of keys) if (key >= 0) live++;
    const slots = live * 4 > keys.length ? keys.length * 2 : keys.length;
    this.#keys = new Float64Array(slots).fill(EMPTY);
    this.#kinds = new Uint8Array(slots);
    this.#used = 0;
    keys.forEach((key, i) => {
      if (key >= 0) this.set(key, kinds[i] as number);
    });
  }
}

function hash(cluster: number): number {
  return Math.imul((cluster % 4294967296) ^ Math.floor(cluster / 4294967296), GOLDEN) >>> 8;
}
