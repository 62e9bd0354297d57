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

  it('makes a block an entry where a loop has two ways in', () => {
    // 0 -> 1, 0 -> 2; 1 -> 2; 2 -> 1
    const f = analyseFlow(3, [[1, 2], [2], [1]]);
    expect(f.root).toBe(3);
    expect(f.entries).toHaveLength(2);
    expect(f.byRoot.flat().filter((entry) => entry >= 0)).toEqual([1]);
    expect(f.isLoop[f.root]).toBe(1);
  });

  it('has labels for all entries', () => {
    const f = analyseFlow(3, [[1], [2], [-1]], [0, 2]);
    expect(f.order[0]).toBe(3);
    expect([...f.isMerge]).toEqual([1, 0, 1, 0]);
    expect(f.mergeChildren[3]).toEqual([0, 2]);
    expect(f.isLoop[3]).toBe(0);
  });

  it('leaves a reducible graph of all edges, whose dominators agree with their definition', () => {
    const graph = fc.integer({ min: 1, max: 12 }).chain((n) => {
      const block = fc.integer({ min: 0, max: n - 1 });
      const edges = fc.array(fc.array(fc.integer({ min: -1, max: n - 1 }), { maxLength: 3 }), {
        minLength: n,
        maxLength: n,
      });
      return fc.tuple(edges, fc.uniqueArray(block, { minLength: 1, maxLength: 4 }));
    });
    fc.assert(
      fc.property(graph, ([edges, entries]) => {
        const f = analyseFlow(edges.length, edges, entries);
        const { root } = f;
        expect(f.entries.slice(0, entries.length)).toEqual(entries);
        expect(root).toBe(f.entries.length === 1 ? f.entries[0] : edges.length);
        edges.forEach((list, n) =>
          list.forEach((s, k) => {
            const byRoot = f.byRoot[n][k];
            expect(byRoot >= 0 ? f.entries[byRoot] : f.successors[n][k]).toBe(s);
          }),
        );
        const reach = (without: number): Set<number> => {
          const seen = new Set<number>();
          const go = (k: number): void => {
            if (k < 0 || k === without || seen.has(k)) return;
            seen.add(k);
            f.successors[k].forEach(go);
          };
          go(root);
          return seen;
        };
        for (const b of f.order) {
          for (const a of f.order) {
            const dominates = a === b || a === root || !reach(a).has(b);
            let k = b;
            while (k !== a && k !== root) k = f.idom[k];
            expect(k === a).toBe(dominates);
          }
          // every retreating edge goes to a dominator: that is what reducible means
          for (const s of f.successors[b]) {
            if (s >= 0 && f.rpo[s] <= f.rpo[b]) expect(reach(s).has(b) && s !== b && s !== root).toBe(false);
          }
        }
      }),
      { numRuns: 400, seed: 1 },
    );
  });
});
