/**
 * Handlers of SSE floating-point arithmetic, comparison and rounding: operands and destination; what is computed, and how,
 * is in float-values.ts.
 */
import type { Value } from '@emkit/ir';
import type { Handler, HandlerTable, Translator } from '../translate/translator.ts';
import {
  addSubtract,
  approximate,
  arithmetic,
  bytesOf,
  compare,
  compareToFlags,
  dotProduct,
  finish,
  horizontal,
  lanesOf,
  round,
} from './float-values.ts';
import type { FloatType } from './float-values.ts';
import { sseReady, xmmSource } from './simd-operands.ts';

type Compute = (t: Translator, d: Value, s: Value, flags: Value[]) => Value;
/** Destination = f(destination, source of `bytes` bytes). */
const binary =
  (bytes: number, compute: Compute): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const s = xmmSource(t, bytes);
    const flags: Value[] = [];
    const result = compute(t, t.xmm(i.reg), s, flags);
    finish(t, flags, () => t.setXmm(i.reg, result));
  };

const comis =
  (type: FloatType, quiet: number): Handler =>
  (t, i) => {
    if (!sseReady(t)) return;
    const s = xmmSource(t, bytesOf(type));
    const flags: Value[] = [];
    const result = compareToFlags(t, type, quiet, t.xmm(i.reg), s, flags);
    finish(t, flags, () => t.setEflags(result));
  };

const FORMS: readonly (readonly [suffix: string, FloatType, packed: boolean])[] = [
  ['ps', 'f32', true],
  ['pd', 'f64', true],
  ['ss', 'f32', false],
  ['sd', 'f64', false],
];

export const SIMD_FLOAT_HANDLERS: HandlerTable = {
  ...Object.fromEntries(
    FORMS.flatMap(([suffix, type, packed]) => {
      const lanes = packed ? lanesOf(type) : 1;
      const bytes = packed ? 16 : bytesOf(type);
      return [
        ...(['add', 'sub', 'mul', 'div', 'min', 'max', 'sqrt'] as const).map(
          (op) =>
            [`${op}${suffix}`, binary(bytes, (t, d, s, flags) => arithmetic(t, type, op, lanes, d, s, flags))] as const,
        ),
        [
          `cmp${suffix}`,
          binary(bytes, (t, d, s, flags) => compare(t, type, t.insn.imm & 7, lanes, d, s, flags)),
        ] as const,
        [`round${suffix}`, binary(bytes, (t, d, s, flags) => round(t, type, t.insn.imm, lanes, d, s, flags))] as const,
      ];
    }),
  ),
  comiss: comis('f32', 0),
  comisd: comis('f64', 0),
  ucomiss: comis('f32', 1),
  ucomisd: comis('f64', 1),
  haddps: binary(16, (t, d, s, flags) => horizontal(t, 'f32', 'add', d, s, flags)),
  haddpd: binary(16, (t, d, s, flags) => horizontal(t, 'f64', 'add', d, s, flags)),
  hsubps: binary(16, (t, d, s, flags) => horizontal(t, 'f32', 'sub', d, s, flags)),
  hsubpd: binary(16, (t, d, s, flags) => horizontal(t, 'f64', 'sub', d, s, flags)),
  addsubps: binary(16, (t, d, s, flags) => addSubtract(t, 'f32', d, s, flags)),
  addsubpd: binary(16, (t, d, s, flags) => addSubtract(t, 'f64', d, s, flags)),
  dpps: binary(16, (t, d, s, flags) => dotProduct(t, 'f32', t.insn.imm, [[d, s]], flags)[0]!),
  dppd: binary(16, (t, d, s, flags) => dotProduct(t, 'f64', t.insn.imm, [[d, s]], flags)[0]!),
  rcpps: binary(16, (t, d, s) => approximate(t, 'rcp', 4, d, s)),
  rcpss: binary(4, (t, d, s) => approximate(t, 'rcp', 1, d, s)),
  rsqrtps: binary(16, (t, d, s) => approximate(t, 'rsqrt', 4, d, s)),
  rsqrtss: binary(4, (t, d, s) => approximate(t, 'rsqrt', 1, d, s)),
};
