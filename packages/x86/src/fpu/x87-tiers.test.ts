import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildTable } from '../decode/table.ts';
import { EBX, ENV } from '../state.ts';
import { CODE, DATA, FpuBench } from '../../test/fpu-bench.ts';
import { X87_ROWS } from './rows-x87.ts';

const rows = buildTable(X87_ROWS).rows;
const byte = (v: number): string => v.toString(16).padStart(2, '0');

/** One x87 instruction: register forms as they are, memory forms on [ebx + 8-bit displacement]. */
const instruction = fc.tuple(fc.constantFrom(...rows), fc.nat(7), fc.nat(3)).map(([row, r, slot]) => {
  if (!row.hasModrm) return byte(row.opcode);
  if (row.modrm >= 0) return byte(row.opcode) + byte(row.modrm + (row.modrms === 8 ? r : 0));
  return byte(row.opcode) + byte(0x43 | (row.digit << 3)) + byte(slot * 16);
});

const significand = fc.oneof(
  fc.bigInt({ min: 1n << 63n, max: (1n << 64n) - 1n }),
  fc.constantFrom(1n << 63n, (1n << 64n) - 1n, 3n << 62n, 0xc000000000000001n),
);
const finite = fc.tuple(fc.integer({ min: 0x3fc0, max: 0x4040 }), fc.nat(1), significand);
const odd = fc.tuple(
  fc.constantFrom(0, 1, 0x7ffe, 0x7fff, 0x3fff),
  fc.nat(1),
  fc.oneof(significand, fc.constantFrom(0n, 1n, 0xa000000000000000n)),
);
const real80 = fc
  .oneof({ weight: 5, arbitrary: finite }, { weight: 2, arbitrary: odd })
  .map(
    ([exponent, sign, m]) => ((sign << 15) | exponent).toString(16).padStart(4, '0') + m.toString(16).padStart(16, '0'),
  );

describe('x87 instruction streams', () => {
  it('leave the same state in both tiers, whatever is masked', () => {
    const hot = new FpuBench('hot');
    const cold = new FpuBench('cold');
    const stream = fc.array(instruction, { minLength: 1, maxLength: 5 });
    const masks = fc.oneof(fc.constant(0x3f), fc.nat(0x3f));
    fc.assert(
      fc.property(
        stream,
        fc.array(real80, { minLength: 8, maxLength: 8 }),
        masks,
        fc.nat(15),
        fc.nat(7),
        fc.nat(255),
        fc.uint8Array({ minLength: 128, maxLength: 128 }),
        (code, values, mask, control, top, tags, memory) => {
          const outcome = (m: FpuBench): unknown[] => {
            m.reset();
            m.words(0x40 | mask | (control << 8), top << 11, 0x1f80);
            values.forEach((v, i) => m.setSt(i, v));
            for (let n = 0; n < 8; n++) m.cpu.e8[ENV.FPTAGS + n] = (tags >> n) & 1 && n !== top ? 1 : 0;
            m.poke(DATA, memory);
            m.cpu.setReg(EBX, DATA);
            const stop = m.run(code.join(''));
            return [
              stop.vector,
              stop.eip - CODE,
              stop.eflags & 0x8d5,
              m.fcw,
              m.fsw,
              m.tags,
              m.cpu.reg(0),
              Array.from({ length: 8 }, (_, i) => m.st(i)),
              m.peek(DATA, 128),
              m.cpu.env32(ENV.FIP),
            ];
          };
          expect(outcome(hot), code.join(' ')).toEqual(outcome(cold));
        },
      ),
      { seed: 7, numRuns: 500 },
    );
  });
});
