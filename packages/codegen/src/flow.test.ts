import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { analyseFlow } from './flow.ts';

describe('flow analysis', () => {
  it('finds loops and merges of a diamond inside a loop', () => {
    const f = analyseFlow(5, [[1], [2, 3], [4], [4], [1, -1]]);
    expect([...f.isLoop]).toEqual([0, 1, 0, 0, 0]);
    expect([...f.isMerge]).toEqual([0, 0, 0, 0, 1]);
    expect(f.mergeChildren[1]).toEqual([4]);
  });

  it('cuts an edge into the middle of a loop', () => {
    // 0 -> 1, 0 -> 2; 1 -> 2; 2 -> 1: two entries
    const f = analyseFlow(3, [[1, 2], [2], [1]]);
    expect(f.successors.flat().filter((s) => s === -1)).toHaveLength(1);
  });

  it('leaves a reducible graph whose dominators agree with their definition', () => {
    const graph = fc
      .integer({ min: 1, max: 12 })
      .chain((n) =>
        fc.array(fc.array(fc.integer({ min: -1, max: n - 1 }), { maxLength: 3 }), { minLength: n, maxLength: n }),
      );
    fc.assert(
      fc.property(graph, (edges) => {
        const n = edges.length;
        const f = analyseFlow(n, edges);
        const reach = (without: number): Set<number> => {
          const seen = new Set<number>();
          const go = (k: number): void => {
            if (k < 0 || k === without || seen.has(k)) return;
            seen.add(k);
            f.successors[k].forEach(go);
          };
          go(0);
          return seen;
        };
        for (const b of f.order) {
          for (const a of f.order) {
            const dominates = a === b || a === 0 || !reach(a).has(b);
            let k = b;
            while (k !== a && k !== 0) k = f.idom[k];
            expect(k === a).toBe(dominates);
          }
          // every retreating edge goes to a dominator: that is what reducible means
          for (const s of f.successors[b]) {
            if (s >= 0 && f.rpo[s] <= f.rpo[b]) expect(reach(s).has(b) && s !== b && s !== 0).toBe(false);
          }
        }
      }),
      { numRuns: 400, seed: 1 },
    );
  });
});
