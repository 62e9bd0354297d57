/** Repeatable randomness for tests: a 32-bit generator (xorshift, Marsaglia 2003) seeded by a number. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x6d2b79f5) | 1;
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

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** A value biased to what breaks devices: zero, ones, single bits, small numbers; cut to `bits`. */
  nasty(bits: number): number {
    const mask = bits === 32 ? 0xffffffff : (1 << bits) - 1;
    switch (this.below(6)) {
      case 0:
        return 0;
      case 1:
        return mask >>> 0;
      case 2:
        return (1 << this.below(bits)) >>> 0;
      case 3:
        return this.below(16);
      default:
        return (this.u32() & mask) >>> 0;
    }
  }
}
