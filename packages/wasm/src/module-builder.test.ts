import { describe, expect, it } from 'vitest';
import { engine, functionOf, instantiate } from './engine.test-support.ts';
import type { WasmFunction } from './engine.test-support.ts';
import { ModuleBuilder, OP, VALTYPE, WasmEncodeError } from './index.ts';
import type { WasmEncodeErrorKind } from './index.ts';

const { i32, i64, f32, f64, v128, funcref } = VALTYPE;

function kindOf(action: () => unknown): WasmEncodeErrorKind | 'none' {
  try {
    action();
  } catch (error) {
    if (error instanceof WasmEncodeError) return error.kind;
    throw error;
  }
  return 'none';
}

describe('control flow', () => {
  it('branches by label out of any depth', () => {
    const f = functionOf([i32], [i32], (b) => {
      const outer = b.block(i32);
      const middle = b.block();
      const inner = b.block();
      b.get(0).brTable([inner, middle], inner);
      b.end();
      b.i32Const(10).br(outer);
      b.end();
      b.i32Const(20).return_();
      b.end();
      b.i32Const(1).op(OP.i32_add);
    });
    expect([f(0), f(1), f(2)]).toEqual([11, 20, 11]);
  });

  it('if, else, loops, multi-value blocks, the body as a label', () => {
    const factorial = functionOf([i32], [i32], (b) => {
      const acc = b.addLocal(i32);
      b.i32Const(1).set(acc);
      const top = b.loop();
      b.get(0).op(OP.i32_eqz);
      b.if_();
      b.get(acc).br(b.body);
      b.else_();
      b.get(acc).get(0).op(OP.i32_mul).set(acc).get(0).i32Const(1).op(OP.i32_sub).set(0).br(top);
      b.end().end().unreachable();
    });
    expect([factorial(0), factorial(5)]).toEqual([1, 120]);
    const module = new ModuleBuilder();
    const pair = module.addType([i32], [i32, i32]);
    const f = module.addFunction(module.addType([i32], [i32]));
    f.get(0);
    f.block({ type: pair });
    f.tee(0).get(0).end().op(OP.i32_mul);
    module.exportFunction('square', f.index);
    expect(instantiate(module)['square']?.(7)).toBe(49);
  });

  it('type indices above 63 need a second byte as block types', () => {
    const module = new ModuleBuilder();
    for (let i = 0; i < 70; i++)
      module.addType(
        Array.from({ length: i }, () => i64),
        [],
      );
    const type = module.addType([f32, f64], [f64]);
    expect(type).toBe(70);
    const f = module.addFunction(module.addType([], [f64]));
    f.f32Const(1).f64Const(2);
    f.block({ type });
    f.drop().op(OP.f64_promote_f32).end();
    module.exportFunction('f', f.index);
    expect(instantiate(module)['f']?.()).toBe(1);
  });

  it('tells unbalanced bodies and dead labels apart', () => {
    const module = new ModuleBuilder();
    const f = module.addFunction(module.addType([], []));
    expect(kindOf(() => f.end())).toBe('unbalanced');
    expect(kindOf(() => f.else_())).toBe('unbalanced');
    const block = f.block();
    expect(kindOf(() => f.else_())).toBe('unbalanced');
    expect(kindOf(() => module.finish())).toBe('unbalanced');
    f.end();
    const second = f.block();
    expect(kindOf(() => f.br(block))).toBe('label-closed');
    expect(kindOf(() => f.brTable([second, block], second))).toBe('label-closed');
    const g = module.addFunction(0);
    expect(kindOf(() => g.br(second))).toBe('label-closed');
    expect(kindOf(() => f.op(OP.block))).toBe('bad-opcode');
  });

  it('else twice is refused', () => {
    const module = new ModuleBuilder();
    const f = module.addFunction(module.addType([], []));
    f.i32Const(1);
    f.if_();
    f.else_();
    expect(kindOf(() => f.else_())).toBe('unbalanced');
  });
});

describe('immediates', () => {
  it('out of range are refused', () => {
    const module = new ModuleBuilder();
    const f = module.addFunction(module.addType([], []));
    const bad = [
      () => f.get(-1),
      () => f.call(0.5),
      () => f.i32Const(2 ** 32),
      () => f.i64Const(2 ** 53),
      () => f.i64Const(1n << 64n),
      () => f.load(OP.i32_load, 2, 2 ** 32),
      () => f.v128Const([1, 2]),
      () => f.shuffle(new Array<number>(16).fill(32)),
      () => f.simdLane(21, 16),
      () => f.block({ type: -1 }),
    ];
    expect(bad.map(kindOf)).toEqual(bad.map(() => 'bad-immediate'));
    const wrong = [
      () => f.op(OP.i32_const),
      () => f.op(OP.br),
      () => f.op(0xff),
      () => f.load(OP.i32_store, 0, 0),
      () => f.store(OP.i32_load, 0, 0),
      () => f.misc(99),
    ];
    expect(wrong.map(kindOf)).toEqual(wrong.map(() => 'bad-opcode'));
  });

  it('64-bit constants agree in all their forms', () => {
    for (const value of [
      0,
      1,
      -1,
      63,
      64,
      -64,
      -65,
      2 ** 31,
      -(2 ** 31),
      2 ** 32,
      -(2 ** 32),
      2 ** 53 - 1,
      -(2 ** 53) + 1,
    ]) {
      expect(functionOf([], [i64], (f) => f.i64Const(value))()).toBe(BigInt(value));
      expect(functionOf([], [i64], (f) => f.i64Const(BigInt(value)))()).toBe(BigInt(value));
    }
    expect(functionOf([], [i64], (f) => f.i64Const((1n << 64n) - 1n))()).toBe(-1n);
    expect(functionOf([], [i64], (f) => f.i64Const(-(1n << 63n)))()).toBe(-(1n << 63n));
    expect(functionOf([], [i64], (f) => f.i64ConstParts(0x8000_0000, 0x1234_5678))()).toBe(0x1234_5678_8000_0000n);
  });
});

describe('modules', () => {
  it('locals of mixed types keep the indices they were given', () => {
    const f = functionOf([i32], [i64], (b) => {
      const [a, c, d, e] = [b.addLocal(i64), b.addLocal(i64), b.addLocal(f64), b.addLocal(i64)];
      expect([a, c, d, e]).toEqual([1, 2, 3, 4]);
      b.i64Const(5).set(a).f64Const(2.5).set(d).i64Const(7).set(e);
      const g = b.addLocal(v128);
      b.get(g).drop().get(a).get(c).op(OP.i64_add).get(e).op(OP.i64_mul).get(d).op(OP.i64_trunc_f64_s).op(OP.i64_add);
    });
    expect(f(0)).toBe(37n);
  });

  it('import and export everything', () => {
    const module = new ModuleBuilder();
    const binary = module.addType([i32, i32], [i32]);
    expect(module.addType([i32, i32], [i32])).toBe(binary);
    const add = module.importFunction('env', 'add', binary);
    module.importMemory('env', 'memory', 1, 4);
    const table = module.importTable('env', 'table', 4);
    const base = module.importGlobal('env', 'base', i32, false);
    const counter = module.addGlobal(i32, true, 5);
    const globals = [
      module.addGlobal(i64, false, -(1n << 63n)),
      module.addGlobal(f32, false, 0.5),
      module.addGlobal(f64, false, -0),
    ];
    const f = module.addFunction(binary);
    f.get(0).get(1).call(add).globalGet(base).op(OP.i32_add);
    f.globalGet(counter).i32Const(1).op(OP.i32_add).globalSet(counter);
    const g = module.addFunction(binary);
    g.get(0).get(1).i32Const(1).returnCallIndirect(binary, table);
    const h = module.addFunction(binary);
    h.get(1).get(0).returnCall(g.index);
    const k = module.addFunction(binary);
    k.get(0).get(1).i32Const(2).callIndirect(binary);
    module.addElements(table, 1, [f.index, h.index]);
    module.addData(100, Uint8Array.of(1, 2, 3));
    module
      .exportFunction('g', g.index)
      .exportFunction('k', k.index)
      .exportMemory('m')
      .exportTable('t', table)
      .exportGlobal('c', counter);
    globals.forEach((index, i) => module.exportGlobal(`global${i}`, index));
    const memory = new engine.Memory({ initial: 1, maximum: 4 });
    const exports = instantiate(module, {
      env: {
        add: (a: number, b: number) => a * 10 + b,
        memory,
        table: new engine.Table({ initial: 4, element: 'anyfunc' }),
        base: new engine.Global({ value: 'i32', mutable: false }, 1000),
      },
    }) as unknown as Record<string, { value: unknown }> & { g: WasmFunction; k: WasmFunction; m: unknown };
    expect([exports.g(1, 2), exports.k(1, 2)]).toEqual([1012, 1021]);
    expect([
      exports.m,
      exports['c']?.value,
      exports['global0']?.value,
      exports['global1']?.value,
      exports['global2']?.value,
    ]).toEqual([memory, 7, -(1n << 63n), 0.5, -0]);
    expect([...new Uint8Array(memory.buffer, 100, 3)]).toEqual([1, 2, 3]);
  });

  it('shared memories state their maximum', () => {
    const module = new ModuleBuilder();
    expect(kindOf(() => module.addMemory(1, undefined, true))).toBe('bad-immediate');
    const good = new ModuleBuilder();
    good.importMemory('env', 'memory', 1, 2, true);
    expect(() =>
      instantiate(good, { env: { memory: new engine.Memory({ initial: 1, maximum: 2, shared: true }) } }),
    ).not.toThrow();
  });

  it('say which branches are seldom taken, or do not', () => {
    const built = (branchHints: boolean): ModuleBuilder => {
      const module = new ModuleBuilder({ branchHints });
      const f = module.addFunction(module.addType([i32], [i32]));
      const local = f.addLocal(i32);
      f.get(0).unlikely().if_();
      f.i32Const(1).set(local).end();
      const out = f.block();
      f.get(0).likely().brIf(out).end().get(local);
      module.addFunction(module.addType([], []));
      return module.exportFunction('f', f.index);
    };
    const sections = (module: ModuleBuilder): number[][] =>
      engine.Module.customSections(new engine.Module(module.finish()), 'metadata.code.branch_hint').map((s) => [
        ...new Uint8Array(s as ArrayBuffer),
      ]);
    // one function, number 0, two hints; behind local.get and three bytes of locals the `if`, 11 bytes on the `br_if`
    expect(sections(built(true))).toEqual([[1, 0, 2, 5, 1, 0, 16, 1, 1]]);
    expect(sections(built(false))).toEqual([]);
    const f = instantiate(built(true))['f'];
    expect([f?.(0), f?.(5)]).toEqual([0, 1]);
  });

  it('name functions for stack traces, and carry custom sections', () => {
    const module = new ModuleBuilder();
    const type = module.addType([], []);
    const [a, b] = [module.addFunction(type), module.addFunction(type)];
    a.unreachable();
    b.call(a.index);
    module.setFunctionName(b.index, 'the_caller').setFunctionName(a.index, 'the_trap');
    module.addCustomSection('emkit.test', Uint8Array.of(7, 8));
    module.exportFunction('b', b.index);
    const bytes = module.finish();
    expect([
      ...new Uint8Array(engine.Module.customSections(new engine.Module(bytes), 'emkit.test')[0] as ArrayBuffer),
    ]).toEqual([7, 8]);
    let stack = '';
    try {
      instantiate(module)['b']?.();
    } catch (error) {
      stack = (error as Error).stack ?? '';
    }
    expect(stack).toMatch(/the_trap[^]*the_caller/);
  });

  it('finish may be called again after additions', () => {
    const module = new ModuleBuilder();
    const type = module.addType([], [i32]);
    module.exportFunction('one', module.addFunction(type).i32Const(1).index);
    const first = module.finish();
    expect(module.finish()).toEqual(first);
    module.exportFunction('two', module.addFunction(type).i32Const(2).index);
    expect(instantiate(module)['two']?.()).toBe(2);
  });

  it('an empty module is valid', () => {
    expect(engine.validate(new ModuleBuilder().finish())).toBe(true);
  });

  it('refuse what cannot be encoded', () => {
    const module = new ModuleBuilder();
    const type = module.addType([], []);
    expect(kindOf(() => module.exportMemory('m'))).toBe('memory');
    module.addMemory(1);
    module.addTable(1);
    module.addGlobal(i32, false, 0);
    module.exportFunction('f', module.addFunction(type).index);
    const cases: [WasmEncodeErrorKind, () => unknown][] = [
      ['memory', () => module.importMemory('a', 'b', 1)],
      ['memory', () => module.addMemory(1)],
      ['import-after-definition', () => module.importFunction('a', 'b', type)],
      ['import-after-definition', () => module.importTable('a', 'b', 1)],
      ['import-after-definition', () => module.importGlobal('a', 'b', i32, false)],
      ['duplicate-export', () => module.exportFunction('f', 0)],
      ['bad-immediate', () => module.addFunction(99)],
      ['bad-immediate', () => module.addTable(2, 1)],
      ['bad-immediate', () => module.addGlobal(funcref, false, 0)],
      ['bad-immediate', () => new ModuleBuilder().addMemory(65537)],
    ];
    expect(cases.map(([, action]) => kindOf(action))).toEqual(cases.map(([kind]) => kind));
    // A refused declaration leaves nothing behind.
    expect(engine.validate(module.finish())).toBe(true);
  });
});
