/**
 * Plain f32/f64 operations with the checks that make them exact under HF_SSE_FAST (hot translation only).
 *
 * Accepted: operands that are not denormal, results that are normal or an exact zero; then no flag but PE (sticky
 * already) can arise and no NaN rule applies. Everything else leaves through `bail_if` and runs in the exact form.
 * A scalar that some earlier checked operation of the block made is known to be no denormal and is not checked again.
 */
import { opId } from '@emkit/ir';
import type { IrBuilder, Value } from '@emkit/ir';

export type FloatType = 'f32' | 'f64';
export type Arithmetic = 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'sqrt';

const splatConst = (type: FloatType, hi: number, lo: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < 16; at += type === 'f64' ? 8 : 4) {
    if (type === 'f64') view.setUint32(at, lo, true);
    view.setUint32(type === 'f64' ? at + 4 : at, hi, true);
  }
  return bytes;
};

/** Ops and bit patterns of one format, as scalar and as vector. */
interface Lane {
  readonly type: FloatType;
  readonly scalar: Readonly<Record<string, number>>;
  readonly vector: Readonly<Record<string, number>>;
  readonly extract: number;
  readonly replace: number;
  readonly bits: number;
  readonly fromBits: number;
  /** The same lane as an integer. */
  readonly replaceBits: number;
  readonly splatBits: number;
  /** Scalar ops whose (checked) results are never denormal. */
  readonly good: ReadonlySet<number>;
  readonly goodVector: ReadonlySet<number>;
  readonly minNormal: Uint8Array;
  readonly infinity: Uint8Array;
}

function makeLane(type: FloatType): Lane {
  const vectorType = type === 'f64' ? 'f64x2' : 'f32x4';
  const ids = (t: string, names: string): Record<string, number> =>
    Object.fromEntries(names.split(' ').map((n) => [n, opId(`${t}_${n}`)]));
  const scalar = ids(type, 'add sub mul div sqrt eq ne lt le nearest select');
  const vector = ids(vectorType, 'add sub mul div sqrt pmin pmax eq ne lt le ge abs nearest');
  return {
    type,
    scalar,
    vector,
    extract: opId(`${vectorType}_extract_lane`),
    replace: opId(`${vectorType}_replace_lane`),
    bits: opId(type === 'f64' ? 'i64_reinterpret_f64' : 'i32_reinterpret_f32'),
    fromBits: opId(type === 'f64' ? 'f64_reinterpret_i64' : 'f32_reinterpret_i32'),
    replaceBits: opId(type === 'f64' ? 'i64x2_replace_lane' : 'i32x4_replace_lane'),
    splatBits: opId(type === 'f64' ? 'i64x2_splat' : 'i32x4_splat'),
    good: new Set([
      scalar['add']!,
      scalar['sub']!,
      scalar['mul']!,
      scalar['div']!,
      scalar['sqrt']!,
      opId(`${type}_convert_i32_s`),
      opId(`${type}_convert_i64_s`),
      opId(type === 'f64' ? 'f64_promote_f32' : 'f32_demote_f64'),
    ]),
    goodVector: new Set([vector['add']!, vector['sub']!, vector['mul']!, vector['div']!, vector['sqrt']!]),
    minNormal: splatConst(type, type === 'f64' ? 0x00100000 : 0x00800000, 0),
    infinity: splatConst(type, type === 'f64' ? 0x7ff00000 : 0x7f800000, 0),
  };
}
export const LANES: Readonly<Record<FloatType, Lane>> = { f32: makeLane('f32'), f64: makeLane('f64') };

const AND = opId('v128_and');
const OR = opId('v128_or');
const ANDNOT = opId('v128_andnot');
const NOT = opId('v128_not');
const ANY_TRUE = opId('v128_any_true');
const ZERO = new Uint8Array(16);

/** Scalar of lane 0; the value put there, when an earlier operation or load of the block did. */
export function laneOf(b: IrBuilder, l: Lane, v: Value): Value {
  const { op, imm } = b.block;
  if (op[v] === l.replace && imm[v] === 0) return b.block.b[v]!;
  if (op[v] === l.replaceBits && imm[v] === 0) return b.emit(l.fromBits, b.block.b[v]!);
  if (op[v] === l.splatBits) return b.emit(l.fromBits, b.block.a[v]!);
  return b.emit(l.extract, v);
}
/** v with lane 0 replaced; an earlier replacement of the same lane is passed over. */
export function withLane(b: IrBuilder, l: Lane, v: Value, s: Value): Value {
  const { op, imm } = b.block;
  const under = (op[v] === l.replace || op[v] === l.replaceBits) && imm[v] === 0 ? b.block.a[v]! : v;
  return b.emit(l.replace, under, s);
}

const bitsOf = (b: IrBuilder, l: Lane, s: Value): Value =>
  b.block.op[s] === l.fromBits ? b.block.a[s]! : b.emit(l.bits, s);
/** Bits without the sign, shifted up. */
const magnitude2 = (b: IrBuilder, l: Lane, s: Value): Value => {
  const bits = bitsOf(b, l, s);
  return b.shl(bits, l.type === 'f64' ? b.i64(1) : b.i32(1));
};
const one = (b: IrBuilder, l: Lane): Value => (l.type === 'f64' ? b.i64(1) : b.i32(1));
const shiftRight = (b: IrBuilder, l: Lane, v: Value, count: number): Value =>
  l.type === 'f64' ? b.wrap(b.shr(v, b.i64(count))) : b.shr(v, b.i32(count));
const isZero = (b: IrBuilder, m: Value): Value => b.eqz(m);

/**
 * i32 condition: s is denormal (or the smallest normal number, which costs nothing but a visit to the exact form);
 * -1 when it is known not to be.
 */
function denormal(b: IrBuilder, l: Lane, s: Value): Value {
  if (l.good.has(b.block.op[s]!)) return -1;
  return b.eqz(shiftRight(b, l, b.sub(magnitude2(b, l, s), one(b, l)), l.type === 'f64' ? 53 : 24));
}
/** i32 condition: the exponent field is 0 or all ones. */
function notNormal(b: IrBuilder, l: Lane, s: Value): Value {
  const exponent = shiftRight(b, l, bitsOf(b, l, s), l.type === 'f64' ? 52 : 23);
  return b.eqz(b.and(b.add(exponent, b.i32(1)), b.i32(l.type === 'f64' ? 0x7fe : 0xfe)));
}

const orAll = (b: IrBuilder, ...conditions: Value[]): Value => {
  let all = -1;
  for (const c of conditions) if (c >= 0) all = all < 0 ? c : b.or(all, c);
  return all < 0 ? b.i32(0) : all;
};
const unordered = (b: IrBuilder, l: Lane, s: Value): Value =>
  l.good.has(b.block.op[s]!) ? -1 : b.emit(l.scalar['ne']!, s, s);

/** Checked scalar operation (a op c; sqrt takes c). */
export function scalarFast(b: IrBuilder, type: FloatType, op: Arithmetic, a: Value, c: Value): Value {
  const l = LANES[type];
  if (op === 'min' || op === 'max') {
    b.bailIf(special(b, type, a, c));
    return b.select(op === 'min' ? b.emit(l.scalar['lt']!, a, c) : b.emit(l.scalar['lt']!, c, a), a, c);
  }
  if (op === 'sqrt') {
    const r = b.emit(l.scalar['sqrt']!, c);
    const m = magnitude2(b, l, r);
    b.bailIf(orAll(b, denormal(b, l, c)));
    b.bailIf(b.and(notNormal(b, l, r), b.ne(m, b.int(b.typeOf(m), 0))));
    return r;
  }
  const r = b.emit(l.scalar[op]!, a, c);
  const m = magnitude2(b, l, r);
  // A zero result is exact: for sums always, for products if a factor is zero, for quotients if the dividend is.
  // `inexact` is zero just then.
  let inexact = m;
  const zeroBits = b.int(b.typeOf(m), 0);
  if (op === 'mul') inexact = b.or(m, b.select(isZero(b, magnitude2(b, l, a)), zeroBits, magnitude2(b, l, c)));
  if (op === 'div') inexact = b.or(m, magnitude2(b, l, a));
  b.bailIf(orAll(b, denormal(b, l, a), a === c ? -1 : denormal(b, l, c)));
  // a guard of its own: the hot tier then looks at the rare second half only when the first half holds
  b.bailIf(b.and(notNormal(b, l, r), b.ne(inexact, zeroBits)));
  return r;
}

/** i32 condition: either scalar is denormal or a NaN. */
export function special(b: IrBuilder, type: FloatType, a: Value, c: Value): Value {
  const l = LANES[type];
  return orAll(
    b,
    denormal(b, l, a),
    unordered(b, l, a),
    a === c ? -1 : denormal(b, l, c),
    a === c ? -1 : unordered(b, l, c),
  );
}
/** i32 condition: a result that is neither normal nor zero, or s is denormal (conversions between formats). */
export function badConversion(b: IrBuilder, from: FloatType, s: Value, to: FloatType, r: Value): Value {
  const m = magnitude2(b, LANES[to], r);
  const exactZero = b.and(isZero(b, m), isZero(b, magnitude2(b, LANES[from], s)));
  return orAll(b, denormal(b, LANES[from], s), b.and(notNormal(b, LANES[to], r), b.eqz(exactZero)));
}

// --- vectors --------------------------------------------------------------------------------------------------------
function denormalLanes(b: IrBuilder, l: Lane, v: Value): Value {
  if (l.goodVector.has(b.block.op[v]!)) return -1;
  const tiny = b.emit(l.vector['lt']!, b.emit(l.vector['abs']!, v), b.v128(l.minNormal));
  return b.emit(AND, tiny, b.emit(l.vector['ne']!, v, b.v128(ZERO)));
}
const orLanes = (b: IrBuilder, ...masks: Value[]): Value => {
  let all = -1;
  for (const m of masks) if (m >= 0) all = all < 0 ? m : b.emit(OR, all, m);
  return all;
};
const bailLanes = (b: IrBuilder, mask: Value): void => {
  if (mask >= 0) b.bailIf(b.emit(ANY_TRUE, mask));
};
const unorderedLanes = (b: IrBuilder, l: Lane, v: Value): Value =>
  l.goodVector.has(b.block.op[v]!) ? -1 : b.emit(l.vector['ne']!, v, v);

export function vectorFast(b: IrBuilder, type: FloatType, op: Arithmetic, a: Value, c: Value): Value {
  const l = LANES[type];
  const { vector } = l;
  if (op === 'min' || op === 'max') {
    bailSpecialLanes(b, type, a, c);
    return b.emit(vector[op === 'min' ? 'pmin' : 'pmax']!, c, a);
  }
  const r = op === 'sqrt' ? b.emit(vector['sqrt']!, c) : b.emit(vector[op]!, a, c);
  const zeros = b.v128(ZERO);
  let exactZero = b.emit(vector['eq']!, r, zeros);
  if (op === 'mul')
    exactZero = b.emit(AND, exactZero, b.emit(OR, b.emit(vector['eq']!, a, zeros), b.emit(vector['eq']!, c, zeros)));
  if (op === 'div') exactZero = b.emit(AND, exactZero, b.emit(vector['eq']!, a, zeros));
  const size = b.emit(vector['abs']!, r);
  const normal = b.emit(
    AND,
    b.emit(vector['ge']!, size, b.v128(l.minNormal)),
    b.emit(vector['lt']!, size, b.v128(l.infinity)),
  );
  bailLanes(
    b,
    orLanes(
      b,
      b.emit(NOT, b.emit(OR, normal, exactZero)),
      op === 'sqrt' ? -1 : denormalLanes(b, l, a),
      a === c && op !== 'sqrt' ? -1 : denormalLanes(b, l, c),
    ),
  );
  return r;
}
export function bailSpecialLanes(b: IrBuilder, type: FloatType, a: Value, c: Value): void {
  const l = LANES[type];
  bailLanes(
    b,
    orLanes(b, denormalLanes(b, l, a), unorderedLanes(b, l, a), denormalLanes(b, l, c), unorderedLanes(b, l, c)),
  );
}
/** Bails unless every lane lies in [-2^31, 2^31) after `v` was rounded to integers. */
export function bailOutOfInt32(b: IrBuilder, type: FloatType, v: Value, usedLanes: Uint8Array): void {
  const { vector } = LANES[type];
  const two31 = splatConst(type, type === 'f64' ? 0x41e00000 : 0x4f000000, 0);
  const minus = splatConst(type, type === 'f64' ? 0xc1e00000 : 0xcf000000, 0);
  const inside = b.emit(AND, b.emit(vector['ge']!, v, b.v128(minus)), b.emit(vector['lt']!, v, b.v128(two31)));
  b.bailIf(b.emit(ANY_TRUE, b.emit(ANDNOT, b.v128(usedLanes), inside)));
}
