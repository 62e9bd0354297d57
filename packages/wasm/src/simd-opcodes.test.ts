/** Every vector instruction: accepted by the engine with the types of its name, and the lane-wise ones computed against a model. */
import { describe, expect, it } from 'vitest';
import { functionOf } from './engine.test-support.ts';
import type { FunctionBuilder } from './function-builder.ts';
import { SIMD, VALTYPE } from './index.ts';
import type { ValType } from './index.ts';

const { i32, i64, f32, f64, v128 } = VALTYPE;
const A = Uint8Array.of(0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x12, 0x93, 0x00, 0x00, 0x00, 0x80, 0xff, 0xff, 0xff, 0x7f);
const B = Uint8Array.of(0x05, 0x01, 0x80, 0x7f, 0xfe, 0xff, 0x93, 0x12, 0x01, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff);
/** The bytes alone, as a buffer that typed arrays take. */
function copy(bytes: Uint8Array): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
/** Lanes of every width hold ordinary numbers when these are read as floats. */
const F32S = new Uint8Array(new Float32Array([1.5, -2.25, 3, -0]).buffer);
const F32T = new Uint8Array(new Float32Array([2, -2.25, -7.5, 0.5]).buffer);
const F64S = new Uint8Array(new Float64Array([1.5, -2.25]).buffer);
const F64T = new Uint8Array(new Float64Array([-2.5, 100]).buffer);

const laneTypes: Record<string, ValType> = { i8x16: i32, i16x8: i32, i32x4: i32, i64x2: i64, f32x4: f32, f64x2: f64 };
const laneCounts: Record<string, number> = { i8x16: 16, i16x8: 8, i32x4: 4, i64x2: 2, f32x4: 4, f64x2: 2 };

/** Run a body that leaves a vector, with the two operands in locals 0 and 1; its sixteen bytes. */
function vectorOf(a: Uint8Array, b: Uint8Array, body: (f: FunctionBuilder) => void): Uint8Array {
  const half = (lane: number) =>
    functionOf([], [i64], (f) => {
      const [x, y] = [f.addLocal(v128), f.addLocal(v128)];
      f.v128Const(a).set(x).v128Const(b).set(y);
      body(f);
      f.simdLane(SIMD.i64x2_extract_lane, lane);
    })() as bigint;
  const out = new DataView(new ArrayBuffer(16));
  out.setBigInt64(0, half(0), true);
  out.setBigInt64(8, half(1), true);
  return new Uint8Array(out.buffer);
}

/** Emit one instruction by name with operands of the right types; true when it leaves something to drop. */
function emitByName(f: FunctionBuilder, name: string, sub: number): boolean {
  const vector = () => f.v128Const(A);
  const [shape = '', ...rest] = name.split('_');
  const op = rest.join('_');
  const lane = laneTypes[shape];
  const scalar = () =>
    lane === i64 ? f.i64Const(3) : lane === f32 ? f.f32Const(3) : lane === f64 ? f.f64Const(3) : f.i32Const(3);
  if (shape === 'v128') {
    if (op.endsWith('_lane')) {
      f.i32Const(0);
      vector();
      f.simdLoadLane(sub, 0, 16, 1);
      return op.startsWith('load');
    }
    if (op.startsWith('load')) return (f.i32Const(0).simdLoad(sub, 0, 16), true);
    if (op === 'store') return (vector(), f.simdStore(sub, 4, 16), false);
    if (op === 'const') return (vector(), true);
  }
  if (op === 'shuffle') return (vector(), vector(), f.shuffle(A.map((x) => x & 31)), true);
  if (op === 'splat') return (scalar(), f.simd(sub), true);
  vector();
  if (op.startsWith('extract_lane')) return (f.simdLane(sub, 1), true);
  if (op === 'replace_lane') return (scalar(), f.simdLane(sub, 1), true);
  if (/^sh[lr]/.test(op)) return (f.i32Const(3).simd(sub), true);
  const unary =
    /^(not|any_true|all_true|bitmask|abs|neg|popcnt|ceil|floor|trunc|nearest|sqrt|extend_|extadd_|convert_|trunc_sat|demote|promote)/.test(
      op,
    );
  if (!unary) vector();
  if (op === 'bitselect') vector();
  f.simd(sub);
  return true;
}

describe('vector opcodes', () => {
  it('are the 236 of the specification', () => {
    expect(Object.keys(SIMD).length).toBe(236);
    expect(new Set(Object.values(SIMD)).size).toBe(236);
  });

  it.each(Object.entries(SIMD))('%s is accepted', (name, sub) => {
    functionOf([], [], (f) => {
      // A store takes its address below its value.
      if (name === 'v128_store') f.i32Const(0);
      if (emitByName(f, name, sub)) f.drop();
    })();
  });
});

type LaneModel = (x: { s: bigint; u: bigint }, y: { s: bigint; u: bigint }, n: bigint) => bigint;
const all = (condition: boolean): bigint => (condition ? -1n : 0n);
const clamp = (v: bigint, low: bigint, high: bigint): bigint => (v < low ? low : v > high ? high : v);
const signedClamp = (v: bigint, n: bigint): bigint => clamp(v, -(1n << (n - 1n)), (1n << (n - 1n)) - 1n);
const unsignedClamp = (v: bigint, n: bigint): bigint => clamp(v, 0n, (1n << n) - 1n);
const INT_LANES: Record<string, LaneModel> = {
  eq: (x, y) => all(x.u === y.u),
  ne: (x, y) => all(x.u !== y.u),
  lt_s: (x, y) => all(x.s < y.s),
  lt_u: (x, y) => all(x.u < y.u),
  gt_s: (x, y) => all(x.s > y.s),
  gt_u: (x, y) => all(x.u > y.u),
  le_s: (x, y) => all(x.s <= y.s),
  le_u: (x, y) => all(x.u <= y.u),
  ge_s: (x, y) => all(x.s >= y.s),
  ge_u: (x, y) => all(x.u >= y.u),
  abs: (x) => (x.s < 0n ? -x.s : x.s),
  neg: (x) => -x.s,
  popcnt: (x) => BigInt(x.u.toString(2).split('1').length - 1),
  add: (x, y) => x.s + y.s,
  sub: (x, y) => x.s - y.s,
  mul: (x, y) => x.s * y.s,
  add_sat_s: (x, y, n) => signedClamp(x.s + y.s, n),
  add_sat_u: (x, y, n) => unsignedClamp(x.u + y.u, n),
  sub_sat_s: (x, y, n) => signedClamp(x.s - y.s, n),
  sub_sat_u: (x, y, n) => unsignedClamp(x.u - y.u, n),
  min_s: (x, y) => (x.s < y.s ? x.s : y.s),
  min_u: (x, y) => (x.u < y.u ? x.u : y.u),
  max_s: (x, y) => (x.s > y.s ? x.s : y.s),
  max_u: (x, y) => (x.u > y.u ? x.u : y.u),
  avgr_u: (x, y) => (x.u + y.u + 1n) / 2n,
  q15mulr_sat_s: (x, y, n) => signedClamp((x.s * y.s + 0x4000n) >> 15n, n),
  shl: (x) => x.u << 3n,
  shr_s: (x) => x.s >> 3n,
  shr_u: (x) => x.u >> 3n,
};
const FLOAT_LANES: Record<string, (x: number, y: number) => number> = {
  abs: Math.abs,
  neg: (x) => -x,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest: (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
  sqrt: Math.sqrt,
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  min: Math.min,
  max: Math.max,
  pmin: (x, y) => (y < x ? y : x),
  pmax: (x, y) => (x < y ? y : x),
};

function lanes(bytes: Uint8Array, n: number): { s: bigint; u: bigint }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return Array.from({ length: 128 / n }, (_, lane) => {
    let u = 0n;
    for (let i = n / 8 - 1; i >= 0; i--) u = (u << 8n) | BigInt(view.getUint8((lane * n) / 8 + i));
    return { u, s: BigInt.asIntN(n, u) };
  });
}

function joined(values: readonly bigint[], n: number): Uint8Array {
  const out = new Uint8Array(16);
  values.forEach((value, lane) => {
    for (let i = 0; i < n / 8; i++) out[(lane * n) / 8 + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  });
  return out;
}

const split = Object.entries(SIMD).map(([name, sub]) => ({
  name,
  sub,
  shape: name.split('_')[0] ?? '',
  op: name.split('_').slice(1).join('_'),
}));

describe('lane-wise instructions compute their names', () => {
  const ints = split.filter(({ shape, op }) => shape.startsWith('i') && op in INT_LANES);
  it('has models for most', () => expect(ints.length).toBeGreaterThan(85));

  it.each(ints)('$name', ({ sub, shape, op }) => {
    const n = 128 / (laneCounts[shape] ?? 1);
    const model = INT_LANES[op] as LaneModel;
    const unary = ['abs', 'neg', 'popcnt'].includes(op);
    const got = vectorOf(A, B, (f) => {
      f.get(0);
      if (op.startsWith('sh')) f.i32Const(3);
      else if (!unary) f.get(1);
      f.simd(sub);
    });
    const [xs, ys] = [lanes(A, n), lanes(B, n)];
    expect(got).toEqual(
      joined(
        xs.map((x, i) => model(x, ys[i] as { s: bigint; u: bigint }, BigInt(n))),
        n,
      ),
    );
  });

  it.each(split.filter(({ shape, op }) => shape.startsWith('f') && op in FLOAT_LANES))(
    '$name',
    ({ sub, shape, op }) => {
      const [a, b] = shape === 'f32x4' ? [F32S, F32T] : [F64S, F64T];
      const floats = (bytes: Uint8Array): number[] => [
        ...(shape === 'f32x4' ? new Float32Array(copy(bytes)) : new Float64Array(copy(bytes))),
      ];
      const round = shape === 'f32x4' ? Math.fround : (x: number) => x;
      const model = FLOAT_LANES[op] as (x: number, y: number) => number;
      const got = vectorOf(a, b, (f) => {
        f.get(0);
        if (model.length === 2 || ['min', 'max'].includes(op)) f.get(1);
        f.simd(sub);
      });
      const ys = floats(b);
      // NaN bit patterns are the engine's choice; all else is exact.
      expect(floats(got)).toEqual(floats(a).map((x, i) => round(model(x, ys[i] as number))));
    },
  );

  it('widen, narrow, convert and compare', () => {
    const run = (emit: (f: FunctionBuilder) => void, a: Uint8Array = A, b: Uint8Array = B) => vectorOf(a, b, emit);
    for (const [to, from, n] of [
      ['i16x8', 'i8x16', 8],
      ['i32x4', 'i16x8', 16],
      ['i64x2', 'i32x4', 32],
    ] as const) {
      for (const sign of ['s', 'u'] as const) {
        const half = 64 / n;
        const extended = (part: 'low' | 'high', a: Uint8Array) =>
          lanes(a, n)
            .slice(part === 'low' ? 0 : half)
            .slice(0, half)
            .map((lane) => lane[sign]);
        for (const part of ['low', 'high'] as const) {
          expect(run((f) => f.get(0).simd(SIMD[`${to}_extend_${part}_${from}_${sign}` as keyof typeof SIMD]))).toEqual(
            joined(extended(part, A), 2 * n),
          );
          const products = extended(part, A).map((x, i) => x * (extended(part, B)[i] ?? 0n));
          expect(
            run((f) =>
              f
                .get(0)
                .get(1)
                .simd(SIMD[`${to}_extmul_${part}_${from}_${sign}` as keyof typeof SIMD]),
            ),
          ).toEqual(joined(products, 2 * n));
        }
        if (to === 'i64x2') continue;
        const narrowed = [...lanes(A, 2 * n), ...lanes(B, 2 * n)].map((lane) =>
          (sign === 's' ? signedClamp : unsignedClamp)(lane.s, BigInt(n)),
        );
        expect(
          run((f) =>
            f
              .get(0)
              .get(1)
              .simd(SIMD[`${from}_narrow_${to}_${sign}` as keyof typeof SIMD]),
          ),
        ).toEqual(joined(narrowed, n));
        const pairs = Array.from(
          { length: half },
          (_, i) => (lanes(A, n)[2 * i]?.[sign] ?? 0n) + (lanes(A, n)[2 * i + 1]?.[sign] ?? 0n),
        );
        expect(run((f) => f.get(0).simd(SIMD[`${to}_extadd_pairwise_${from}_${sign}` as keyof typeof SIMD]))).toEqual(
          joined(pairs, 2 * n),
        );
      }
    }
    const dot = Array.from({ length: 4 }, (_, i) =>
      [0, 1].reduce((sum, k) => sum + (lanes(A, 16)[2 * i + k]?.s ?? 0n) * (lanes(B, 16)[2 * i + k]?.s ?? 0n), 0n),
    );
    expect(run((f) => f.get(0).get(1).simd(SIMD.i32x4_dot_i16x8_s))).toEqual(joined(dot, 32));
    const floats = (a: Uint8Array, sub: number) => new Float32Array(copy(run((f) => f.get(0).simd(sub), a)));
    const ints = (a: Uint8Array, sub: number) => new Int32Array(copy(run((f) => f.get(0).simd(sub), a)));
    expect([...ints(F32S, SIMD.i32x4_trunc_sat_f32x4_s)]).toEqual([1, -2, 3, 0]);
    expect([...ints(F32S, SIMD.i32x4_trunc_sat_f32x4_u)]).toEqual([1, 0, 3, 0]);
    expect([...ints(F64S, SIMD.i32x4_trunc_sat_f64x2_s_zero)]).toEqual([1, -2, 0, 0]);
    expect([...ints(F64S, SIMD.i32x4_trunc_sat_f64x2_u_zero)]).toEqual([1, 0, 0, 0]);
    expect([...floats(B, SIMD.f32x4_convert_i32x4_s)][3]).toBe(-1);
    expect([...floats(B, SIMD.f32x4_convert_i32x4_u)][3]).toBe(2 ** 32);
    expect([...floats(F64S, SIMD.f32x4_demote_f64x2_zero)]).toEqual([1.5, -2.25, 0, 0]);
    const doubles = (a: Uint8Array, sub: number) => [...new Float64Array(copy(run((f) => f.get(0).simd(sub), a)))];
    expect(doubles(F32S, SIMD.f64x2_promote_low_f32x4)).toEqual([1.5, -2.25]);
    const minusOnes = new Uint8Array(16).fill(255);
    expect([
      doubles(minusOnes, SIMD.f64x2_convert_low_i32x4_s),
      doubles(minusOnes, SIMD.f64x2_convert_low_i32x4_u),
    ]).toEqual([
      [-1, -1],
      [2 ** 32 - 1, 2 ** 32 - 1],
    ]);
  });

  it('whole-vector logic, shuffles, lanes and memory', () => {
    const bytewise = (model: (x: number, y: number) => number) => A.map((x, i) => model(x, B[i] ?? 0));
    const run = (sub: number, operands = 2) =>
      vectorOf(A, B, (f) => {
        f.get(0);
        if (operands > 1) f.get(1);
        if (operands > 2) f.v128Const(F32S);
        f.simd(sub);
      });
    expect(run(SIMD.v128_and)).toEqual(bytewise((x, y) => x & y));
    expect(run(SIMD.v128_or)).toEqual(bytewise((x, y) => x | y));
    expect(run(SIMD.v128_xor)).toEqual(bytewise((x, y) => x ^ y));
    expect(run(SIMD.v128_andnot)).toEqual(bytewise((x, y) => x & ~y));
    expect(run(SIMD.v128_not, 1)).toEqual(bytewise((x) => ~x));
    expect(run(SIMD.v128_bitselect, 3)).toEqual(
      A.map((x, i) => (x & (F32S[i] ?? 0)) | ((B[i] ?? 0) & ~(F32S[i] ?? 0))),
    );
    expect(run(SIMD.i8x16_swizzle)).toEqual(B.map((at) => A[at] ?? 0));
    const order = Uint8Array.from({ length: 16 }, (_, i) => (i * 7) & 31);
    expect(vectorOf(A, B, (f) => f.get(0).get(1).shuffle(order))).toEqual(order.map((at) => [...A, ...B][at] ?? 0));
    for (const [name, count] of Object.entries(laneCounts)) {
      const type = laneTypes[name] as ValType;
      const extract = SIMD[(count >= 8 ? `${name}_extract_lane_u` : `${name}_extract_lane`) as keyof typeof SIMD];
      // Splat lane 1 of B, then put lane 2 (or 0) of A into the last lane.
      const got = vectorOf(A, B, (f) => {
        f.get(1)
          .simdLane(extract, 1)
          .simd(SIMD[`${name}_splat` as keyof typeof SIMD]);
        f.get(0)
          .simdLane(extract, 0)
          .simdLane(SIMD[`${name}_replace_lane` as keyof typeof SIMD], count - 1);
      });
      const n = 128 / count;
      const expected = lanes(B, n).map((_, i) => (i === count - 1 ? lanes(A, n)[0] : lanes(B, n)[1])?.u ?? 0n);
      expect([type, got]).toEqual([type, joined(expected, n)]);
    }
    const bits = (sub: number) => functionOf([], [i32], (f) => f.v128Const(A).simd(sub))();
    for (const [name, count] of Object.entries(laneCounts).slice(0, 4)) {
      const signs = lanes(A, 128 / count).reduce((mask, lane, i) => mask | (lane.s < 0n ? 1 << i : 0), 0);
      expect(bits(SIMD[`${name}_bitmask` as keyof typeof SIMD])).toBe(signs);
      expect(bits(SIMD[`${name}_all_true` as keyof typeof SIMD])).toBe(
        Number(lanes(A, 128 / count).every((lane) => lane.u !== 0n)),
      );
    }
    expect(bits(SIMD.v128_any_true)).toBe(1);
    expect(
      [SIMD.i8x16_extract_lane_s, SIMD.i8x16_extract_lane_u].map((sub) =>
        functionOf([], [i32], (f) => f.v128Const(A).simdLane(sub, 4))(),
      ),
    ).toEqual([-1, 255]);
    expect(
      [SIMD.i16x8_extract_lane_s, SIMD.i16x8_extract_lane_u].map((sub) =>
        functionOf([], [i32], (f) => f.v128Const(A).simdLane(sub, 1))(),
      ),
    ).toEqual([-32641, 32895]);
  });

  it('loads and stores touch the bytes their names say', () => {
    const stored = (emit: (f: FunctionBuilder) => void) =>
      vectorOf(A, B, (f) => {
        f.i32Const(0).get(0).simdStore(SIMD.v128_store, 4, 32);
        emit(f);
      });
    for (const n of [8, 16, 32, 64]) {
      const first = lanes(A, n)[0]?.u ?? 0n;
      expect(stored((f) => f.i32Const(0).simdLoad(SIMD[`v128_load${n}_splat` as keyof typeof SIMD], 0, 32))).toEqual(
        joined(
          Array.from({ length: 128 / n }, () => first),
          n,
        ),
      );
      const replaced = lanes(B, n).map((lane, i) => (i === 1 ? first : lane.u));
      expect(
        stored((f) =>
          f
            .i32Const(0)
            .get(1)
            .simdLoadLane(SIMD[`v128_load${n}_lane` as keyof typeof SIMD], 0, 32, 1),
        ),
      ).toEqual(joined(replaced, n));
      const written = lanes(A, n).map((lane, i) => (i === 0 ? (lanes(B, n)[1]?.u ?? 0n) : lane.u));
      expect(
        stored((f) =>
          f
            .i32Const(0)
            .get(1)
            .simdLoadLane(SIMD[`v128_store${n}_lane` as keyof typeof SIMD], 0, 32, 1)
            .i32Const(0)
            .simdLoad(SIMD.v128_load, 4, 32),
        ),
      ).toEqual(joined(written, n));
      if (n >= 32)
        expect(stored((f) => f.i32Const(0).simdLoad(SIMD[`v128_load${n}_zero` as keyof typeof SIMD], 0, 32))).toEqual(
          joined([first], n),
        );
      if (n === 64) continue;
      for (const sign of ['s', 'u'] as const) {
        const name = `v128_load${n}x${64 / n}_${sign}` as keyof typeof SIMD;
        expect(stored((f) => f.i32Const(0).simdLoad(SIMD[name], 0, 32))).toEqual(
          joined(
            lanes(A, n)
              .slice(0, 64 / n)
              .map((lane) => lane[sign]),
            2 * n,
          ),
        );
      }
    }
  });
});
