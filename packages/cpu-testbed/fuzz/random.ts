/**
 * A small seeded random generator (splitmix32) and the values that break arithmetic more often than uniform ones do.
 * The same seed gives the same sequence on every host: only 32-bit integer operations.
 */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  u32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }
  /** 0 .. n-1. */
  int(n: number): number {
    return Math.floor((this.u32() / 2 ** 32) * n);
  }
  /** True `percent` times of a hundred. */
  chance(percent: number): boolean {
    return this.int(100) < percent;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)];
  }

  /** 32 bits that sit at an edge of some width more often than not. */
  value(): number {
    const edges = [
      0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
      0x0f0f0f0f, 0xaaaaaaaa,
    ];
    switch (this.int(4)) {
      case 0:
        return this.pick(edges);
      case 1:
        return (this.pick(edges) + this.int(5) - 2) >>> 0;
      case 2:
        return this.int(256);
      default:
        return this.u32();
    }
  }

  /** 16 bytes for memory, x87 or vector registers: floats of all kinds, integers, noise. */
  fill16(out: DataView, at: number): void {
    const kind = this.int(8);
    for (let n = 0; n < 16; n += 4) out.setUint32(at + n, kind === 0 ? this.u32() : this.value(), true);
    switch (kind) {
      case 1:
      case 2:
        out.setFloat64(at, this.double(), true);
        out.setFloat64(at + 8, this.double(), true);
        break;
      case 3:
      case 4:
        for (let n = 0; n < 16; n += 4) out.setFloat32(at + n, this.double(), true);
        break;
      case 5:
      case 6:
        // an 80-bit real: a normal one mostly
        out.setUint32(at + 4, (this.u32() | (this.chance(95) ? 0x80000000 : 0)) >>> 0, true);
        out.setUint16(
          at + 8,
          this.pick([
            0x3fff,
            0x4000,
            0xbfff,
            0x3ffe,
            0x401e,
            0xc03e,
            0x7fff,
            0xffff,
            0,
            1,
            0x8000,
            0x3fff - this.int(70),
            0x3fff + this.int(70),
          ]),
          true,
        );
        break;
      default:
    }
  }

  double(): number {
    switch (this.int(8)) {
      case 0:
        return this.pick([
          0,
          -0,
          1,
          -1,
          0.5,
          2,
          Infinity,
          -Infinity,
          NaN,
          5e-324,
          2.2250738585072014e-308,
          1.7976931348623157e308,
          3.4028234663852886e38,
          1.401298464324817e-45,
        ]);
      case 1:
        return this.int(2000) - 1000;
      case 2:
        return (this.u32() | 0) * 2 ** (this.int(80) - 40);
      default:
        return (this.u32() / 2 ** 32 - 0.5) * 10 ** (this.int(12) - 4);
    }
  }
}
