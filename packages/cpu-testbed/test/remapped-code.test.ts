/** Code whose mapping changes: blocks are found again by what is mapped now. In both widths and tiers. */
import { CpuBench, LongBench } from '@emkit/cpu-testbed';
import { EAX } from '@emkit/x86';
import { describe, expect, it, vi } from 'vitest';

const CODE = 0x400000;
const MOV_EAX = 0xb8;
const INT3 = 0xcc;

describe.each([
  ['32-bit code', CpuBench],
  ['64-bit code', LongBench],
] as const)('%s', (_width, Bench) => {
  for (const tier of ['cold', 'hot'] as const) {
    it(`an instruction across a page border is of the second page's new mapping, tier ${tier}`, () => {
      const bench = new Bench({ tier });
      bench.protectedMode();
      const first = bench.map(CODE);
      const second = bench.map(CODE + 4096);
      const other = bench.map(CODE + 8192);
      bench.poke(first + 4094, [MOV_EAX, 0x11]);
      bench.poke(second, [0x22, 0x33, 0x44, INT3]);
      bench.poke(other, [0x66, 0x77, 0x88, INT3]);
      const run = (): number => {
        bench.enterUser();
        bench.cpu.eip = CODE + 4094;
        bench.cpu.updateHflags();
        expect(bench.runToStop()?.vector).toBe(3);
        return bench.cpu.reg(EAX) >>> 0;
      };
      for (let k = 0; k < 3; k++) expect(run()).toBe(0x44332211);
      bench.alias(CODE + 4096, other);
      for (let k = 0; k < 3; k++) expect(run()).toBe(0x88776611);
      bench.alias(CODE + 4096, second);
      expect(run()).toBe(0x44332211);
    });
  }

  it('blocks that the jump cache has lost are found without script, as long as the TLB knows their page', () => {
    const bench = new Bench({ tier: 'cold' });
    bench.protectedMode();
    // mov eax, 5; jmp to the next page; there: mov eax, 7; int3
    bench.poke(bench.map(CODE), [MOV_EAX, 5, 0, 0, 0, 0xe9, 0xf6, 0x0f, 0, 0]);
    bench.poke(bench.map(CODE + 4096), [MOV_EAX, 7, 0, 0, 0, INT3]);
    const run = (): void => {
      bench.enterUser();
      bench.cpu.eip = CODE;
      bench.cpu.updateHflags();
      expect(bench.runToStop()?.vector).toBe(3);
      expect(bench.cpu.reg(EAX)).toBe(7);
    };
    run();
    const resolve = vi.spyOn(bench.tcg.blocks, 'resolve');
    run();
    expect(resolve.mock.calls.length).toBeGreaterThan(0);
    // the same run with its mappings known: only the jump cache goes
    vi.spyOn(bench.tcg, 'flushTlb').mockImplementation(() => undefined);
    resolve.mockClear();
    bench.tcg.blocks.flushJumpCache();
    run();
    expect(resolve.mock.calls.length).toBe(0);
  });
});
