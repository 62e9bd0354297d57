import fc from 'fast-check';
import { expect, it } from 'vitest';
import { IrBuilder } from './builder.ts';
import type { IrBlock } from './block.ts';
import { OPS, opId } from './ops.ts';
import { print } from './text.ts';
import { I32, I64 } from './types.ts';
import type { GlobalDef, Value } from './types.ts';

const GLOBALS: readonly GlobalDef[] = [
  { name: 'i', type: I32, offset: 0 },
  { name: 'j', type: I32, offset: 8 },
  { name: 'q', type: I64, offset: 16 },
  { name: 'r', type: I64, offset: 24 },
  { name: 'out32', type: I32, offset: 32 },
  { name: 'out64', type: I64, offset: 40 },
];
const OUT32 = 4;
const OUT64 = 5;

/** Meaning of the ops by BigInt; operands are unsigned. Shares nothing with the folder. */
function meaning(name: string, width: number, args: readonly bigint[]): bigint {
  const [x, y] = args;
  const s = (v: bigint): bigint => BigInt.asIntN(width, v);
  const n = (y ?? 0n) & BigInt(width - 1);
  const w = BigInt(width);
  const results: Record<string, () => bigint | boolean> = {
    add: () => x + y,
    sub: () => x - y,
    mul: () => x * y,
    and: () => x & y,
    or: () => x | y,
    xor: () => x ^ y,
    shl: () => x << n,
    shr_s: () => s(x) >> n,
    shr_u: () => x >> n,
    rotl: () => (x << n) | (x >> (w - n)),
    rotr: () => (x >> n) | (x << (w - n)),
    eq: () => x === y,
    ne: () => x !== y,
    lt_s: () => s(x) < s(y),
    lt_u: () => x < y,
    gt_s: () => s(x) > s(y),
    gt_u: () => x > y,
    le_s: () => s(x) <= s(y),
    le_u: () => x <= y,
    ge_s: () => s(x) >= s(y),
    ge_u: () => x >= y,
    eqz: () => x === 0n,
    extend32_s: () => BigInt.asIntN(32, x),
    wrap_i64: () => x,
    extend_i32_u: () => x,
    extend_i32_s: () => BigInt.asIntN(32, x),
  };
  return BigInt(results[name]());
}
const widthOf = (type: number): number => (type === I64 ? 64 : 32);
function apply(op: number, args: readonly bigint[]): bigint {
  const def = OPS[op];
  const [, name] = /^i(?:32|64)_(.*)$/.exec(def.name)!;
  return BigInt.asUintN(widthOf(def.out), meaning(name, widthOf(def.ins[0]), args));
}

/** Value of the block's last set. */
function evaluate(block: IrBlock, globals: readonly bigint[]): bigint {
  const values: bigint[] = [];
  let result = 0n;
  for (let i = 0; i < block.count; i++) {
    const { name, effect, ins } = OPS[block.op[i]];
    if (name === 'i32_const') values[i] = BigInt.asUintN(32, BigInt(block.imm[i]));
    else if (name === 'i64_const')
      values[i] = (BigInt.asUintN(32, BigInt(block.imm2[i])) << 32n) | BigInt.asUintN(32, BigInt(block.imm[i]));
    else if (effect === 'get') values[i] = globals[block.imm[i]];
    else if (effect === 'set') result = values[block.a[i]];
    else if (effect === 'pure')
      values[i] = apply(
        block.op[i],
        ins.map((_, k) => values[block.operand(i, k)]),
      );
  }
  return result;
}

const ops64 = OPS.filter((o) =>
  /^i64_(add|sub|mul|and|or|xor|shl|shr_[su]|rot[lr]|eqz?|ne|[lg][te]_[su]|extend32_s|extend_i32_[su])$|^i32_(wrap_i64|add|and|shl|shr_u)$/.test(
    o.name,
  ),
);
const edge = fc.constantFrom(
  0n,
  1n,
  2n,
  31n,
  32n,
  33n,
  63n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 32n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
);
const number = fc.oneof(edge, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));

it('folds as the ops compute', () => {
  let folded = 0;
  // each step takes its operands from the values made before it
  const step = fc.tuple(fc.constantFrom(...ops64), fc.nat(50), fc.nat(50));
  fc.assert(
    fc.property(
      fc.array(number, { minLength: 4, maxLength: 4 }),
      fc.array(number, { minLength: 6, maxLength: 6 }),
      fc.array(step, { minLength: 1, maxLength: 12 }),
      (globals, constants, steps) => {
        const state = globals.map((v, n) => BigInt.asUintN(widthOf(GLOBALS[n].type), v));
        const b = new IrBuilder(GLOBALS);
        b.insnStart(0);
        const values: { v: Value; type: number; is: bigint }[] = GLOBALS.slice(0, 4).map((g, n) => ({
          v: b.get(n),
          type: g.type,
          is: state[n],
        }));
        for (const [n, k] of constants.entries()) {
          const low = BigInt.asUintN(32, k);
          if (n < 2) values.push({ v: b.i32(Number(low)), type: I32, is: low });
          else values.push({ v: b.i64Parts(Number(low), Number(k >> 32n)), type: I64, is: k });
        }
        for (const [op, x, y] of steps) {
          const args = op.ins.map((type, n) => {
            const list = values.filter((e) => e.type === type);
            // the newest oftener than the old ones
            return list[Math.max(0, list.length - 1 - ([x, y][n] % 8))];
          });
          const before = b.block.count;
          const v = b.emit(op.id, args[0].v, args[1]?.v ?? -1);
          if (b.block.count === before || b.block.op[v] !== op.id) folded++;
          values.push({
            v,
            type: op.out,
            is: apply(
              op.id,
              args.map((e) => e.is),
            ),
          });
        }
        const last = values[values.length - 1];
        b.set(last.type === I64 ? OUT64 : OUT32, last.v);
        b.jmp(0);
        const block = b.finish();
        expect(evaluate(block, state), print(block, GLOBALS)).toBe(last.is);
      },
    ),
    { numRuns: 4000, seed: 1 },
  );
  expect(folded).toBeGreaterThan(4000);
});

it('makes 32-bit ops of extended 32-bit values', () => {
  const b = new IrBuilder(GLOBALS);
  b.insnStart(0);
  const wide = b.add(b.extU(b.get(0)), b.extU(b.get(1)));
  expect(OPS[b.block.op[b.wrap(wide)]].name).toBe('i32_add');
  expect(b.wrap(b.extS(b.get(0)))).toBe(b.get(0));
  expect(OPS[b.block.op[b.ltU(b.extU(b.get(0)), b.i64(7))]].name).toBe('i32_lt_u');
});

it('gathers displacements into one constant', () => {
  const b = new IrBuilder(GLOBALS);
  b.insnStart(0);
  b.set(OUT64, b.add(b.sub(b.add(b.get(2), b.i64(16)), b.i64(0x1_0000_0004)), b.i64(-100)));
  b.jmp(0);
  const block = b.finish();
  const sum = block.a[block.op.indexOf(opId('set_i64'))];
  expect(OPS[block.op[sum]].name).toBe('i64_add');
  expect(block.op[block.a[sum]]).toBe(opId('get_i64'));
  expect([block.imm[block.b[sum]], block.imm2[block.b[sum]]]).toEqual([16 - 4 - 100, -2]);
});
