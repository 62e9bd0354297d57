/**
 * Inputs of the recorded AVX vectors (fixtures/avx.ts) by number: YMM0-7, then 128 bytes of memory, of values that floating-point
 * and integer instructions find interesting.
 */
const SINGLES = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x40490fdb, 0x7f800000, 0xff800000, 0x7fc00001, 0x7fa00001, 1, 0x80000001,
  0x007fffff, 0x7f7fffff, 0x00800000, 0x4f000000, 0xcf000000, 0x3fc00000, 0x40200000, 0x477fe000, 0x477ff000,
  0x33000000, 0x38800000, 0x387fffff,
];
const UPPER_HALVES = [
  0, 0x80000000, 0x3ff00000, 0xbff00000, 0x400921fb, 0x7ff00000, 0xfff00000, 0x7ff80000, 0x7ff40000, 0x000fffff,
  0x7fefffff, 0x00100000, 0x41e00000, 0x43e00000,
];

/** `indexSize`: log2 of the size of the indices that YMM1 is to have for a gather, else 0. */
export function vectorInputs(number: number, indexSize: number): Uint8Array {
  let seed = number + 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) & 0xffff;
  };
  const word = (): number => ((random() << 16) ^ random()) >>> 0;
  const pick = (list: readonly number[]): number => list[random() % list.length]!;
  const bytes = new Uint8Array(384);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < 384; at += 32) {
    const kind = random() % 6;
    for (let i = at; i < at + 32; i += 8) {
      for (const k of [i, i + 4]) {
        if (kind === 0) view.setUint32(k, word(), true);
        else if (kind === 1) view.setUint32(k, random() % 3 !== 0 ? pick(SINGLES) : word(), true);
        else if (kind === 2) view.setFloat32(k, (random() - 32768) / (1 << (random() % 16)), true);
        else if (kind === 5) view.setUint32(k, random() % 40, true);
      }
      if (kind === 3) view.setFloat64(i, (random() - 32768) / (1 << (random() % 16)), true);
      if (kind === 4) {
        view.setUint32(i + 4, random() % 3 !== 0 ? pick(UPPER_HALVES) : word(), true);
        view.setUint32(i, random() % 3 !== 0 ? 0 : word(), true);
      }
    }
  }
  if (indexSize > 0) {
    for (let at = 32; at < 64; at += 1 << indexSize) {
      view.setUint32(at, random() % 12, true);
      if (indexSize === 3) view.setUint32(at + 4, 0, true);
    }
  }
  return bytes;
}
