/** A bounded run of the tier fuzzer, and proof that it sees differences, reaches the hot tier and gets far in programs. */
import { describe, expect, it } from 'vitest';
import { EXIT } from '@emkit/accel-tcg';
import { CpuBench } from '@emkit/cpu-testbed';
import { codeOrigin, contextOf, enter, MODES, prepare } from '../fuzz/modes.ts';
import { assemble, randomProgram } from '../fuzz/program.ts';
import { Random } from '../fuzz/random.ts';
import { TierComparison } from '../fuzz/tiers.ts';
import { target } from '../fuzz/x86-tiers.fuzz.ts';

describe('tier fuzzer', () => {
  it('finds no difference between the tiers', () => {
    const { inputs, findings } = target.run(1, 80);
    expect(findings.join('\n\n')).toBe('');
    expect(inputs).toBe(80);
  });

  it('makes the same program from the same seed', () => {
    for (const mode of MODES) {
      const bytes = (): Uint8Array => assemble(randomProgram(new Random(7), contextOf(mode)), codeOrigin(mode));
      expect(bytes()).toEqual(bytes());
    }
  });

  it.each(MODES)('programs run in mode %s, and compiled code takes part', (mode) => {
    const bench = new CpuBench({ ramBytes: 1 << 20, tier: 'hot' });
    prepare(bench);
    // 50 times: inc eax; dec word/dword [counter]; jnz
    const wide = contextOf(mode).bits === 32;
    const at = contextOf(mode).data + 0x100;
    const address = [at & 0xff, (at >> 8) & 0xff, ...(wide ? [(at >> 16) & 0xff, at >>> 24] : [])];
    const direct = wide ? 5 : 6;
    const code = [
      0xb8,
      0,
      0,
      ...(wide ? [0, 0] : []),
      0xc7,
      direct,
      ...address,
      50,
      0,
      ...(wide ? [0, 0] : []),
      0x40,
      0xff,
      8 | direct,
      ...address,
    ];
    const body = 1 + 2 + address.length;
    enter(bench, mode, new Random(1), Uint8Array.from([...code, 0x75, (-body - 2) & 0xff, 0xf4]), 0);
    let reason = bench.run(40);
    while (reason === EXIT.SLICE) reason = bench.run(40);
    expect(reason).toBe(EXIT.HALTED);
    expect(bench.cpu.reg(0) & 0xffff).toBe(50);
    expect(bench.tcg.hot.stats.regions).toBeGreaterThan(0);
  });

  it('a slice of one instruction gets somewhere', () => {
    const bench = new CpuBench({ ramBytes: 1 << 20, tier: 'cold' });
    prepare(bench);
    enter(bench, 'flat32', new Random(1), Uint8Array.of(0x40, 0x40, 0x40, 0x40, 0xf4), 0);
    let slices = 0;
    while (bench.run(1) === EXIT.SLICE && slices < 100) slices++;
    expect(slices).toBeLessThan(20);
  });

  it.each(['cold', 'hot'] as const)(
    'a guest that does nothing but fault comes to the end of its slice (%s)',
    (tier) => {
      const bench = new CpuBench({ ramBytes: 1 << 20, tier });
      prepare(bench);
      // real mode: the handler of #UD is an undefined opcode itself
      enter(bench, 'real', new Random(1), Uint8Array.of(0x0f, 0x0b), 0);
      bench.poke(0x600 + 6 * 4, [0x0f, 0x0b]);
      for (let n = 0; n < 5; n++) expect(bench.run(1000)).toBe(EXIT.SLICE);
      expect(bench.tcg.retired).toBeGreaterThan(4000);
    },
  );

  it('reports a difference when there is one', () => {
    // RDTSC tells instructions retired, which one-instruction blocks count differently from whole ones
    const comparison = new TierComparison();
    const program = { bits: 32, items: [{ bytes: [0x90, 0x90, 0x0f, 0x31, 0x90, 0x90, 0xf4] }], labels: [] } as const;
    expect(comparison.check({ mode: 'flat32', stateSeed: 4, entry: 0, program }).join()).toContain('gpr0');
  });
});
