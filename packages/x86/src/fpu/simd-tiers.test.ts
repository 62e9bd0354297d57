import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildTable } from '../decode/table.ts';
import { MAP_0F38, MAP_0F3A } from '../decode/row.ts';
import { EAX, EBX, ECX, EDI, EDX } from '../state.ts';
import { CODE, DATA, FpuBench } from '../../test/fpu-bench.ts';
import { SIMD_ROWS } from './rows-simd.ts';

const rows = buildTable(SIMD_ROWS).rows;
const byte = (v: number): string => v.toString(16).padStart(2, '0');

/** One SIMD instruction on registers 0-3 or on memory at [ebx + 32 * slot]. */
const instruction = fc
  .tuple(fc.constantFrom(...rows), fc.boolean(), fc.nat(3), fc.nat(3), fc.nat(255))
  .map(([row, memory, reg, rm, imm]) => {
    let code =
      ['', '66', 'f3', 'f2'][Math.max(0, row.prefix)]! +
      '0f' +
      (row.map === MAP_0F38 ? '38' : row.map === MAP_0F3A ? '3a' : '') +
      byte(row.opcode);
    if (row.hasModrm) {
      const useMemory = row.form === 'mem' || (row.form === 'both' && memory);
      const digit = row.digit >= 0 ? row.digit : reg;
      // general registers as operands: EAX, ECX, EDX only, EBX is the pointer
      const low = row.operands.some((o) => /^[ERG][dy]$/.test(o.text)) ? rm % 3 : rm;
      code += useMemory
        ? byte(0x43 | ((row.operands.some((o) => /^G[dy]$/.test(o.text)) ? digit % 3 : digit) << 3)) + byte(32 * rm)
        : byte(0xc0 | ((row.operands.some((o) => /^G[dy]$/.test(o.text)) ? digit % 3 : digit) << 3) | low);
    }
    return row.imm1 !== 0 ? code + byte(imm) : code;
  });

const double = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -9, max: 9 }) },
  { weight: 4, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }) },
  { weight: 1, arbitrary: fc.double() },
);
const float64 = fc.tuple(double, double).map(([a, b]) => new Uint8Array(Float64Array.of(a, b).buffer));
const float32 = fc.tuple(double, double, double, double).map((v) => new Uint8Array(Float32Array.from(v).buffer));
const vector = fc.oneof(float64, float32, fc.uint8Array({ minLength: 16, maxLength: 16 }));
const hex = (v: Uint8Array): string => [...v].reverse().map(byte).join('');

describe('SIMD instruction streams', () => {
  it('leave the same state in both tiers', () => {
    const hot = new FpuBench('hot');
    const cold = new FpuBench('cold');
    const mxcsr = fc.oneof(
      { weight: 6, arbitrary: fc.constant(0x1fa0) },
      { weight: 2, arbitrary: fc.constantFrom(0x1f80, 0x9fe0, 0x5fa0, 0x3f80) },
      { weight: 1, arbitrary: fc.nat(0xffff) },
    );
    const streams = fc.array(instruction, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        streams,
        fc.array(vector, { minLength: 16, maxLength: 16 }),
        mxcsr,
        fc.array(fc.integer(), { minLength: 3, maxLength: 3 }),
        (code, values, mode, general) => {
          const outcome = (m: FpuBench): unknown[] => {
            m.reset();
            m.words(0x37f, 0, mode);
            for (let n = 0; n < 8; n++) m.setXmm(n, hex(values[n]!));
            for (let n = 0; n < 8; n++) m.poke(DATA + 16 * n, values[8 + n]!);
            m.cpu.setReg(EAX, general[0]!);
            m.cpu.setReg(ECX, general[1]!);
            m.cpu.setReg(EDX, general[2]!);
            m.cpu.setReg(EBX, DATA);
            m.cpu.setReg(EDI, DATA + 0x400);
            const stop = m.run(code.join(''));
            return [
              stop.vector,
              stop.eip - CODE,
              stop.eflags & 0x8d5,
              m.mxcsr,
              m.fsw,
              m.tags,
              [EAX, ECX, EDX, EBX].map((n) => m.cpu.reg(n)),
              [0, 1, 2, 3, 4, 5, 6, 7].map((n) => m.xmm(n)),
              [0, 1, 2, 3].map((n) => m.st(n)),
              m.peek(DATA, 128),
              m.peek(DATA + 0x400, 16),
            ];
          };
          expect(outcome(hot), code.join(' ')).toEqual(outcome(cold));
        },
      ),
      { seed: 3, numRuns: 400 },
    );
  });
});
