/**
 * The one lowering table: how each pure IR op becomes WebAssembly. Operands are on the stack in order; the lowering
 * leaves the result there. Both tiers use it: the interpreter's handlers load operands from slots, compiled regions
 * from locals.
 */
import { OPS } from '@emkit/ir';
import { OP, SIMD } from '@emkit/wasm';
import type { FunctionBuilder } from '@emkit/wasm';

/** Scratch locals a lowering may use; each function that lowers code provides them. */
export interface Scratch {
  readonly i32: number;
  readonly i64: number;
}

type Lowering = (f: FunctionBuilder, s: Scratch, imm: number) => void;

const op = OP as Readonly<Record<string, number>>;
const simd = SIMD as Readonly<Record<string, number>>;

const bswap32: Lowering = (f, s) => {
  // rotl(x, 8) & 0x00ff00ff | rotr(x, 8) & 0xff00ff00
  f.tee(s.i32).i32Const(8).op(OP.i32_rotl).i32Const(0x00ff00ff).op(OP.i32_and);
  f.get(s.i32)
    .i32Const(8)
    .op(OP.i32_rotr)
    .i32Const(0xff00ff00 | 0)
    .op(OP.i32_and)
    .op(OP.i32_or);
};
const bswap64: Lowering = (f, s) => {
  const half = (): void => bswap32(f, s, 0);
  f.tee(s.i64).op(OP.i32_wrap_i64);
  half();
  f.op(OP.i64_extend_i32_u).i64Const(32).op(OP.i64_shl);
  f.get(s.i64).i64Const(32).op(OP.i64_shr_u).op(OP.i32_wrap_i64);
  half();
  f.op(OP.i64_extend_i32_u).op(OP.i64_or);
};

const special: Readonly<Record<string, Lowering>> = { i32_bswap: bswap32, i64_bswap: bswap64 };

function rowFor(name: string): Lowering | undefined {
  const own = special[name];
  if (own !== undefined) return own;
  if (name.endsWith('_select')) return (f) => f.op(OP.select);
  if (/^i32_trunc_sat|^i64_trunc_sat/.test(name)) {
    const order = [
      'i32_trunc_sat_f32_s',
      'i32_trunc_sat_f32_u',
      'i32_trunc_sat_f64_s',
      'i32_trunc_sat_f64_u',
      'i64_trunc_sat_f32_s',
      'i64_trunc_sat_f32_u',
      'i64_trunc_sat_f64_s',
      'i64_trunc_sat_f64_u',
    ];
    const sub = order.indexOf(name); // sub-opcodes 0-7 in this order: WebAssembly core 2.0 §5.4.7
    return (f) => f.misc(sub);
  }
  const sub = simd[name];
  if (sub !== undefined) {
    if (/_lane(_s|_u)?$/.test(name)) return (f, _s, imm) => f.simdLane(sub, imm);
    return (f) => f.simd(sub);
  }
  const code = op[name];
  return code === undefined ? undefined : (f) => f.op(code);
}

/** By op id; undefined for ops that are not pure or need their operands' slots (constants, shuffles). */
export const LOWERING: readonly (Lowering | undefined)[] = OPS.map((o) =>
  o.effect === 'pure' && o.ins.length > 0 && o.name !== 'i8x16_shuffle' ? rowFor(o.name) : undefined,
);

for (const o of OPS) {
  if (o.effect === 'pure' && o.ins.length > 0 && o.name !== 'i8x16_shuffle' && LOWERING[o.id] === undefined)
    throw new Error(`no lowering for IR op ${o.name}`);
}
