/**
 * Differential fuzzing of the two tiers: `npm run fuzz -- x86-tiers --seconds N --seed S`. A finding is shrunk and shown
 * as state differences (cold/other), the optimisations that were off, and a disassembly; keep its mode, stateSeed, entry, code and what
 * was off in test/findings.test.ts.
 */
import { contextOf, MODES } from './modes.ts';
import { randomProgram } from './program.ts';
import { Random } from './random.ts';
import { describeCase, randomlyOff, TierComparison } from './tiers.ts';
import type { Case } from './tiers.ts';

/** Programs that run with the same optimisations before others are drawn: that needs new processors. */
const PROGRAMS_PER_CHOICE = 10;

export function randomCase(seed: number): Case {
  const r = new Random(seed);
  const mode = r.pick([...MODES, 'flat32', 'flat32'] as const);
  const program = randomProgram(r, contextOf(mode));
  // at the start of a page, or across its end
  const entry = r.chance(70) ? 0 : 0x1000 - 1 - r.int(120);
  return { mode, stateSeed: r.u32(), entry, program };
}

/** Findings of one call at most: the first tells most. */
const MAX_FINDINGS = 3;

export const target = {
  name: 'x86-tiers',
  run(seed: number, iterations: number): { inputs: number; findings: string[] } {
    const comparison = new TierComparison();
    const findings: string[] = [];
    let inputs = 0;
    for (; inputs < iterations && findings.length < MAX_FINDINGS; inputs++) {
      const first = (Math.imul(seed, 0x9e3779b1) + inputs - (inputs % PROGRAMS_PER_CHOICE)) >>> 0;
      const off = randomlyOff(new Random(first ^ 0x0ff));
      const c = { ...randomCase((Math.imul(seed, 0x9e3779b1) + inputs) >>> 0), off };
      const differences = comparison.check(c);
      if (differences.length === 0) continue;
      const alone = comparison.checkFresh(c);
      if (alone.length === 0)
        findings.push(
          `input ${inputs} of seed ${seed}, only after the inputs before it\n${describeCase(c, differences)}`,
        );
      else {
        const small = comparison.shrink(c);
        findings.push(`input ${inputs} of seed ${seed}\n${describeCase(small, comparison.checkFresh(small))}`);
      }
      comparison.reset();
    }
    return { inputs, findings };
  },
};
