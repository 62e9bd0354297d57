/** Op ids as the builder picks them: by type, by count of arguments, by kind of access. */
import { opId } from './ops.ts';

/** Set and get by IrType; there are no globals of f32 and f64. */
export const GET: readonly number[] = [opId('get_i32'), opId('get_i64'), -1, -1, opId('get_v128')];
export const SET: readonly number[] = [opId('set_i32'), opId('set_i64'), -1, -1, opId('set_v128')];
export const CALLW: readonly number[] = [0, 1, 2, 3, 4, 5, 6].map((n) => opId(`callw${n}`));
/** By number of arguments, from 2 on. */
export const CALLD: readonly number[] = [-1, -1, opId('calld2'), opId('calld3')];
export const CALLJ: readonly number[] = [0, 1, 2, 3, 4].map((n) => opId(`callj${n}`));

/** Ids of an op that exists for i32 and i64. */
const pair = (n: string): readonly [number, number] => [opId(`i32_${n}`), opId(`i64_${n}`)];
export const P = {
  add: pair('add'),
  sub: pair('sub'),
  mul: pair('mul'),
  and: pair('and'),
  or: pair('or'),
  xor: pair('xor'),
  shl: pair('shl'),
  shr: pair('shr_u'),
  sar: pair('shr_s'),
  rotl: pair('rotl'),
  rotr: pair('rotr'),
  divS: pair('div_s'),
  divU: pair('div_u'),
  remS: pair('rem_s'),
  remU: pair('rem_u'),
  eq: pair('eq'),
  ne: pair('ne'),
  ltS: pair('lt_s'),
  ltU: pair('lt_u'),
  gtS: pair('gt_s'),
  gtU: pair('gt_u'),
  leS: pair('le_s'),
  leU: pair('le_u'),
  geS: pair('ge_s'),
  geU: pair('ge_u'),
  eqz: pair('eqz'),
  clz: pair('clz'),
  ctz: pair('ctz'),
  popcnt: pair('popcnt'),
  bswap: pair('bswap'),
  ext8s: pair('extend8_s'),
  ext16s: pair('extend16_s'),
} as const;
export const SELECT: readonly number[] = ['i32_select', 'i64_select', 'f32_select', 'f64_select', 'v128_select'].map(opId);
export const WRAP = opId('i32_wrap_i64');
export const EXT_S = opId('i64_extend_i32_s');
export const EXT_U = opId('i64_extend_i32_u');

export type LoadKind = 'ld8u' | 'ld8s' | 'ld16u' | 'ld16s' | 'ld32' | 'ld64' | 'ld128';
export type StoreKind = 'st8' | 'st16' | 'st32' | 'st64' | 'st128';
const memIds = (n: string): readonly [number, number] => [opId(n), opId(`${n}_a64`)];
export const LOAD: Readonly<Record<LoadKind, readonly [number, number]>> = {
  ld8u: memIds('ld8u'),
  ld8s: memIds('ld8s'),
  ld16u: memIds('ld16u'),
  ld16s: memIds('ld16s'),
  ld32: memIds('ld32'),
  ld64: memIds('ld64'),
  ld128: memIds('ld128'),
};
export const COPY: readonly [number, number] = memIds('copy');
export const FILL: readonly [number, number] = memIds('fill');
export const STORE: Readonly<Record<StoreKind, readonly [number, number]>> = {
  st8: memIds('st8'),
  st16: memIds('st16'),
  st32: memIds('st32'),
  st64: memIds('st64'),
  st128: memIds('st128'),
};
