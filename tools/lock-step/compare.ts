/**
 * Do two processors agree after an instruction? Flags that the instruction leaves undefined are left out (SDM Vol. 1 Appendix A, Vol. 2 under the
 * mnemonics), and so are answers that come from outside: clocks, ports, random numbers, CPUID. A system register counts from the moment on
 * at which it was equal, or changed: at the start the two machines' firmware has left different ones.
 */
import type { CpuState } from './cpu-state.ts';

const CF = 0x1;
const PF = 0x4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;
/** Arithmetic flags, TF, IF, DF, IOPL, NT, VM, AC: not RF, which only faults show. */
const COMPARED_FLAGS = 0x67fd5;

/** By the beginning of the mnemonic in AT&T syntax. */
const UNDEFINED_FLAGS: readonly (readonly [RegExp, number])[] = [
  [/^(and|or|xor|test)[bwlq]? /, AF],
  [/^(andn|bls(r|i|msk))[lq]? /, AF | PF],
  [/^bextr/, AF | PF | SF],
  [/^bzhi/, AF | PF],
  [/^(sh[lr]d?|sa[lr])[bwlq]? /, AF | OF],
  [/^(ro[lr]|rc[lr])[bwlq]? /, OF],
  [/^i?mul[bwlq]? /, SF | ZF | AF | PF],
  [/^i?div[bwlq]? /, CF | PF | AF | ZF | SF | OF],
  [/^bs[fr][wlq]? /, CF | PF | AF | SF | OF],
  [/^bt[src]?[wlq]? /, PF | AF | SF | OF],
  [/^[lt]zcnt/, PF | AF | SF | OF],
  [/^da[as]/, OF],
  [/^aa[as]/, PF | ZF | SF | OF],
  [/^aa[dm]/, CF | AF | OF],
];
const FROM_OUTSIDE = /^(rdtscp?|cpuid|in[bwl]? |rep? ?ins|ins[bwl]|rdrand|rdseed|rdpmc|rdmsr|rdpid|xgetbv)/;

export const undefinedFlags = (instruction: string): number =>
  UNDEFINED_FLAGS.find(([begin]) => begin.test(`${instruction} `))?.[1] ?? 0;
export const isFromOutside = (instruction: string): boolean => FROM_OUTSIDE.test(`${instruction} `);

export class Comparison {
  /** System registers that count, and what the reference had in the others. */
  readonly #counted = new Set<string>();
  readonly #before = new Map<string, string>();

  /** What differs, a line each, after `instruction`. */
  differences(subject: CpuState, reference: CpuState, instruction: string): string[] {
    const found: string[] = [];
    const note = (name: string, got: string, want: string): void => {
      if (got !== want) found.push(`${name} ${got}, reference ${want}`);
    };
    note('code', subject.code64 ? '64-bit' : '16- or 32-bit', reference.code64 ? '64-bit' : '16- or 32-bit');
    note('IP', subject.ip, reference.ip);
    if (!isFromOutside(instruction)) {
      for (const [name, want] of reference.registers) note(name, subject.registers.get(name) ?? 'absent', want);
      const mask = COMPARED_FLAGS & ~undefinedFlags(instruction);
      note('flags', (subject.flags & mask).toString(16), (reference.flags & mask).toString(16));
    }
    for (const [name, want] of reference.system) {
      const got = subject.system.get(name) ?? 'absent';
      const before = this.#before.get(name);
      if (got === want || (before !== undefined && before !== want)) this.#counted.add(name);
      this.#before.set(name, want);
      if (this.#counted.has(name)) note(name, got, want);
    }
    return found;
  }
}
