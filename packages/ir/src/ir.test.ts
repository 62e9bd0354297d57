import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IrBuilder } from './builder.ts';
import { FOLD2, identity } from './fold.ts';
import { MEM_RMW, OPS, opId, opNamed } from './ops.ts';
import { parse, print } from './text.ts';
import { I32, I64, V128 } from './types.ts';
import type { GlobalDef } from './types.ts';
import { verify } from './verify.ts';

const GLOBALS: readonly GlobalDef[] = [
  { name: 'a', type: I32, offset: 0 },
  { name: 'b', type: I32, offset: 8 },
  { name: 'q', type: I64, offset: 16 },
  { name: 'v', type: V128, offset: 32 },
];
const A = 0;
const B = 1;
const start = (): IrBuilder => {
  const b = new IrBuilder(GLOBALS);
  b.insnStart(0x1000);
  return b;
};
const text = (b: IrBuilder): string => print(b.finish(), GLOBALS);

describe('builder', () => {
  it('gives snapshots: a later set does not change a value read before', () => {
    const b = start();
    const old = b.get(A);
    b.set(A, b.get(B));
    b.set(B, old);
    b.jmp(0x1001);
    expect(text(b)).toBe(
      'insn_start 0x1000 0x0\n  v1 = get_i32 @a\n  v2 = get_i32 @b\n  set_i32 @a v2\n  set_i32 @b v1\n  jmp 0x1001 0x0\n',
    );
  });

  it('folds constants and forwards known values', () => {
    const b = start();
    b.set(A, b.add(b.i32(2), b.i32(3)));
    b.set(B, b.shl(b.get(A), b.i32(4)));
    b.jmp(0);
    expect(text(b)).toContain('= i32_const 0x50');
    expect(text(b)).not.toContain('i32_shl');
  });

  it('makes of a block what it would make without the ones before', () => {
    const block = (b: IrBuilder, seed: number): string => {
      let r = seed;
      const random = (n: number): number => ((r = (Math.imul(r, 1664525) + 1013904223) >>> 0) >>> 8) % n;
      b.reset();
      b.insnStart(seed);
      for (let n = 0; n < 60; n++) {
        const x = b.get(random(2));
        const y = random(2) === 0 ? b.i32(random(4)) : b.get(random(2));
        b.set(random(2), [b.add, b.sub, b.xor, b.and][random(4)]!.call(b, x, y));
        b.set(2, b.i64Parts(random(3), random(2)));
      }
      b.br(b.ltS(b.get(A), b.get(B)), random(3), random(3));
      return text(b);
    };
    const used = new IrBuilder(GLOBALS);
    for (let seed = 1; seed <= 50; seed++) expect(block(used, seed)).toBe(block(new IrBuilder(GLOBALS), seed));
  });

  it('gathers displacements into one constant', () => {
    const b = start();
    const x = b.add(b.sub(b.add(b.get(A), b.i32(16)), b.i32(4)), b.i32(100));
    b.set(B, x);
    b.jmp(0);
    expect(text(b)).toContain('i32_const 0x70');
  });

  it('drops a set that is overwritten with no way out between', () => {
    const b = start();
    b.set(A, b.i32(1));
    b.set(A, b.i32(2));
    b.jmp(0);
    expect(text(b).match(/set_i32/g)).toHaveLength(1);
  });

  it('keeps a set that an exit could see', () => {
    const b = start();
    b.set(A, b.i32(1));
    b.insnStart(0x1004);
    b.load('ld32', b.get(B));
    b.set(A, b.i32(2));
    b.jmp(0);
    expect(text(b).match(/set_i32/g)).toHaveLength(2);
  });

  it('knows nothing of globals after a script helper', () => {
    const b = start();
    b.set(A, b.i32(1));
    b.callj(7);
    b.set(B, b.get(A));
    b.jmp(0);
    expect(text(b)).toContain('get_i32 @a');
  });

  it('turns a branch on a constant into a jump', () => {
    const b = start();
    b.br(b.eq(b.i32(1), b.i32(1)), 0x20, 0x30);
    expect(text(b)).toContain('jmp 0x20');
  });

  it('refuses a second terminator and a set of another type', () => {
    const b = start();
    expect(() => b.set(A, b.i64(1))).toThrow('another type');
    b.jmp(0);
    expect(() => b.jmp(1)).toThrow('terminator');
  });

  it('folds as the engine computes', () => {
    const ops = OPS.filter((o) => FOLD2[o.id] !== undefined);
    fc.assert(
      fc.property(fc.constantFrom(...ops), fc.integer(), fc.integer(), (o, x, y) => {
        const want = reference(o.name, x, y);
        expect(FOLD2[o.id]!(x, y)).toBe(want);
        const same = identity(o.id, y);
        if (same !== undefined) expect(same === 'x' ? x : same).toBe(want);
      }),
      { numRuns: 3000, seed: 1 },
    );
  });
});

/** 32-bit integer semantics by BigInt: an oracle that shares no code with the folder. */
function reference(name: string, x: number, y: number): number {
  const ux = BigInt.asUintN(32, BigInt(x));
  const uy = BigInt.asUintN(32, BigInt(y));
  const sx = BigInt(x);
  const sy = BigInt(y);
  const n = uy & 31n;
  const results: Record<string, bigint | boolean> = {
    i32_add: sx + sy,
    i32_sub: sx - sy,
    i32_mul: sx * sy,
    i32_and: ux & uy,
    i32_or: ux | uy,
    i32_xor: ux ^ uy,
    i32_shl: ux << n,
    i32_shr_s: sx >> n,
    i32_shr_u: ux >> n,
    i32_rotl: (ux << n) | (ux >> (32n - n)),
    i32_rotr: (ux >> n) | (ux << (32n - n)),
    i32_eq: ux === uy,
    i32_ne: ux !== uy,
    i32_lt_s: sx < sy,
    i32_lt_u: ux < uy,
    i32_gt_s: sx > sy,
    i32_gt_u: ux > uy,
    i32_le_s: sx <= sy,
    i32_le_u: ux <= uy,
    i32_ge_s: sx >= sy,
    i32_ge_u: ux >= uy,
  };
  const r = results[name];
  return typeof r === 'boolean' ? Number(r) : Number(BigInt.asIntN(32, r));
}

describe('verifier', () => {
  it('accepts what the builder makes', () => {
    const b = start();
    const v = b.load('ld32', b.add(b.get(A), b.i32(4)), MEM_RMW);
    b.store('st32', b.add(b.get(A), b.i32(4)), b.add(v, b.i32(1)));
    b.set(A, v);
    b.jmp(0);
    expect(verify(b.finish(), GLOBALS)).toEqual([]);
  });

  const bad: readonly (readonly [string, string, string])[] = [
    [
      'a memory access after a set',
      'insn_start 0 0\nv1 = get_i32 @a\nset_i32 @b v1\nv2 = ld32 v1 0\njmp 0 0',
      'may leave after op 2',
    ],
    [
      'an operand of another type',
      'insn_start 0 0\nv1 = get_i64 @q\nv2 = i32_eqz v1\nset_i32 @a v2\njmp 0 0',
      'operand 0 is i64, expected i32',
    ],
    ['a global of another type', 'insn_start 0 0\nv1 = get_i32 @q\njmp 0 0', 'global q is i64'],
    ['a terminator in the middle', 'insn_start 0 0\njmp 0 0\njmp 0 0', 'terminator is not last'],
    ['no terminator', 'insn_start 0 0\nv1 = get_i32 @a', 'does not end in a terminator'],
    ['an effect outside an instruction', 'v1 = get_i32 @a\nset_i32 @b v1\njmp 0 0', 'before the first insn_start'],
  ];
  it.each(bad)('reports %s', (_what, source, message) => {
    expect(verify(parse(source, GLOBALS), GLOBALS).join('\n')).toContain(message);
  });

  it('reports bail_if in cold code only', () => {
    const b = start();
    b.bailIf(b.get(A));
    b.jmp(0);
    const block = b.finish();
    expect(verify(block, GLOBALS)).toEqual([]);
    expect(verify(block, GLOBALS, { cold: true }).join()).toContain('hot op in cold code');
  });
});

describe('text', () => {
  it('parses what it prints', () => {
    const b = start();
    const sum = b.callw(3, b.get(A), b.get(B), b.i32(1), b.i32(2), b.i32(3));
    b.raiseIf(b.ltU(sum, b.i32(-5)), 13, 0);
    b.set(
      3,
      b.shuffle(
        b.get(3),
        b.v128(new Uint8Array(16).fill(7)),
        Uint8Array.from({ length: 16 }, (_, n) => n),
      ),
    );
    b.set(2, b.i64Parts(-1, 0x7fffffff));
    b.jmpInd(sum, 2);
    const once = text(b);
    // values are renumbered by the first pass; the second changes nothing
    const again = print(parse(once, GLOBALS), GLOBALS);
    expect(print(parse(again, GLOBALS), GLOBALS)).toBe(again);
    expect(verify(parse(again, GLOBALS), GLOBALS)).toEqual([]);
  });

  it('names the line of a mistake', () => {
    expect(() => parse('insn_start 0 0\nv1 = i32_add v7 v8', GLOBALS)).toThrow('line 2');
    expect(() => parse('v1 = no_such_op', GLOBALS)).toThrow("unknown IR op 'no_such_op'");
  });
});

describe('op table', () => {
  it('has ids by position and one row per name', () => {
    OPS.forEach((o, n) => expect(o.id).toBe(n));
    expect(opNamed('i32_add').id).toBe(opId('i32_add'));
    expect(new Set(OPS.map((o) => o.name)).size).toBe(OPS.length);
  });
});
