import { EXIT_KIND, EXIT_RECORDS, INDIRECT_SAMPLE } from '@emkit/codegen';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { countdownOf, ExitRecords } from './exit-records.ts';

const MEMORY = new ArrayBuffer(EXIT_RECORDS.BASE + EXIT_RECORDS.COUNT * EXIT_RECORDS.SIZE);

it('no two runs share a record, and all are one run again when all have been given back', () => {
  const step = fc.record({ take: fc.boolean(), count: fc.integer({ min: 1, max: 2000 }), which: fc.nat(1000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const records = new ExitRecords(MEMORY);
      const taken: { first: number; count: number }[] = [];
      for (const { take, count, which } of steps) {
        if (take || taken.length === 0) {
          const first = records.take(count);
          expect(first).toBeGreaterThan(0);
          expect(first + count).toBeLessThanOrEqual(EXIT_RECORDS.COUNT);
          for (const other of taken)
            expect(first + count <= other.first || other.first + other.count <= first).toBe(true);
          taken.push({ first, count });
        } else {
          // a part first, as who has taken too many does
          const { first, count: all } = taken.splice(which % taken.length, 1)[0];
          const used = which % (all + 1);
          records.give(first + used, all - used);
          records.give(first, used);
        }
      }
      for (const { first, count } of taken) records.give(first, count);
      expect(records.take(EXIT_RECORDS.COUNT - 1)).toBe(1);
      expect(records.take(1)).toBe(-1);
    }),
    { numRuns: 200 },
  );
});

it('the state of a run tells whether one of its exits was counted', () => {
  const records = new ExitRecords(MEMORY);
  const first = records.take(3);
  const exits = [EXIT_KIND.JUMP, 0x1000, 1, EXIT_KIND.INDIRECT, 0, 2, EXIT_KIND.COLD, 0x1004, 3];
  records.write(first, Int32Array.from(exits), countdownOf({ generation: 0, grows: true, sampled: true }));
  const before = records.state(first, 3);
  expect(records.state(first, 3)).toBe(before);
  const countdown = (n: number): number =>
    (EXIT_RECORDS.BASE + (first + n) * EXIT_RECORDS.SIZE + EXIT_RECORDS.COUNTDOWN) >> 2;
  const words = new Int32Array(MEMORY);
  for (const n of [0, 1, 2]) {
    words[countdown(n)]--;
    expect(records.state(first, 3)).not.toBe(before);
    words[countdown(n)]++;
  }
  // of indirect exits fewer are counted, so that fewer are waited for
  expect(words[countdown(1)]).toBe(Math.ceil(words[countdown(0)] / INDIRECT_SAMPLE));
});
