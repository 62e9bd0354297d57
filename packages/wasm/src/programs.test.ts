/** Random structured programs: the engine must accept each, and it must compute what a direct interpreter computes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { functionOf } from './engine.test-support.ts';
import type { FunctionBuilder, Label } from './index.ts';
import { OP, VALTYPE } from './index.ts';

const { i32 } = VALTYPE;
const LOCALS = 4;
/** Every loop turn costs one; a program out of fuel returns. So each ends. */
const FUEL = 60;

type Expression =
  | { kind: 'const'; value: number }
  | { kind: 'local'; index: number }
  | { kind: 'binary'; op: keyof typeof BINARY; left: Expression; right: Expression };
type Statement =
  | { kind: 'set'; index: number; value: Expression }
  | { kind: 'if'; condition: Expression; then: Statement[]; otherwise: Statement[] | undefined }
  | { kind: 'block'; body: Statement[] }
  | { kind: 'loop'; body: Statement[]; again: Expression }
  | { kind: 'breakIf'; depth: number; condition: Expression }
  | { kind: 'switch'; on: Expression; arms: Statement[][] };

const BINARY = {
  i32_add: (a: number, b: number) => (a + b) | 0,
  i32_sub: (a: number, b: number) => (a - b) | 0,
  i32_mul: Math.imul,
  i32_xor: (a: number, b: number) => a ^ b,
  i32_shr_u: (a: number, b: number) => (a >>> (b & 31)) | 0,
  i32_lt_s: (a: number, b: number) => Number(a < b),
} as const;

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    fc.record({
      kind: fc.constant('const' as const),
      value: fc.oneof(fc.integer(), fc.integer({ min: -70, max: 130 })),
    }),
    fc.record({ kind: fc.constant('local' as const), index: fc.nat(LOCALS - 1) }),
    fc.record({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom(...(Object.keys(BINARY) as (keyof typeof BINARY)[])),
      left: tie('expression'),
      right: tie('expression'),
    }),
  ),
}));
const { body } = fc.letrec<{ statement: Statement; body: Statement[] }>((tie) => ({
  statement: fc.oneof(
    { maxDepth: 4 },
    fc.record({ kind: fc.constant('set' as const), index: fc.nat(LOCALS - 1), value: expression }),
    fc.record({ kind: fc.constant('breakIf' as const), depth: fc.nat(5), condition: expression }),
    fc.record({
      kind: fc.constant('if' as const),
      condition: expression,
      then: tie('body'),
      otherwise: fc.option(tie('body'), { nil: undefined }),
    }),
    fc.record({ kind: fc.constant('block' as const), body: tie('body') }),
    fc.record({ kind: fc.constant('loop' as const), body: tie('body'), again: expression }),
    fc.record({
      kind: fc.constant('switch' as const),
      on: expression,
      arms: fc.array(tie('body'), { minLength: 1, maxLength: 4 }),
    }),
  ),
  body: fc.array(tie('statement'), { maxLength: 4 }),
}));

/** The model. A break leaves as many enclosing constructs as it says; too many means the function. */
function interpret(program: readonly Statement[], locals: number[]): number {
  let fuel = FUEL;
  const value = (e: Expression): number =>
    e.kind === 'const'
      ? e.value
      : e.kind === 'local'
        ? (locals[e.index] as number)
        : BINARY[e.op](value(e.left), value(e.right));
  /** -1 when the end was reached, else how many more constructs to leave. */
  const run = (statements: readonly Statement[]): number => {
    for (const s of statements) {
      let leave = -1;
      if (s.kind === 'set') locals[s.index] = value(s.value);
      else if (s.kind === 'breakIf') leave = value(s.condition) !== 0 ? s.depth + 1 : -1;
      else if (s.kind === 'if') leave = run(value(s.condition) !== 0 ? s.then : (s.otherwise ?? [])) - 1;
      else if (s.kind === 'block') leave = run(s.body) - 1;
      else if (s.kind === 'loop') {
        do {
          if (--fuel < 0) return Infinity;
          leave = run(s.body) - 1;
        } while (leave < -1 && value(s.again) !== 0);
      } else leave = run(s.arms[Math.min(value(s.on) >>> 0, s.arms.length - 1)] as Statement[]) - 1;
      if (leave > 0) return leave;
    }
    return -1;
  };
  run(program);
  return locals.reduce((hash, local) => (Math.imul(hash, 31) + local) | 0, 7);
}

function emit(f: FunctionBuilder, program: readonly Statement[]): void {
  const fuel = f.addLocal(i32);
  f.i32Const(FUEL).set(fuel);
  const value = (e: Expression): void => {
    if (e.kind === 'const') f.i32Const(e.value);
    else if (e.kind === 'local') f.get(e.index);
    else {
      value(e.left);
      value(e.right);
      f.op(OP[e.op]);
    }
  };
  const exit = f.block();
  const run = (statements: readonly Statement[], exits: readonly Label[]): void => {
    for (const s of statements) {
      if (s.kind === 'set') {
        value(s.value);
        f.set(s.index);
      } else if (s.kind === 'breakIf') {
        value(s.condition);
        f.brIf(exits[exits.length - 1 - s.depth] ?? exit);
      } else if (s.kind === 'if') {
        value(s.condition);
        const label = f.if_();
        run(s.then, [...exits, label]);
        if (s.otherwise !== undefined) {
          f.else_();
          run(s.otherwise, [...exits, label]);
        }
        f.end();
      } else if (s.kind === 'block') {
        const label = f.block();
        run(s.body, [...exits, label]);
        f.end();
      } else if (s.kind === 'loop') {
        const out = f.block();
        const top = f.loop();
        f.get(fuel).i32Const(1).op(OP.i32_sub).tee(fuel).i32Const(0).op(OP.i32_lt_s).brIf(exit);
        run(s.body, [...exits, out]);
        value(s.again);
        f.brIf(top).end().end();
      } else {
        const out = f.block();
        const arms = s.arms.map(() => f.block()).reverse();
        value(s.on);
        f.brTable(arms.slice(0, -1), arms[arms.length - 1] as Label);
        for (const arm of s.arms) {
          f.end();
          run(arm, [...exits, out]);
          f.br(out);
        }
        f.end();
      }
    }
  };
  run(program, []);
  f.end();
  f.i32Const(7);
  for (let i = 0; i < LOCALS; i++) f.i32Const(31).op(OP.i32_mul).get(i).op(OP.i32_add);
}

describe('random structured programs', () => {
  it('are valid and compute what the model computes', () => {
    fc.assert(
      fc.property(body, fc.tuple(fc.integer(), fc.integer(), fc.nat(3), fc.nat(5)), (program, inputs) => {
        const compiled = functionOf([i32, i32, i32, i32], [i32], (f) => emit(f, program));
        expect(compiled(...inputs)).toBe(interpret(program, [...inputs]));
      }),
      { seed: 5, numRuns: 600 },
    );
  });
});
