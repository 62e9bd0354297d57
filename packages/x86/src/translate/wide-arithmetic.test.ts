import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODE, hexBytes, longMachine, runCodeAt } from '../../test/flat-machine.ts';
import type { IrMachine } from '../../test/ir-machine.ts';
import { EAX, EBX, ECX, EDX, EXC, FLAG_CF, FLAG_OF } from '../state.ts';

const B64 = 1n << 64n;
const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);
const s64 = (v: bigint): bigint => BigInt.asIntN(64, v);
const set = (m: IrMachine, r: number, v: bigint): void =>
  m.cpu.setReg64(r, Number(BigInt.asUintN(32, v)), Number(BigInt.asUintN(32, v >> 32n)));
const get = (m: IrMachine, r: number): bigint => (BigInt(m.cpu.regHigh(r)) << 32n) | BigInt(m.cpu.reg(r));
const run = (m: IrMachine, code: string): number => runCodeAt(m, CODE, hexBytes(code)).vector;

const EDGES = [
  0n,
  1n,
  2n,
  0xffff_ffffn,
  0x1_0000_0000n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 63n) + 1n,
  B64 - 1n,
  B64 - 2n,
];
const word = fc.oneof(
  fc.constantFrom(...EDGES),
  fc.bigInt({ min: 0n, max: B64 - 1n }),
  // of any length: digits of a quotient are estimated wrong only in some
  fc.tuple(fc.bigInt({ min: 0n, max: B64 - 1n }), fc.integer({ min: 0, max: 63 })).map(([v, n]) => v >> BigInt(n)),
);

describe('products and quotients of 128 bits', () => {
  it('MUL, IMUL and MULX give what unbounded integers give', () => {
    const m = longMachine();
    fc.assert(
      fc.property(word, word, (x, y) => {
        const load = (): void => {
          set(m, EAX, x);
          set(m, EDX, x);
          set(m, EBX, y);
        };
        load();
        run(m, '48 f7 e3');
        expect([get(m, EDX), get(m, EAX)]).toEqual([(x * y) >> 64n, u64(x * y)]);
        expect((m.cpu.eflags() & FLAG_CF) !== 0).toBe(x * y >= B64);
        load();
        run(m, '48 f7 eb');
        const p = s64(x) * s64(y);
        expect([get(m, EDX), get(m, EAX)]).toEqual([u64(p >> 64n), u64(p)]);
        expect((m.cpu.eflags() & FLAG_OF) !== 0).toBe(p !== s64(p));
        load();
        run(m, '48 0f af c3');
        expect(get(m, EAX)).toBe(u64(p));
        expect((m.cpu.eflags() & FLAG_CF) !== 0).toBe(p !== s64(p));
        load();
        run(m, 'c4 e2 fb f6 cb'); // mulx rcx, rax, rbx
        expect([get(m, ECX), get(m, EAX)]).toEqual([(x * y) >> 64n, u64(x * y)]);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  it('DIV gives quotient and remainder, and #DE exactly when the quotient has more than 64 bits', () => {
    const m = longMachine();
    fc.assert(
      fc.property(word, word, word, (high, low, x) => {
        set(m, EDX, high);
        set(m, EAX, low);
        set(m, EBX, x);
        const d = (high << 64n) | low;
        const vector = run(m, '48 f7 f3');
        if (x === 0n || d / x >= B64) expect(vector).toBe(EXC.DE);
        else expect([vector, get(m, EAX), get(m, EDX)]).toEqual([-1, d / x, d % x]);
      }),
      { seed: 12, numRuns: 2000 },
    );
  });

  it('IDIV likewise with signs; the pair of CQO and IDIV, and of XOR and DIV, too', () => {
    const m = longMachine();
    fc.assert(
      fc.property(word, word, word, (high, low, x) => {
        set(m, EAX, low);
        set(m, EBX, x);
        for (const [code, top] of [
          ['48 f7 fb', high],
          ['48 99 48 f7 fb', u64(s64(low) >> 63n)],
        ] as const) {
          set(m, EAX, low);
          set(m, EDX, high);
          const d = (s64(top) << 64n) | low;
          const v = s64(x);
          const vector = run(m, code);
          if (v === 0n || d / v !== s64(d / v)) expect(vector).toBe(EXC.DE);
          else expect([vector, get(m, EAX), get(m, EDX)]).toEqual([-1, u64(d / v), u64(d % v)]);
        }
        set(m, EAX, low);
        const vector = run(m, '31 d2 48 f7 f3');
        if (x === 0n) expect(vector).toBe(EXC.DE);
        else expect([vector, get(m, EAX), get(m, EDX)]).toEqual([-1, low / x, low % x]);
      }),
      { seed: 13, numRuns: 2000 },
    );
  });

  it('IDIV at its ends: -2^63 is a quotient, 2^63 is not', () => {
    const m = longMachine();
    const divide = (d: bigint, x: bigint): number => {
      set(m, EAX, u64(d));
      set(m, EDX, u64(d >> 64n));
      set(m, EBX, u64(x));
      return run(m, '48 f7 fb');
    };
    for (const x of [1n, 3n, 1n << 62n]) {
      expect(divide(-x << 63n, x)).toBe(-1);
      expect([get(m, EAX), get(m, EDX)]).toEqual([1n << 63n, 0n]);
      expect(divide(x << 63n, x)).toBe(EXC.DE);
      expect(divide(-x << 63n, -x)).toBe(EXC.DE);
      expect(divide((x << 63n) - 1n, x)).toBe(-1);
      expect(divide((-x << 63n) - x, x)).toBe(EXC.DE);
    }
  });
});
