/**
 * A model of PCMPESTRx and PCMPISTRx to compare with, element by element as the manual has it: comparison of two short strings with aggregation. SDM Vol. 1 §12.10.3-12.10.5 and Vol. 2B.
 * Control byte: bits 1-0 element type (u8 u16 s8 s16), 3-2 aggregation (any, ranges, each, ordered), 5-4 polarity,
 * 6 output (least/most significant index, or bit/byte mask).
 */
const FLAG_CF = 0x1;
const FLAG_ZF = 0x40;
const FLAG_SF = 0x80;
const FLAG_OF = 0x800;

const element = (v: Uint8Array, at: number, type: number, n: number): number => {
  if ((type & 1) === 0) return (type & 2) === 0 ? v[at + n]! : (v[at + n]! << 24) >> 24;
  const word = v[at + 2 * n]! | (v[at + 2 * n + 1]! << 8);
  return (type & 2) === 0 ? word : (word << 16) >> 16;
};
/** Elements before the first zero. */
const implicitLength = (v: Uint8Array, at: number, type: number, count: number): number => {
  let n = 0;
  while (n < count && element(v, at, type, n) !== 0) n++;
  return n;
};
const explicitLength = (register: number, count: number): number => Math.min(Math.abs(register | 0), count);

/** Is element i of string b (valid or not) a match, before polarity? `a` has `la` valid elements. */
function matches(
  v: Uint8Array,
  a: number,
  c: number,
  imm: number,
  count: number,
  la: number,
  lb: number,
  i: number,
): boolean {
  const type = imm & 3;
  switch ((imm >> 2) & 3) {
    case 0: // equal any
      if (i >= lb) return false;
      for (let j = 0; j < la; j++) if (element(v, a, type, j) === element(v, c, type, i)) return true;
      return false;
    case 1: {
      // ranges: pairs of bounds
      if (i >= lb) return false;
      const x = element(v, c, type, i);
      for (let j = 0; j + 1 < la; j += 2)
        if (element(v, a, type, j) <= x && x <= element(v, a, type, j + 1)) return true;
      return false;
    }
    case 2: // equal each
      if (i >= la || i >= lb) return i >= la && i >= lb;
      return element(v, a, type, i) === element(v, c, type, i);
    default: // equal ordered: a at position i of b, cut by the end of the register
      for (let j = 0; j < la && i + j < count; j++) {
        if (i + j >= lb || element(v, a, type, j) !== element(v, c, type, i + j)) return false;
      }
      return true;
  }
}

/**
 * Operands of 16 bytes at `a` (first) and `c` (second). Writes the mask form at `out`. Result: EFLAGS bits, index << 16.
 */
export function compareStrings(
  v: Uint8Array,
  a: number,
  c: number,
  out: number,
  imm: number,
  explicit: boolean,
  eax: number,
  edx: number,
): number {
  const count = (imm & 1) !== 0 ? 8 : 16;
  const la = explicit ? explicitLength(eax, count) : implicitLength(v, a, imm & 3, count);
  const lb = explicit ? explicitLength(edx, count) : implicitLength(v, c, imm & 3, count);
  let bits = 0;
  for (let i = 0; i < count; i++) if (matches(v, a, c, imm, count, la, lb, i)) bits |= 1 << i;
  const polarity = (imm >> 4) & 3;
  if (polarity === 1) bits ^= (1 << count) - 1;
  else if (polarity === 3) bits ^= (1 << lb) - 1;

  const most = (imm & 0x40) !== 0;
  const index = bits === 0 ? count : most ? 31 - Math.clz32(bits) : 31 - Math.clz32(bits & -bits);
  v.fill(0, out, out + 16);
  if (!most) {
    v[out] = bits & 0xff;
    v[out + 1] = bits >> 8;
  } else {
    const width = 16 / count;
    for (let n = 0; n < 16; n++) if (((bits >> Math.floor(n / width)) & 1) !== 0) v[out + n] = 0xff;
  }
  const flags =
    (bits !== 0 ? FLAG_CF : 0) |
    (lb < count ? FLAG_ZF : 0) |
    (la < count ? FLAG_SF : 0) |
    ((bits & 1) !== 0 ? FLAG_OF : 0);
  return flags | (index << 16);
}
