/**
 * What the tier fuzzer has found, kept: each program must behave the same in all ways of running it. Add a row per
 * finding, with what was wrong.
 */
import type { OptimisationName } from '@emkit/ir';
import { describe, expect, it } from 'vitest';
import type { Mode } from '../fuzz/modes.ts';
import { TierComparison } from '../fuzz/tiers.ts';
import type { Case } from '../fuzz/tiers.ts';

interface Finding {
  readonly wrong: string;
  readonly mode: Mode;
  readonly stateSeed: number;
  readonly entry: number;
  readonly code: string;
  readonly off?: readonly OptimisationName[];
}

const FINDINGS: readonly Finding[] = [
  {
    wrong: 'cold: XCHG after a computed register read the new value (get between definition and set)',
    mode: 'flat32',
    stateSeed: 1904171823,
    entry: 0,
    code: 'c4e219f7c491',
  },
  { wrong: 'the same after STR', mode: 'flat32', stateSeed: 3482373230, entry: 0, code: '0f86000000000f00c892' },
  {
    wrong: 'the same after DEC of a byte register',
    mode: 'flat32',
    stateSeed: 395337289,
    entry: 0,
    code: 'fec991d394cee0ffffff',
  },
  {
    wrong: 'hot: FPREM left a bit of the helper above the status word',
    mode: 'seg32',
    stateSeed: 89466190,
    entry: 0,
    code: 'ddc4d9f8',
  },
  { wrong: 'the same in FPREM1', mode: 'vm86', stateSeed: 2684681430, entry: 0xfe7, code: '66d0dad9f5' },
  {
    wrong: 'hot: CVTTPD2PI in a loop, block flags (a permission only) lost',
    mode: 'ring0',
    stateSeed: 2508193333,
    entry: 0xfae,
    code: '660fdf0560d30020660f2cf40fa10f85ecffffff',
  },
  {
    wrong: 'hot: a region held code after its block, and did not hear when that changed',
    mode: 'real',
    stateSeed: 1354656675,
    entry: 0xff5,
    code: '64c606fd0fa1d683c001900f38f168c02c3c81c1cc00d3f794c1446280c1975af8fec095604d9e0fcdfdf4',
  },
  {
    wrong: 'alone: ENTER with 31 levels and segment checks did not fit the room for one instruction',
    mode: 'seg32',
    stateSeed: 2862505868,
    entry: 0,
    code: 'c8ffffff',
  },
  { wrong: 'the same in 16-bit code', mode: 'code16', stateSeed: 2862505868, entry: 0, code: 'c8ffffff' },
];

const caseOf = (f: Finding): Case => ({
  off: f.off ?? [],
  mode: f.mode,
  stateSeed: f.stateSeed,
  entry: f.entry,
  program: {
    bits: f.mode === 'flat32' || f.mode === 'seg32' || f.mode === 'ring0' ? 32 : 16,
    items: [{ bytes: (f.code.match(/../g) ?? []).map((x) => parseInt(x, 16)) }],
    labels: [],
  },
});

describe('findings of the tier fuzzer', () => {
  const comparison = new TierComparison();
  for (const f of FINDINGS) {
    it(`${f.wrong} (${f.mode} ${f.code.slice(0, 40)})`, () => {
      expect(comparison.check(caseOf(f))).toEqual([]);
    });
  }
});
