/**
 * The AES instructions on 16-byte states: FIPS 197 §5 (cipher, inverse), SDM Vol. 1 §12.13 and Vol. 2A under each.
 * Byte n of a state is row n & 3, column n >> 2. A substitution is sixteen table look-ups of sixteen bytes by `i8x16.swizzle`,
 * which gives 0 for indices beyond; no memory is read, so time does not depend on the data.
 */
import { call, type Expr, type Fn, type FnRef, type Lib, type Var } from './emit.ts';
import { bytes, shuffle, splatBytes, vconst, vector, vload, vstore } from './emit-vector.ts';

/** Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
const timesX = (v: number): number => ((v << 1) ^ ((v & 0x80) !== 0 ? 0x11b : 0)) & 0xff;

/** Inverse by powers of the generator x + 1, then the affine map of FIPS 197 §5.1.1. */
function makeSbox(): Uint8Array {
  const power = new Uint8Array(255);
  const log = new Uint8Array(256);
  for (let n = 0, v = 1; n < 255; n++, v ^= timesX(v)) {
    power[n] = v;
    log[v] = n;
  }
  return Uint8Array.from({ length: 256 }, (_, a) => {
    const inverse = a === 0 ? 0 : power[(255 - log[a]!) % 255]!;
    let s = inverse ^ 0x63;
    for (let n = 1; n <= 4; n++) s ^= ((inverse << n) | (inverse >> (8 - n))) & 0xff;
    return s;
  });
}

function defineSubstitution(lib: Lib, name: string, box: Uint8Array): FnRef {
  return lib.fn(name, ['v128'], ['v128'], (f, x) => {
    const index = f.v128(x!);
    const result = f.v128(vector('i8x16_swizzle', vconst(box.subarray(0, 16)), index));
    for (let n = 16; n < 256; n += 16) {
      index.set(vector('i8x16_sub', index, splatBytes(16)));
      result.set(vector('v128_or', result, vector('i8x16_swizzle', vconst(box.subarray(n, n + 16)), index)));
    }
    f.ret(result);
  });
}

/** Row r moves left (inverse: right) by r columns. */
const shiftRows = (v: Expr, direction: 1 | -1): Expr =>
  shuffle(
    v,
    v,
    bytes((n) => 4 * (((n >> 2) + direction * (n & 3)) & 3) + (n & 3)),
  );
/** Each column rotated: byte r becomes byte r + by. */
const rotateColumns = (v: Expr, by: number): Expr =>
  shuffle(
    v,
    v,
    bytes((n) => (n & 12) | ((n + by) & 3)),
  );
const timesXLanes = (v: Expr): Expr =>
  vector('v128_xor', vector('i8x16_shl', v, 1), vector('v128_and', vector('i8x16_shr_s', v, 7), splatBytes(0x1b)));
/** MixColumns, coefficients 2 3 1 1: x (a0 + a1) + a1 + a2 + a3. */
function mixColumns(f: Fn, v: Var): Expr {
  const next = f.v128(rotateColumns(v, 1));
  const sum = f.v128(vector('v128_xor', v, next));
  const others = vector('v128_xor', rotateColumns(v, 2), rotateColumns(v, 3));
  return vector('v128_xor', timesXLanes(sum), vector('v128_xor', next, others));
}
/** The inverse, 14 11 13 9, is MixColumns after a0 += x^2 (a0 + a2). */
function inverseMixColumns(f: Fn, v: Var): Expr {
  const t = f.v128(vector('v128_xor', v, rotateColumns(v, 2)));
  t.set(timesXLanes(t));
  t.set(timesXLanes(t));
  return mixColumns(f, f.v128(vector('v128_xor', v, t)));
}

export function defineAes(lib: Lib): void {
  const box = makeSbox();
  const forward = defineSubstitution(lib, 'aes_box', box);
  const inverse = defineSubstitution(
    lib,
    'aes_inverse_box',
    Uint8Array.from({ length: 256 }, (_, n) => box.indexOf(n)),
  );
  const round = (name: string, direction: 1 | -1, mix: ((f: Fn, v: Var) => Expr) | null): void => {
    lib.export(name, 3, (f, dst, a, key) => {
      const state = f.v128(call(direction === 1 ? forward : inverse, shiftRows(f.v128(vload(a!)), direction)));
      vstore(f, dst!, vector('v128_xor', mix === null ? state : mix(f, state), vload(key!)));
      f.ret(f.i32(0));
    });
  };
  round('aes_enc', 1, mixColumns);
  round('aes_enclast', 1, null);
  round('aes_dec', -1, inverseMixColumns);
  round('aes_declast', -1, null);
  lib.export('aes_imc', 2, (f, dst, a) => {
    vstore(f, dst!, inverseMixColumns(f, f.v128(vload(a!))));
    f.ret(f.i32(0));
  });
  // of dwords 1 and 3: SubWord, and RotWord of it with the round constant
  const words = [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12];
  const odd = bytes((n) => ((n >> 2) & 1) * 0xff);
  lib.export('aes_keygen', 3, (f, dst, a, imm) => {
    const boxed = f.v128(call(forward, vload(a!)));
    const constant = vector('v128_and', vector('i32x4_splat', imm!.and(0xff)), vconst(odd));
    vstore(f, dst!, vector('v128_xor', shuffle(boxed, boxed, words), constant));
    f.ret(f.i32(0));
  });
}
