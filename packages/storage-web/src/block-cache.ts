/** Blocks in memory, the least recently used going first when there are more bytes than allowed. */
export class BlockCache {
  readonly #maxBytes: number;
  /** In the order of use. */
  readonly #blocks = new Map<number, Uint8Array>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(index: number): boolean {
    return this.#blocks.has(index);
  }

  get(index: number): Uint8Array | undefined {
    const block = this.#blocks.get(index);
    if (block === undefined) return undefined;
    this.#blocks.delete(index);
    this.#blocks.set(index, block);
    return block;
  }

  /** A block larger than the whole cache is not kept. */
  put(index: number, block: Uint8Array): void {
    this.#drop(index);
    if (block.length > this.#maxBytes) return;
    this.#blocks.set(index, block);
    this.#bytes += block.length;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
  }

  clear(): void {
    this.#blocks.clear();
    this.#bytes = 0;
  }

  #drop(index: number): void {
    this.#bytes -= this.#blocks.get(index)?.length ?? 0;
    this.#blocks.delete(index);
  }
}
