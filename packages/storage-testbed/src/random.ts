/** Repeatable randomness: a 32-bit generator (xorshift, Marsaglia 2003) seeded by a number. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x6d2b79f5) | 1;
    for (let i = 0; i < 4; i++) this.u32();
  }

  /** 0 .. 2^32-1. */
  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** 0 .. count-1. */
  below(count: number): number {
    return Math.floor((this.u32() / 2 ** 32) * count);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Fills `bytes` with what `tag` stands for: different tags differ in every aligned word; tag 0 is zeroes. */
export function fillContent(bytes: Uint8Array, tag: number): void {
  if (tag === 0) {
    bytes.fill(0);
    return;
  }
  const words = new Uint32Array((bytes.length + 3) >> 2);
  let x = Math.imul(tag, 0x9e3779b1) | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  bytes.set(new Uint8Array(words.buffer, 0, bytes.length));
}
