import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FpuBench } from '../../test/fpu-bench.ts';

/** Interesting f64 values: ordinary, tiny, huge, denormal, special. */
const f64 = fc.oneof(
  { weight: 6, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 4, arbitrary: fc.integer({ min: -20, max: 20 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      0,
      -0,
      Infinity,
      -Infinity,
      5e-324,
      2.2250738585072014e-308,
      1.7976931348623157e308,
      1e-200,
      1e200,
    ),
  },
  { weight: 1, arbitrary: fc.constant(NaN) },
);
const hex = (value: number, bytes: 4 | 8): string => {
  const view = new DataView(new ArrayBuffer(8));
  if (bytes === 8) view.setFloat64(0, value);
  else view.setFloat32(0, value);
  return Array.from({ length: bytes }, (_, n) => view.getUint8(n).toString(16).padStart(2, '0')).join('');
};
const vector = (values: readonly number[], bytes: 4 | 8): string =>
  Array.from({ length: 16 / bytes }, (_, n) => hex(values[n % values.length]!, bytes)).join('');

/** Two-operand instructions on xmm0, xmm1 that have a fast form. */
const CODES: readonly (readonly [code: string, bytes: 4 | 8])[] = [
  ...['51', '58', '59', '5C', '5D', '5E', '5F'].flatMap(
    (op) =>
      [
        [`F20F${op}C1`, 8],
        [`F30F${op}C1`, 4],
        [`660F${op}C1`, 8],
        [`0F${op}C1`, 4],
      ] as [string, 4 | 8][],
  ),
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap(
    (p) =>
      [
        [`F20FC2C10${p}`, 8],
        [`F30FC2C10${p}`, 4],
        [`660FC2C10${p}`, 8],
        [`0FC2C10${p}`, 4],
      ] as [string, 4 | 8][],
  ),
  ['660F2EC1', 8],
  ['0F2FC1', 4],
  ['F20F2DC1', 8],
  ['F20F2CC1', 8],
  ['F30F2DC1', 4],
  ['F30F2CC1', 4],
  ['F20F5AC1', 8],
  ['F30F5AC1', 4],
  ['0F5AC1', 4],
  ['660F5AC1', 8],
  ['0F5BC1', 4],
  ['660F5BC1', 4],
  ['F30F5BC1', 4],
  ['F20FE6C1', 8],
  ['660FE6C1', 8],
  ['F20F7CC1', 4],
  ['660FD0C1', 8],
  ['660F3A40C1F1', 4],
];

describe('fast SSE arithmetic', () => {
  it('agrees with the exact form in results, flags and MXCSR', () => {
    const hot = new FpuBench('hot');
    const cold = new FpuBench('cold');
    fc.assert(
      fc.property(
        fc.constantFrom(...CODES),
        fc.array(f64, { minLength: 2, maxLength: 4 }),
        fc.array(f64, { minLength: 2, maxLength: 4 }),
        fc.constantFrom(0, 0x40, 0x8000),
        ([code, bytes], a, b, modes) => {
          const outcome = (m: FpuBench): unknown[] => {
            m.reset();
            m.words(0x37f, 0, 0x1fa0 | modes); // HF_SSE_FAST holds, with DAZ or FTZ too
            m.setXmm(0, vector(a, bytes));
            m.setXmm(1, vector(b, bytes));
            const stop = m.run(code);
            return [stop.vector, m.xmm(0), m.mxcsr, m.cpu.reg(0), stop.eflags & 0x8d5];
          };
          expect(outcome(hot), code).toEqual(outcome(cold));
        },
      ),
      { seed: 20, numRuns: 500 },
    );
  });
});
