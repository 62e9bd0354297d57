/** Whole blocks of 32- and 64-bit ops in both tiers: values that share slots, sets in place, folded addresses. */
import {
  chooseOptimisations,
  I32,
  I64,
  IrBlock,
  IrBuilder,
  JUMP_PLAIN,
  MEM_RMW,
  MEM_STACK,
  MEM_WIDE,
  OPS,
  OPTIMISATION_NAMES,
} from '@emkit/ir';
import type { GlobalDef, IrType, Optimisations, Value } from '@emkit/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXIT_KIND, GUEST_PAGE, HIGH_PAGE, TierRunner } from './tiers.test-support.ts';

const GLOBALS: readonly GlobalDef[] = [
  ...[0, 1, 2].map((n): GlobalDef => ({ name: `i${n}`, type: I32, offset: n * 8 })),
  ...[0, 1, 2].map((n): GlobalDef => ({ name: `l${n}`, type: I64, offset: 24 + n * 8 })),
  // two that lie side by side: a result of 8 bytes in one would change the other
  { name: 'n0', type: I32, offset: 48 },
  { name: 'n1', type: I32, offset: 52 },
];
const STATE = 56;
/** The upper half of a 32-bit global's slot may hold anything. */
const isState = (n: number): boolean => n >= 24 || n % 8 < 4;
const narrow = [0, 1, 2, 6, 7];
const wide = [3, 4, 5];

const pure = OPS.filter((o) =>
  /^i(32|64)_(add|sub|mul|and|or|xor|shl|shr_[su]|rot[lr]|eqz?|ne|[lg][te]_[su]|select|extend\w+|clz|bswap)$|^i32_wrap_i64$/.test(
    o.name,
  ),
);

type Step =
  | { readonly kind: 'op'; readonly op: (typeof pure)[number]; readonly from: readonly number[] }
  | {
      readonly kind: 'set' | 'load' | 'store' | 'rmw';
      readonly n: number;
      readonly wide: boolean;
      readonly from: number;
    }
  | { readonly kind: 'next' };
const pick = fc.nat(63);
const choice = fc.record(Object.fromEntries(OPTIMISATION_NAMES.map((name) => [name, fc.boolean()])));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('op' as const),
      op: fc.constantFrom(...pure),
      from: fc.array(pick, { minLength: 3, maxLength: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('set', 'set', 'load', 'store', 'rmw'),
      n: pick,
      wide: fc.boolean(),
      from: pick,
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'next' as const }) },
);

/** A block as a translator makes it: within an instruction accesses come first, then sets. */
function build(steps: readonly Step[], optimisations: Optimisations): IrBlock {
  const b = new IrBuilder(GLOBALS, new IrBlock(), optimisations);
  let pc = 0x1000;
  const values: Value[] = [];
  const sets: (() => void)[] = [];
  const begin = (): void => {
    sets.splice(0).forEach((f) => f());
    b.insnStart(pc);
    pc += 4;
  };
  begin();
  const take = (type: IrType, n: number): Value => {
    const of = values.filter((v) => b.typeOf(v) === type);
    const globals = type === I32 ? narrow : wide;
    if (of.length === 0 || n % 4 === 0) return b.get(globals[n % globals.length]);
    if (n % 8 === 1) return b.int(type, [0, 1, -1, 40, 0x7fffffff][(n >> 3) % 5]);
    return of[Math.max(0, of.length - 1 - (n % 5))];
  };
  /** Inside the page at 0, or in the page at the high end, whatever the value. */
  const address = (n: number): Value => {
    if (n % 7 === 6) return n % 2 === 0 ? b.i64(16 * n) : b.i64Parts((HIGH_PAGE | 0) + 8 * n, -1);
    if (n % 3 === 0) return b.add(b.and(take(I64, n), b.i64(0x7ff)), b.i64(8 * (n % 16)));
    if (n % 3 === 1) return b.add(b.or(b.and(take(I64, n), b.i64(0x3ff)), b.i64Parts(HIGH_PAGE | 0, -1)), b.i64(n));
    return b.extU(b.add(b.and(take(I32, n), b.i32(0x7ff)), b.i32(n)));
  };
  for (const s of steps) {
    if (s.kind === 'next') begin();
    else if (s.kind === 'op') values.push(b.emit(s.op.id, ...(s.op.ins.map((t, k) => take(t, s.from[k])) as [Value])));
    else if (s.kind === 'set') {
      const globals = s.wide ? wide : narrow;
      const v = take(s.wide ? I64 : I32, s.from);
      sets.push(() => b.set(globals[s.n % globals.length], v));
    } else if (s.kind === 'load')
      values.push(
        b.load(s.wide ? 'ld64' : (['ld32', 'ld16s', 'ld8u'] as const)[s.n % 3], address(s.from), s.n & MEM_STACK),
      );
    else {
      const at = address(s.from);
      const v = s.kind === 'store' ? take(s.wide ? I64 : I32, s.n) : b.load(s.wide ? 'ld64' : 'ld32', at, MEM_RMW);
      b.store(
        s.wide ? 'st64' : s.kind === 'rmw' ? 'st32' : 'st16',
        at,
        s.kind === 'rmw' ? b.add(v, b.int(b.typeOf(v), s.n)) : v,
      );
    }
  }
  sets.forEach((f) => f());
  b.jmp(0x1000);
  return b.finish();
}

describe('blocks of both widths', () => {
  const cold = new TierRunner(GLOBALS);
  const hot = new TierRunner(GLOBALS);
  const plain = new TierRunner(GLOBALS);
  it('leave the same state in both tiers, whatever the translator leaves out', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 2, maxLength: 40 }),
        fc.uint8Array({ minLength: STATE, maxLength: STATE }),
        choice,
        (steps, state, chosen) => {
          hot.optimisations = chooseOptimisations(chosen);
          const block = build(steps, hot.optimisations);
          const images = [plain, cold, hot].map((r) => {
            r.u8.set(state, r.address(0));
            for (const page of [GUEST_PAGE, GUEST_PAGE + 4096])
              for (let n = 0; n < 4096; n++) r.u8[page + n] = (n * 7) & 0xff;
            if (r === plain) r.cold(build(steps, chooseOptimisations()));
            else if (r === cold) r.cold(block);
            else expect(r.hot(block)).toBe(EXIT_KIND.JUMP);
            return [
              ...r.u8.subarray(r.address(0), r.address(0) + STATE).filter((_, n) => isState(n)),
              ...r.u8.subarray(GUEST_PAGE, GUEST_PAGE + 8192),
            ];
          });
          expect(images[1]).toEqual(images[0]);
          expect(images[2]).toEqual(images[0]);
          expect(plain.slowAccesses + cold.slowAccesses).toBe(0);
        },
      ),
      { numRuns: 400, seed: 1 },
    );
  });
});

const block = (make: (b: IrBuilder) => void): IrBlock => {
  const b = new IrBuilder(GLOBALS);
  b.insnStart(0x1000);
  make(b);
  if (!b.terminated) b.jmp(0x1004);
  return b.finish();
};

describe('64-bit addresses', () => {
  it('compare all 64 bits of the page', () => {
    const load = block((b) => b.set(0, b.load('ld8u', b.add(b.get(3), b.i64(5)))));
    for (const [at, hits] of [
      [0n, true],
      [0xffff_ffff_0000_0000n + BigInt(HIGH_PAGE), true],
      [BigInt(HIGH_PAGE), false],
      [1n << 32n, false],
      [1n << 63n, false],
      [4091n, false],
    ] as const) {
      const cold = new TierRunner(GLOBALS);
      cold.view.setBigUint64(cold.address(3), at, true);
      cold.cold(load);
      expect(cold.slowAccesses === 0).toBe(hits);
      const hot = new TierRunner(GLOBALS);
      hot.view.setBigUint64(hot.address(3), at, true);
      expect(hot.hot(load) === EXIT_KIND.JUMP).toBe(hits);
    }
  });

  it('are given to the slow path in halves, with the kind of access', () => {
    const r = new TierRunner(GLOBALS);
    r.view.setBigUint64(r.address(3), 0xffff_8000_1234_5000n, true);
    r.cold(block((b) => b.store('st16', b.add(b.get(3), b.i64(-0x5000)), b.get(0), MEM_STACK)));
    r.cold(block((b) => b.set(4, b.load('ld64', b.get(3), MEM_RMW | MEM_STACK))));
    r.cold(block((b) => b.set(4, b.load('ld64', b.get(3)))));
    r.cold(block((b) => void b.load('ld128', b.get(3), MEM_RMW | MEM_STACK | MEM_WIDE)));
    r.cold(block((b) => void b.load('ld128', b.i32(0x5000), MEM_RMW | MEM_WIDE)));
    expect(r.slow).toEqual([
      [0x12340000, 0xffff8000 | 0, 2 | 64],
      [0x12345000, 0xffff8000 | 0, 8 | 32 | 64],
      [0x12345000, 0xffff8000 | 0, 8],
      [0x12345000, 0xffff8000 | 0, 16 | 32 | 64 | 128],
      [0x5000, 0, 16 | 32 | 128],
    ]);
  });

  it('that are constant share a check when they are near', () => {
    const near = block((b) => {
      b.set(0, b.load('ld32', b.i64Parts(HIGH_PAGE + 0x10, -1)));
      b.set(1, b.load('ld32', b.i64Parts(HIGH_PAGE + 0x40, -1)));
      b.set(4, b.load('ld64', b.i64(0x20)));
    });
    const r = new TierRunner(GLOBALS);
    r.view.setUint32(GUEST_PAGE + 4096 + 0x40, 0x1234, true);
    expect(r.hot(near)).toBe(EXIT_KIND.JUMP);
    expect(r.view.getUint32(r.address(1), true)).toBe(0x1234);
  });

  it('that are extended sums share a check, which knows where 32 bits end', () => {
    const sums = block((b) => {
      for (const n of [0, 1]) b.set(n, b.load('ld32', b.extU(b.add(b.get(2), b.i32(n * 0x20 - 0x10)))));
    });
    for (const [base, hits] of [
      [0x100, true],
      [0x10, true],
      // the first sum is below 0, the second is not
      [0xc, false],
      [0xfffffff0, false],
    ] as const) {
      const r = new TierRunner(GLOBALS);
      // beyond the last page below 2^32 comes another mapping, which no sum of 32 bits reaches
      r.map(-4096 + 2 ** 32, GUEST_PAGE + 4096);
      for (let n = 0; n < 0x200; n += 4) r.view.setInt32(GUEST_PAGE + n, n, true);
      r.view.setInt32(r.address(2), base, true);
      expect(r.hot(sums)).toBe(hits ? EXIT_KIND.JUMP : EXIT_KIND.COLD);
      if (hits) expect([0, 1].map((n) => r.view.getInt32(r.address(n), true))).toEqual([base - 0x10, base + 0x10]);
    }
  });

  it('of jumps go to pc and window', () => {
    const jump = block((b) => b.jmpInd(b.get(3), JUMP_PLAIN));
    for (const tier of ['cold', 'hot'] as const) {
      const r = new TierRunner(GLOBALS);
      r.view.setBigUint64(r.address(3), 0xffff_8000_1234_5678n, true);
      r[tier](jump);
      expect([r.pc, r.csBase]).toEqual([0x12345678, 0xffff8000 | 0]);
    }
  });

  it('of jumps are compared with the blocks of the region and its window', () => {
    const other = block((b) => {
      b.set(0, b.i32(77));
      b.jmp(0x9000);
    });
    for (const [target, inside] of [
      [0x5_0000_2000n, true],
      [0x6_0000_2000n, false],
    ] as const) {
      const r = new TierRunner(GLOBALS);
      r.view.setBigUint64(r.address(3), target, true);
      const kind = r.region(5, [
        { pc: 0x1000, ir: block((b) => b.jmpInd(b.get(3))), successors: [1], stopAt: -1 },
        { pc: 0x2000, ir: other, successors: [-1], stopAt: -1 },
      ]);
      expect(kind).toBe(inside ? EXIT_KIND.JUMP : EXIT_KIND.INDIRECT);
      expect(r.view.getInt32(r.address(0), true)).toBe(inside ? 77 : 0);
    }
  });
});

describe('entries of a region', () => {
  // 0 -> 1 -> 2 -> (1 or out): entered at 2, the loop has two ways in
  const step = (n: number, next: number): IrBlock =>
    block((b) => {
      b.set(0, b.add(b.get(0), b.i32(n)));
      b.jmp(next);
    });
  const last = block((b) => {
    b.set(0, b.add(b.get(0), b.i32(100)));
    b.set(1, b.sub(b.get(1), b.i32(1)));
    b.br(b.get(1), 0x2000, 0x4000);
  });
  const blocks = [
    { pc: 0x1000, ir: step(1, 0x2000), successors: [1], stopAt: -1 },
    { pc: 0x2000, ir: step(10, 0x3000), successors: [2], stopAt: -1 },
    { pc: 0x3000, ir: last, successors: [1, -1], stopAt: -1 },
  ];
  it.each([
    [0, 331],
    [1, 330],
    [2, 320],
  ])('number %i begins at its block, and a loop with several ways in stays in the region', (entry, sum) => {
    const r = new TierRunner(GLOBALS);
    r.view.setInt32(r.address(1), 3, true);
    expect(r.region(0, blocks, [0, 1, 2], entry)).toBe(EXIT_KIND.JUMP);
    expect(r.view.getInt32(r.address(0), true)).toBe(sum);
  });
});
