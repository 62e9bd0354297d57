/**
 * Control-flow analysis of a region: reverse postorder, dominators, loops, merge points. A region with more than one
 * entry has a root before them that chooses; an edge that would make the graph irreducible makes its target an entry
 * and goes by way of the root. Input is small (tens of blocks), so plain arrays suffice.
 *
 * Dominators: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm". Structuring follows Ramsey,
 * "Beyond Relooper" (ICFP 2022): a reducible graph needs only the dominator tree.
 */

export interface Flow {
  /** The only entry, or a block of its own (number `count`) that chooses among several. */
  readonly root: number;
  /** In the order in which they are numbered for the root; the first ones are those that were asked for. */
  readonly entries: readonly number[];
  /** Blocks in reverse postorder, the root first; unreachable ones are absent. */
  readonly order: readonly number[];
  /** Position in `order`, -1 when unreachable. */
  readonly rpo: Int32Array;
  readonly idom: Int32Array;
  /** Dominator-tree children that need a label (entries, and what has two or more forward predecessors), by rising position. */
  readonly mergeChildren: readonly number[][];
  readonly isMerge: Uint8Array;
  readonly isLoop: Uint8Array;
  /** Successors: the input's, -1 where an edge goes by way of the root; the root's own are the entries. */
  readonly successors: readonly number[][];
  /** For the same edges, the number of the entry that they go to by way of the root, or -1. */
  readonly byRoot: readonly number[][];
}

/** `entries`: blocks at which the region is entered, the first of them above all. */
export function analyseFlow(
  count: number,
  edges: readonly (readonly number[])[],
  entries: readonly number[] = [0],
): Flow {
  const all = [...entries];
  const successors = edges.map((list) => [...list]);
  const byRoot = edges.map((list) => list.map(() => -1));
  for (;;) {
    const root = all.length === 1 ? all[0] : count;
    const graph = root === count ? [...successors, all] : successors;
    const { order, rpo } = reversePostorder(graph, root);
    const idom = dominators(graph, root, order, rpo);
    const odd = findIrreducible(graph, root, order, rpo, idom);
    if (odd === null) return finishFlow({ root, entries: all, order, rpo, idom, successors: graph, byRoot });
    const target = successors[odd.from][odd.slot];
    if (!all.includes(target)) all.push(target);
    successors[odd.from][odd.slot] = -1;
    byRoot[odd.from][odd.slot] = all.indexOf(target);
  }
}

function reversePostorder(successors: readonly number[][], root: number): { order: number[]; rpo: Int32Array } {
  const count = successors.length;
  const state = new Uint8Array(count);
  const post: number[] = [];
  const stack: number[] = [root];
  const nextSlot = new Int32Array(count);
  state[root] = 1;
  while (stack.length > 0) {
    const n = stack[stack.length - 1];
    const list = successors[n];
    if (nextSlot[n] < list.length) {
      const s = list[nextSlot[n]++];
      if (s >= 0 && state[s] === 0) {
        state[s] = 1;
        stack.push(s);
      }
    } else {
      post.push(n);
      stack.pop();
    }
  }
  const order = post.reverse();
  const rpo = new Int32Array(count).fill(-1);
  order.forEach((n, k) => (rpo[n] = k));
  return { order, rpo };
}

function dominators(
  successors: readonly number[][],
  root: number,
  order: readonly number[],
  rpo: Int32Array,
): Int32Array {
  const count = successors.length;
  const preds: number[][] = Array.from({ length: count }, () => []);
  for (const n of order) for (const s of successors[n]) if (s >= 0) preds[s].push(n);
  const idom = new Int32Array(count).fill(-1);
  idom[root] = root;
  const intersect = (a: number, b: number): number => {
    while (a !== b) {
      while (rpo[a] > rpo[b]) a = idom[a];
      while (rpo[b] > rpo[a]) b = idom[b];
    }
    return a;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const n of order) {
      if (n === root) continue;
      let d = -1;
      for (const p of preds[n]) if (idom[p] >= 0) d = d < 0 ? p : intersect(p, d);
      if (idom[n] !== d) {
        idom[n] = d;
        changed = true;
      }
    }
  }
  return idom;
}

/** `a` dominates `b`. */
function dominates(idom: Int32Array, a: number, b: number): boolean {
  for (let n = b; ; n = idom[n]) {
    if (n === a) return true;
    if (n === idom[n]) return false;
  }
}

function findIrreducible(
  successors: readonly number[][],
  root: number,
  order: readonly number[],
  rpo: Int32Array,
  idom: Int32Array,
): { from: number; slot: number } | null {
  for (const n of order) {
    for (let k = 0; k < successors[n].length; k++) {
      const s = successors[n][k];
      if (s >= 0 && rpo[s] <= rpo[n] && !dominates(idom, s, n)) return { from: n, slot: k };
    }
  }
  return null;
}

function finishFlow(graph: Omit<Flow, 'mergeChildren' | 'isMerge' | 'isLoop'>): Flow {
  const { root, entries, order, rpo, idom, successors, byRoot } = graph;
  const count = successors.length;
  const forward = new Int32Array(count);
  const isLoop = new Uint8Array(count);
  for (const n of order) {
    for (const s of successors[n]) {
      if (s < 0) continue;
      if (rpo[s] <= rpo[n]) isLoop[s] = 1;
      else forward[s]++;
    }
    if (byRoot[n]?.some((entry) => entry >= 0)) isLoop[root] = 1;
  }
  const isMerge = new Uint8Array(count);
  const mergeChildren: number[][] = Array.from({ length: count }, () => []);
  for (const n of order) {
    if (n === root || (forward[n] < 2 && !entries.includes(n))) continue;
    isMerge[n] = 1;
    mergeChildren[idom[n]].push(n); // `order` is rising, so each list is too
  }
  return { ...graph, mergeChildren, isMerge, isLoop };
}
