/**
 * The script helpers of all parts in one list: `callj` carries an index into it. Names are unique; order is the order
 * of the parts and has no meaning outside a process.
 */
import type { X86Cpu } from './cpu.ts';
import { FPU_HELPERS } from './fpu/index.ts';
import { STRING_HELPERS } from './translate/string-helpers.ts';
import { SYSTEM_HELPERS } from './system/index.ts';

/** Arguments and result are i32. A fault is thrown by `cpu.raise`. */
export type Helper = (a: number, b: number, c: number, d: number) => number;
export type HelperFactory = (cpu: X86Cpu) => Helper;

const PARTS: readonly Readonly<Record<string, HelperFactory>>[] = [SYSTEM_HELPERS, STRING_HELPERS, FPU_HELPERS];

/** Helper names by index. */
export const HELPER_NAMES: readonly string[] = PARTS.flatMap((part) => Object.keys(part));
const FACTORIES: readonly HelperFactory[] = PARTS.flatMap((part) => Object.values(part));
const INDEX = new Map(HELPER_NAMES.map((name, n) => [name, n]));
if (INDEX.size !== HELPER_NAMES.length) throw new Error('two helpers of one name');

/** Index of a helper for `IrBuilder.callj`; throws on an unknown name. */
export function helperIndex(name: string): number {
  const n = INDEX.get(name);
  if (n === undefined) throw new Error(`unknown helper '${name}'`);
  return n;
}

/** All helpers bound to one CPU, in index order. */
export function bindHelpers(cpu: X86Cpu): Helper[] {
  return FACTORIES.map((make) => make(cpu));
}
