/** Vector expressions for emit.ts: instructions by their name in `SIMD`, on `Expr`s of type v128. */
import { SIMD } from '@emkit/wasm';
import { Expr, lift, type Arg, type Fn, type Ty } from './emit.ts';

function subopcode(name: string): number {
  const code = (SIMD as Readonly<Record<string, number>>)[name];
  if (code === undefined) throw new TypeError(`no vector instruction ${name}`);
  return code;
}
/** Any instruction without immediates: `ty` is the type of its result. Shift counts and splatted scalars may be numbers. */
export function vop(name: string, ty: Ty, ...operands: readonly Arg[]): Expr {
  const code = subopcode(name);
  const scalar: Ty = name.startsWith('i64x2_splat') ? 'i64' : 'i32';
  const values = operands.map((o) => lift(scalar, o));
  return new Expr(ty, (b) => {
    for (const v of values) v.gen(b);
    b.simd(code);
  });
}
export const vector = (name: string, ...operands: readonly Arg[]): Expr => vop(name, 'v128', ...operands);
export const vconst = (bytes: ArrayLike<number>): Expr => new Expr('v128', (b) => void b.v128Const(bytes));
/** Lanes 0-15 of the first, 16-31 of the second. */
export const shuffle = (x: Expr, y: Expr, lanes: ArrayLike<number>): Expr =>
  new Expr('v128', (b) => {
    x.gen(b);
    y.gen(b);
    b.shuffle(lanes);
  });
/** 16 bytes, or one element in all lanes: `v128_load`, `v128_load8_splat` and so on. */
export const vload = (addr: Expr, name = 'v128_load', offset = 0): Expr =>
  new Expr('v128', (b) => {
    addr.gen(b);
    b.simdLoad(subopcode(name), 0, offset);
  });
export function vstore(f: Fn, addr: Expr, value: Expr): void {
  addr.gen(f.b);
  value.gen(f.b);
  f.b.simdStore(SIMD.v128_store, 0, 0);
}
/** Sixteen bytes from one function of the position. */
export const bytes = (of: (n: number) => number): Uint8Array => Uint8Array.from({ length: 16 }, (_, n) => of(n));
export const splatBytes = (v: number): Expr => vconst(bytes(() => v));
