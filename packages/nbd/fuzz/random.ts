/** A small seeded random generator (xorshift32): the same seed gives the same inputs everywhere. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }
  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
  int(n: number): number {
    return this.u32() % n;
  }
  chance(percent: number): boolean {
    return this.int(100) < percent;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)] as T;
  }
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32());
  }
  /** 32 bits that sit at an edge more often than not. */
  edge(): number {
    const edges = [0, 1, 2, 7, 8, 9, 12, 511, 512, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff];
    return this.chance(70) ? this.pick(edges) : this.u32() >>> this.int(32);
  }
}

/** Mutates a few bytes, cuts, or doubles a part. */
export function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  for (let n = random.int(4); n > 0 && copy.length > 0; n--) copy[random.int(copy.length)] = random.u32();
  if (random.chance(15)) return copy.subarray(0, random.int(copy.length + 1));
  if (random.chance(10)) {
    const from = random.int(copy.length + 1);
    return Uint8Array.from([...copy, ...copy.subarray(from)]);
  }
  return copy;
}
