import { EXIT_RECORDS } from '@emkit/codegen';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ExitRecords } from './exit-records.ts';

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
