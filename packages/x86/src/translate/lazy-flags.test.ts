import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODE, flatMachine, hexBytes, longMachine, runCode, runCodeAt } from '../../test/flat-machine.ts';
import { FLAGS_ARITH } from '../state.ts';

/** Instructions that set or use flags, all on EAX, ECX, EDX, EBX and their parts. */
const OPS = [
  '01 c8',
  '00 c8',
  '66 01 c8',
  '11 d8',
  '10 e0',
  '66 11 d8',
  '29 c8',
  '28 cc',
  '66 29 d0',
  '19 d9',
  '18 e1',
  '66 19 c8',
  '31 c8',
  '30 e1',
  '66 21 c8',
  '09 da',
  '39 c8',
  '38 e0',
  '66 39 d1',
  '85 c0',
  '84 e4',
  '40',
  'fe c4',
  '66 49',
  '4b',
  'fe cd',
  'f7 d8',
  'f6 dd',
  '66 f7 da',
  'd1 e0',
  'd0 ec',
  '66 d1 f8',
  'c1 e8 05',
  'c0 e1 09',
  'd3 e2',
  'd2 e8',
  '66 d3 fb',
  'd1 c0',
  'c1 c9 03',
  'd2 c4',
  '66 d3 c8',
  'd1 d0',
  'd3 da',
  '66 c1 d1 13',
  'd2 d5',
  '0f a3 c8',
  '0f ab d0',
  '0f ba f0 05',
  '0f a4 c8 07',
  '0f ad da',
  'f8',
  'f9',
  'f5',
  '9e',
  '27',
  '2f',
  '37',
  'd5 0a',
  '0f af c1',
  'f7 e1',
  'f6 eb',
  '0f b1 d1',
  '0f c1 d8',
  '0f bc c1',
  'f3 0f bc d1',
  'f3 0f b8 c3',
  '66 0f 38 f6 c1',
  'f3 0f 38 f6 d3',
  'c4 e2 60 f7 c1',
  'c4 e2 78 f3 d9',
  '0f 92 c0',
  '0f 9c c4',
  '0f 46 c1',
  '0f 4f d3',
  '0f 90 c5',
  '0f 9a c2',
  'd6',
  '9f',
  '9c 58',
].map(hexBytes);
/** What of these exists in 64-bit code, without VEX and stack. */
const OPS_64 = OPS.filter((code) => {
  const opcode = code[code[0] === 0x66 ? 1 : 0]!;
  return !(opcode >= 0x40 && opcode < 0x50) && ![0x27, 0x2f, 0x37, 0xd5, 0xd6, 0xc4, 0x9c].includes(opcode);
});
const WIDE_ONLY = ['c4 e2 e0 f7 c1', 'c4 e2 f8 f3 d9', '9c 58', '48 ff c0', '48 ff cb', '48 f7 e9'].map(hexBytes);
const program = fc.array(fc.nat(OPS.length - 1), { minLength: 1, maxLength: 12 });
const value = fc.oneof(
  fc.constantFrom(0, 1, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.nat(0xffffffff),
);

describe('lazy flags', () => {
  it('come out the same whether CC_OP is known to the translator or only at run time', () => {
    const known = flatMachine();
    const unknown = flatMachine();
    unknown.maxInsns = 1;
    fc.assert(
      fc.property(program, fc.tuple(value, value, value, value), fc.nat(0xfff), (ops, regs, flags) => {
        const code = ops.flatMap((n) => OPS[n]);
        const [a, b] = [known, unknown].map((m) => {
          regs.forEach((v, n) => m.cpu.setReg(n, v));
          m.cpu.setReg(4, 0x8000);
          m.cpu.setEflags(flags & FLAGS_ARITH, FLAGS_ARITH);
          const stop = runCode(m, code);
          return [stop.vector, m.cpu.eflags(), ...[0, 1, 2, 3].map((n) => m.cpu.reg(n))];
        });
        expect(a).toEqual(b);
      }),
      { seed: 4, numRuns: 1500 },
    );
  });

  it('in 64-bit code too, where operations of all sizes mix', () => {
    const known = longMachine();
    const unknown = longMachine();
    unknown.maxInsns = 1;
    // with REX.W before the opcode: behind a 66, which it overrides, and before F3 is no place for it
    const wide = OPS_64.map((code) =>
      code[0] === 0x66 || code[0] === 0xf3 ? [code[0], 0x48, ...code.slice(1)] : [0x48, ...code],
    );
    const all = [...OPS_64, ...wide, ...WIDE_ONLY];
    fc.assert(
      fc.property(
        fc.array(fc.nat(all.length - 1), { minLength: 1, maxLength: 12 }),
        fc.array(value, { minLength: 8, maxLength: 8 }),
        fc.nat(0xfff),
        (ops, regs, flags) => {
          const code = ops.flatMap((n) => all[n]);
          const [a, b] = [known, unknown].map((m) => {
            for (let n = 0; n < 4; n++) m.cpu.setReg64(n, regs[2 * n]!, regs[2 * n + 1]!);
            m.cpu.setReg(4, 0x8000);
            m.cpu.setEflags(flags & FLAGS_ARITH, FLAGS_ARITH);
            const stop = runCodeAt(m, CODE, code);
            return [stop.vector, m.cpu.eflags(), ...[0, 1, 2, 3].flatMap((n) => [m.cpu.reg(n), m.cpu.regHigh(n)])];
          });
          expect(a).toEqual(b);
        },
      ),
      { seed: 5, numRuns: 2500 },
    );
  });
});
