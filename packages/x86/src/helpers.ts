/**
 * The script helpers of all parts in one list: `callj` carries an index into it. Names are unique; order is the order
 * of the parts and has no meaning outside a process.
 *
 * Arguments and results are i32. Sizes are in bytes (2, 4, 8). A 64-bit value is passed as two arguments, low and high;
 * 32-bit code leaves the high one out, which then is 0. A 64-bit **result** is the low half; its high half is in the
 * dword at ENV.SCRATCH. `nextEip` is the low half of the next RIP, within or just behind the code window: helpers that set
 * RIP carry into the window (ENV.CS_BASE) themselves. Helpers that write general registers write all 64 bits.
 *
 * - far_jmp, far_call (selector, offset, size, nextEip): with size 8 the offset's high half is in ENV.SCRATCH
 * - far_ret (size, immBytes); iret (size, nextEip); sysexit (size); sysret (size); syscall (nextEip); sysenter ()
 * - soft_int (vector, nextEip, kind); cli, sti (nextEip); popf (value, size, nextEip), pushf_value (size): RFLAGS 63:32 are 0
 * - load_seg (seg, selector); lldt, ltr (selector); lgdt, lidt (limit, baseLow, baseHigh)
 * - lar, lsl (selector, size): a 32-bit result, to be zero-extended
 * - mov_to_cr, mov_to_dr (n, low, high); mov_from_cr, mov_from_dr (n): 64-bit result; n may be 8 for CR8
 * - invlpg (low, high); invpcid (typeLow, typeHigh): the 16 bytes of the descriptor are in ENV.SCRATCH
 * - rdmsr, wrmsr, rdtsc, rdtscp, rdpmc, cpuid, xgetbv, xsetbv, rdpkru, wrpkru, monitor (): in and out by registers
 * - swapgs (); stac (), clac (); check_umip (): #GP(0) if CR4.UMIP forbids SGDT, SIDT, SLDT, SMSW, STR at this CPL
 * - read_fsgsbase (seg): 64-bit result; write_fsgsbase (seg, low, high): #UD without CR4.FSGSBASE, #GP(0) if not canonical
 * - rdrand, rdseed (size): 64-bit result, and all arithmetic flags set (CC_EFLAGS)
 * - hlt, mwait (nextEip); ins_outs (kind, size, bits, nextEip): bits 1 address size 32, 4 address size 64, 2 REP, 70H segment
 * - check_insn_breakpoint (eip); single_step (); raise (vector, error)
 *
 * CPL and #UD by mode are checked by the translator unless said otherwise; SYSCALL, SYSRET and SYSENTER, SYSEXIT check themselves.
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
