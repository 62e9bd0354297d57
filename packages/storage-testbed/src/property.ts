/** Shadow programs under fast-check: slower than seeds, but a failure arrives as the shortest program that shows it. */
import fc from 'fast-check';
import { runShadow } from './engines.ts';
import type { ImageSetup } from './image-setup.ts';
import type { Draw } from './operation.ts';

const draw: fc.Arbitrary<Draw> = fc.record({
  kind: fc.nat(99),
  at: fc.nat(0x7fffffff),
  length: fc.nat(0xffff),
  tag: fc.nat(0xffff),
  shape: fc.nat(3),
});

export async function checkShadowProperty(setup: ImageSetup, runs: number, seed = 1): Promise<void> {
  const program = fc.array(fc.array(draw, { minLength: 1, maxLength: 4 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(program, async (steps) => {
      await runShadow(setup, steps);
    }),
    { numRuns: runs, seed },
  );
}
