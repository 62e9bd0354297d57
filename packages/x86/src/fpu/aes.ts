/** AES rounds on 16-byte states in memory, and carry-less multiplication. FIPS 197 §5; SDM Vol. 1 §12.13; PCLMULQDQ in Vol. 2B. */

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let x = a, y = b; y !== 0; y >>= 1) {
    if ((y & 1) !== 0) product ^= x;
    x = (x << 1) ^ ((x & 0x80) !== 0 ? 0x11b : 0);
  }
  return product;
}
/** S-box: inverse, then the affine map of FIPS 197 §5.1.1. */
function makeSbox(): Uint8Array {
  const box = new Uint8Array(256);
  for (let a = 0; a < 256; a++) {
    let inverse = 0;
    for (let x = 1; x < 256 && inverse === 0; x++) if (multiply(a, x) === 1) inverse = x;
    let s = inverse ^ 0x63;
    for (let n = 1; n <= 4; n++) s ^= ((inverse << n) | (inverse >> (8 - n))) & 0xff;
    box[a] = s;
  }
  return box;
}
const SBOX = makeSbox();
const INVERSE_SBOX = Uint8Array.from({ length: 256 }, (_, n) => SBOX.indexOf(n));

/** out = substitution of the shifted rows of v[at..]. Row r of the state (bytes r, r+4, r+8, r+12) rotates by r columns. */
function shiftSubstitute(v: Uint8Array, at: number, out: number, inverse: boolean): void {
  const box = inverse ? INVERSE_SBOX : SBOX;
  for (let column = 0; column < 4; column++) {
    for (let r = 0; r < 4; r++) {
      const from = (column + (inverse ? 4 - r : r)) & 3;
      v[out + 4 * column + r] = box[v[at + 4 * from + r]!]!;
    }
  }
}
/** MixColumns (coefficients 2 3 1 1) or its inverse (14 11 13 9), in place. */
function mixColumns(v: Uint8Array, at: number, inverse: boolean): void {
  const k = inverse ? [14, 11, 13, 9] : [2, 3, 1, 1];
  for (let c = at; c < at + 16; c += 4) {
    const column = [v[c]!, v[c + 1]!, v[c + 2]!, v[c + 3]!];
    for (let r = 0; r < 4; r++) {
      v[c + r] =
        multiply(column[r]!, k[0]!) ^
        multiply(column[(r + 1) & 3]!, k[1]!) ^
        multiply(column[(r + 2) & 3]!, k[2]!) ^
        multiply(column[(r + 3) & 3]!, k[3]!);
    }
  }
}

/** kind: AESIMC 0, AESENC 1, AESENCLAST 2, AESDEC 3, AESDECLAST 4, AESKEYGENASSIST 5. `a` first, `c` second operand, 16 bytes each. */
export function aesRound(v: Uint8Array, kind: number, imm: number, a: number, c: number, out: number): void {
  if (kind === 0) {
    v.copyWithin(out, c, c + 16);
    mixColumns(v, out, true);
  } else if (kind === 5) {
    for (const half of [0, 8]) {
      for (let n = 0; n < 4; n++) {
        v[out + half + n] = SBOX[v[c + half + 4 + n]!]!;
        v[out + half + 4 + n] = SBOX[v[c + half + 4 + ((n + 1) & 3)]!]!;
      }
      v[out + half + 4]! ^= imm;
    }
  } else {
    const inverse = kind >= 3;
    shiftSubstitute(v, a, out, inverse);
    if (kind === 1 || kind === 3) mixColumns(v, out, inverse);
    for (let n = 0; n < 16; n++) v[out + n]! ^= v[c + n]!;
  }
}

/** 128-bit carry-less product of two 64-bit values, all in dwords at word indices of v. */
export function carrylessMultiply(v: Uint32Array, a: number, c: number, out: number): void {
  let [r0, r1, r2, r3] = [0, 0, 0, 0];
  // x = the multiplicand shifted left step by step
  let [x0, x1, x2, x3] = [v[a]!, v[a + 1]!, 0, 0];
  for (let n = 0; n < 64; n++) {
    if (((v[c + (n >> 5)]! >>> (n & 31)) & 1) !== 0) {
      r0 ^= x0;
      r1 ^= x1;
      r2 ^= x2;
      r3 ^= x3;
    }
    x3 = (x3 << 1) | (x2 >>> 31);
    x2 = (x2 << 1) | (x1 >>> 31);
    x1 = (x1 << 1) | (x0 >>> 31);
    x0 <<= 1;
  }
  v[out] = r0;
  v[out + 1] = r1;
  v[out + 2] = r2;
  v[out + 3] = r3;
}
