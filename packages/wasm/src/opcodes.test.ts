/** Every name of the one-byte, 0xfc and 0xfe tables: accepted by the engine with the types its name says, and doing what it says. */
import { describe, expect, it } from 'vitest';
import { functionOf } from './engine.test-support.ts';
import type { WasmFunction } from './engine.test-support.ts';
import type { FunctionBuilder } from './function-builder.ts';
import { ATOMIC, MISC, ModuleBuilder, OP, VALTYPE } from './index.ts';
import type { ValType } from './index.ts';
import { engine } from './engine.test-support.ts';

const { i32, i64, f32, f64 } = VALTYPE;
type Scalar = 'i32' | 'i64' | 'f32' | 'f64';

const COMPARE_INT = ['eq', 'ne', 'lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_s', 'le_u', 'ge_s', 'ge_u'];
const COMPARE_FLOAT = ['eq', 'ne', 'lt', 'gt', 'le', 'ge'];
const UNARY = [
  'clz',
  'ctz',
  'popcnt',
  'extend8_s',
  'extend16_s',
  'extend32_s',
  'abs',
  'neg',
  'ceil',
  'floor',
  'trunc',
  'nearest',
  'sqrt',
];

function byName(name: string): ValType {
  return VALTYPE[name as Scalar];
}

/** The operand and result types that a numeric instruction's name states. */
function signature(name: string): { params: ValType[]; results: ValType[] } {
  const [type = '', ...rest] = name.split('_');
  const op = rest.join('_');
  const own = byName(type);
  const source = /_(i32|i64|f32|f64)(_[su])?$/.exec(name)?.[1];
  if (source !== undefined) return { params: [byName(source)], results: [own] };
  if (op === 'eqz') return { params: [own], results: [i32] };
  if (COMPARE_INT.includes(op) || COMPARE_FLOAT.includes(op)) return { params: [own, own], results: [i32] };
  if (UNARY.includes(op)) return { params: [own], results: [own] };
  return { params: [own, own], results: [own] };
}

/** Integer instructions on unbounded integers: `u` and `s` are the operands unsigned and signed, `n` the width. */
type IntModel = (a: { u: bigint; s: bigint }, b: { u: bigint; s: bigint }, n: bigint) => bigint | undefined;
const bits = (v: bigint, n: bigint): string => v.toString(2).padStart(Number(n), '0');
const int = (condition: boolean): bigint => (condition ? 1n : 0n);
const INT_MODELS: Record<string, IntModel> = {
  eqz: (a) => int(a.u === 0n),
  eq: (a, b) => int(a.u === b.u),
  ne: (a, b) => int(a.u !== b.u),
  lt_s: (a, b) => int(a.s < b.s),
  lt_u: (a, b) => int(a.u < b.u),
  gt_s: (a, b) => int(a.s > b.s),
  gt_u: (a, b) => int(a.u > b.u),
  le_s: (a, b) => int(a.s <= b.s),
  le_u: (a, b) => int(a.u <= b.u),
  ge_s: (a, b) => int(a.s >= b.s),
  ge_u: (a, b) => int(a.u >= b.u),
  clz: (a, _, n) => BigInt(bits(a.u, n).indexOf('1') < 0 ? Number(n) : bits(a.u, n).indexOf('1')),
  ctz: (a, _, n) => BigInt(a.u === 0n ? Number(n) : Number(n) - 1 - bits(a.u, n).lastIndexOf('1')),
  popcnt: (a, _, n) => BigInt(bits(a.u, n).split('1').length - 1),
  add: (a, b) => a.u + b.u,
  sub: (a, b) => a.u - b.u,
  mul: (a, b) => a.u * b.u,
  div_s: (a, b, n) => (b.s === 0n || (b.s === -1n && a.s === -(1n << (n - 1n))) ? undefined : a.s / b.s),
  div_u: (a, b) => (b.u === 0n ? undefined : a.u / b.u),
  rem_s: (a, b) => (b.s === 0n ? undefined : a.s % b.s),
  rem_u: (a, b) => (b.u === 0n ? undefined : a.u % b.u),
  and: (a, b) => a.u & b.u,
  or: (a, b) => a.u | b.u,
  xor: (a, b) => a.u ^ b.u,
  shl: (a, b, n) => a.u << (b.u % n),
  shr_s: (a, b, n) => a.s >> (b.u % n),
  shr_u: (a, b, n) => a.u >> (b.u % n),
  rotl: (a, b, n) => (a.u << (b.u % n)) | (a.u >> (n - (b.u % n))),
  rotr: (a, b, n) => (a.u >> (b.u % n)) | (a.u << (n - (b.u % n))),
  extend8_s: (a) => BigInt.asIntN(8, a.u),
  extend16_s: (a) => BigInt.asIntN(16, a.u),
  extend32_s: (a) => BigInt.asIntN(32, a.u),
};
const FLOAT_MODELS: Record<string, (a: number, b: number) => number> = {
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a, b) => Number(a < b),
  gt: (a, b) => Number(a > b),
  le: (a, b) => Number(a <= b),
  ge: (a, b) => Number(a >= b),
  abs: Math.abs,
  neg: (a) => -a,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest: (a) => (Math.abs(a % 1) === 0.5 ? 2 * Math.round(a / 2) : Math.round(a)),
  sqrt: Math.sqrt,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  copysign: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
};
const INT_SAMPLES = [
  0n,
  1n,
  5n,
  33n,
  0x7fn,
  0x80n,
  0x8000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1234_5678_9abc_def0n,
  -1n,
  1n << 63n,
];
const FLOAT_SAMPLES = [0, -0, 1, -1.5, 2.5, -3.25, 1e10, -Infinity, NaN];

const NUMERIC = Object.entries(OP).filter(([, opcode]) => opcode >= OP.i32_eqz && opcode <= OP.i64_extend32_s);
const LOADS = Object.entries(OP).filter(([, opcode]) => opcode >= OP.i32_load && opcode <= OP.i64_load32_u);
const STORES = Object.entries(OP).filter(([, opcode]) => opcode >= OP.i32_store && opcode <= OP.i64_store32);

function apply(name: string, emit: (f: FunctionBuilder) => void): WasmFunction {
  const { params, results } = signature(name);
  return functionOf(params, results, (f) => {
    for (let i = 0; i < params.length; i++) f.get(i);
    emit(f);
  });
}

describe('one-byte opcodes', () => {
  it('are all there: 256 less what the specification reserves or other proposals use', () => {
    expect(NUMERIC.length).toBe(0xc4 - 0x45 + 1);
    expect(LOADS.length + STORES.length).toBe(0x3e - 0x28 + 1);
    expect(new Set(Object.values(OP)).size).toBe(Object.keys(OP).length);
  });

  it.each(NUMERIC)('%s has the types of its name and computes it', (name, opcode) => {
    const f = apply(name, (b) => b.op(opcode));
    const [type, ...rest] = name.split('_');
    const op = rest.join('_');
    const intModel = INT_MODELS[op];
    const floatModel = FLOAT_MODELS[op];
    if ((type === 'i32' || type === 'i64') && intModel !== undefined) {
      const n = type === 'i32' ? 32 : 64;
      const operand = (v: bigint) => ({ u: BigInt.asUintN(n, v), s: BigInt.asIntN(n, v) });
      const pass = (v: bigint) => (n === 32 ? Number(BigInt.asIntN(32, v)) : v);
      const wide = signature(name).results[0] === i64;
      for (const x of INT_SAMPLES) {
        for (const y of INT_SAMPLES) {
          const expected = intModel(operand(x), operand(y), BigInt(n));
          if (expected === undefined) expect(() => f(pass(x), pass(y))).toThrow();
          else
            expect(f(pass(x), pass(y))).toBe(wide ? BigInt.asIntN(64, expected) : Number(BigInt.asIntN(32, expected)));
        }
      }
    } else if (floatModel !== undefined) {
      const round = type === 'f32' ? Math.fround : (v: number) => v;
      for (const x of FLOAT_SAMPLES) for (const y of FLOAT_SAMPLES) expect(f(x, y)).toBe(round(floatModel(x, y)));
    }
  });

  it('convert as their names say', () => {
    const on = (name: keyof typeof OP, x: number | bigint) => apply(name, (b) => b.op(OP[name]))(x);
    expect(on('i32_wrap_i64', 0x1_ffff_fffen)).toBe(-2);
    expect([on('i64_extend_i32_s', -1), on('i64_extend_i32_u', -1)]).toEqual([-1n, 0xffff_ffffn]);
    for (const from of ['f32', 'f64'] as const) {
      expect([on(`i32_trunc_${from}_s`, -3.7), on(`i32_trunc_${from}_u`, 2 ** 31)]).toEqual([-3, -(2 ** 31)]);
      expect([on(`i64_trunc_${from}_s`, -3.7), on(`i64_trunc_${from}_u`, 2 ** 63)]).toEqual([-3n, -(2n ** 63n)]);
      expect([on(`${from}_convert_i32_s`, -1), on(`${from}_convert_i32_u`, -(2 ** 31))]).toEqual([-1, 2 ** 31]);
      expect([on(`${from}_convert_i64_s`, -1n), on(`${from}_convert_i64_u`, -(2n ** 63n))]).toEqual([-1, 2 ** 63]);
    }
    expect([on('f32_demote_f64', 0.1), on('f64_promote_f32', 0.5)]).toEqual([Math.fround(0.1), 0.5]);
    expect([on('i32_reinterpret_f32', 1), on('f32_reinterpret_i32', 0x3f80_0000)]).toEqual([0x3f80_0000, 1]);
    expect([on('i64_reinterpret_f64', 1), on('f64_reinterpret_i64', 0x3ff0_0000_0000_0000n)]).toEqual([
      0x3ff0_0000_0000_0000n,
      1,
    ]);
  });

  it.each(LOADS)('%s reads its width, extended as its name says', (name, opcode) => {
    const [, type = '', width, sign] = /^(...)_load(\d*)_?([su]?)$/.exec(name) ?? [];
    const module = functionOf([], [byName(type)], (f) => {
      f.i32Const(8)
        .i64ConstParts(0x8182_8384 | 0, 0x4586_8788)
        .store(OP.i64_store, 3, 0);
      f.i32Const(0).load(opcode, 0, 8);
    });
    const size = Number(width || type.slice(1));
    const raw = BigInt.asUintN(size, 0x4586_8788_8182_8384n);
    const value = sign === 'u' || width === '' ? raw : BigInt.asIntN(size, raw);
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, value, true);
    const expected = {
      i32: view.getInt32(0, true),
      i64: view.getBigInt64(0, true),
      f32: view.getFloat32(0, true),
      f64: view.getFloat64(0, true),
    }[type as Scalar];
    expect(module()).toBe(expected);
  });

  it.each(STORES)('%s writes its width and no more', (name, opcode) => {
    const [, type = '', width] = /^(...)_store(\d*)$/.exec(name) ?? [];
    const f = functionOf([], [i64], (b) => {
      b.i32Const(0).i64Const(-1n).store(OP.i64_store, 3, 0).i32Const(0);
      if (type === 'i32') b.i32Const(0x1234_5678);
      else if (type === 'i64') b.i64Const(0x1234_5678_1234_5678n);
      else if (type === 'f32') b.f32ConstBits(0x1234_5678);
      else b.f64ConstBits(0x1234_5678, 0x1234_5678);
      b.store(opcode, 0, 0).i32Const(0).load(OP.i64_load, 0, 0);
    });
    const size = Number(width || type.slice(1));
    const low = BigInt.asUintN(size, 0x1234_5678_1234_5678n);
    expect(BigInt.asUintN(64, f() as bigint)).toBe(low | ((BigInt.asUintN(64, -1n) >> BigInt(size)) << BigInt(size)));
  });

  it('memory and table instructions', () => {
    expect(functionOf([], [i32], (f) => f.op(OP.memory_size))()).toBe(1);
    expect(functionOf([], [i32], (f) => f.i32Const(1).op(OP.memory_grow))()).toBe(-1);
    expect(
      functionOf([], [i32], (f) => f.i32Const(0).refNull().tableSet(0).i32Const(0).tableGet(0).op(OP.ref_is_null))(),
    ).toBe(1);
    expect(functionOf([], [i32], (f) => f.refFunc(0).op(OP.ref_is_null))()).toBe(0);
    expect(functionOf([i32, i32], [i32], (f) => f.op(OP.nop).get(0).get(1).i32Const(0).select())(7, 8)).toBe(8);
  });
});

describe('0xfc opcodes', () => {
  const truncations = Object.entries(MISC).filter(([name]) => name.includes('trunc_sat'));
  it.each(truncations)('%s saturates', (name, sub) => {
    const [, to = '', from = '', sign] = /^(...)_trunc_sat_(...)_([su])$/.exec(name) ?? [];
    const f = functionOf([byName(from)], [byName(to)], (b) => b.get(0).misc(sub));
    const n = BigInt(to.slice(1));
    const [low, high] = sign === 's' ? [-(1n << (n - 1n)), (1n << (n - 1n)) - 1n] : [0n, (1n << n) - 1n];
    const pass = (v: bigint) => (to === 'i32' ? Number(BigInt.asIntN(32, v)) : BigInt.asIntN(64, v));
    expect([f(-1e30), f(1e30), f(NaN), f(5.9)]).toEqual([pass(low), pass(high), pass(0n), pass(5n)]);
  });

  it('bulk memory and table instructions do their work', () => {
    const module = new ModuleBuilder();
    module.addMemory(1);
    const table = module.addTable(4, 16);
    const other = module.addTable(4, 16);
    const type = module.addType([], [i32]);
    const f = module.addFunction(type);
    const data = module.addPassiveData(Uint8Array.of(1, 2, 3, 4));
    const elements = module.addPassiveElements([f.index]);
    f.i32Const(0).i32Const(0).i32Const(4).misc(MISC.memory_init, data).misc(MISC.data_drop, data);
    f.i32Const(4).i32Const(1).i32Const(2).misc(MISC.memory_copy); // 1 2 3 4 2 3
    f.i32Const(5).i32Const(9).i32Const(1).misc(MISC.memory_fill); // 1 2 3 4 2 9
    f.i32Const(0).i32Const(0).i32Const(1).misc(MISC.table_init, elements, table).misc(MISC.elem_drop, elements);
    f.i32Const(2).i32Const(0).i32Const(1).misc(MISC.table_copy, other, table);
    f.i32Const(2).tableGet(other).i32Const(3).misc(MISC.table_grow, other).drop();
    f.i32Const(0).refNull().i32Const(1).misc(MISC.table_fill, table);
    f.i32Const(4).load(OP.i32_load16_u, 1, 0);
    f.misc(MISC.table_size, other).i32Const(16).op(OP.i32_shl).op(OP.i32_or);
    module.exportFunction('f', f.index);
    module.exportTable('table', table);
    module.exportTable('other', other);
    const exports = new engine.Instance(new engine.Module(module.finish())).exports as Record<string, WasmFunction> & {
      table: { get(i: number): unknown };
      other: { get(i: number): unknown };
    };
    expect(exports['f']?.()).toBe(0x0007_0902);
    expect([exports.table.get(0), exports.other.get(2), exports.other.get(6)]).toEqual([
      null,
      exports['f'],
      exports['f'],
    ]);
  });
});

describe('0xfe opcodes', () => {
  it.each(Object.entries(ATOMIC))('%s is accepted with natural alignment and the types of its name', (name, sub) => {
    const module = new ModuleBuilder();
    module.addMemory(1, 1, true);
    const own = name.startsWith('i64') || name.endsWith('wait64') ? i64 : i32;
    const size = Number(
      /(?:load|store|rmw|wait)(\d+)/.exec(name)?.[1] ?? (own === i64 && !name.endsWith('notify') ? 64 : 32),
    );
    const align = Math.log2(size / 8);
    const value = () => (own === i64 ? f.i64Const(5) : f.i32Const(5));
    const f = module.addFunction(module.addType([], []));
    if (name === 'atomic_fence') f.atomic(sub);
    else {
      f.i32Const(0);
      if (name.includes('wait')) value().i64Const(0);
      else if (name.endsWith('notify')) f.i32Const(1);
      else if (name.includes('cmpxchg')) {
        value();
        value();
      } else if (!name.includes('load')) value();
      f.atomic(sub, align, 0);
      if (!name.includes('store')) f.drop();
    }
    expect(() => new engine.Module(module.finish())).not.toThrow();
  });

  it('read-modify-write instructions do what their names say', () => {
    const models: Record<string, number> = {
      add: 15,
      sub: 9,
      and: 12 & 3,
      or: 12 | 3,
      xor: 12 ^ 3,
      xchg: 3,
      cmpxchg: 3,
    };
    for (const [op, expected] of Object.entries(models)) {
      const module = new ModuleBuilder();
      module.addMemory(1, 1, true);
      const f = module.addFunction(module.addType([], [i32]));
      f.i32Const(0).i32Const(12).atomic(ATOMIC.i32_atomic_store, 2, 0).i32Const(0);
      if (op === 'cmpxchg') f.i32Const(12);
      f.i32Const(3)
        .atomic(ATOMIC[`i32_atomic_rmw_${op}` as keyof typeof ATOMIC], 2, 0)
        .drop();
      f.i32Const(0).atomic(ATOMIC.i32_atomic_load, 2, 0);
      module.exportFunction('f', f.index);
      const exports = new engine.Instance(new engine.Module(module.finish())).exports as Record<string, WasmFunction>;
      expect([op, exports['f']?.()]).toEqual([op, expected]);
    }
  });
});

describe('wide constants', () => {
  it('floats keep their bits', () => {
    expect(functionOf([], [f64], (f) => f.f64Const(-0))()).toBe(-0);
    expect(functionOf([], [f32], (f) => f.f32Const(0.1))()).toBe(Math.fround(0.1));
    expect(functionOf([], [i64], (f) => f.f64ConstBits(1, 0x7ff0_0000).op(OP.i64_reinterpret_f64))()).toBe(
      0x7ff0_0000_0000_0001n,
    );
    expect(functionOf([], [i32], (f) => f.f32ConstBits(0xff80_0001).op(OP.i32_reinterpret_f32))()).toBe(
      0xff80_0001 | 0,
    );
  });
});
