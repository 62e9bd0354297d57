/**
 * Control-flow analysis of a region: reverse postorder, dominators, loops, merge points; edges that would make the
 * graph irreducible are cut (they become exits). Input is small (tens of blocks), so plain arrays suffice.
 *
 * Dominators: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm". Structuring follows Ramsey,
 * "Beyond Relooper" (ICFP 2022): a reducible graph needs only the dominator tree.
 */

export interface Flow {
  /** Blocks in reverse postorder; unreachable ones are absent. */
  readonly order: readonly number[];
  /** Position in `order`, -1 when unreachable. */
  readonly rpo: Int32Array;
  readonly idom: Int32Array;
  /** Dominator-tree children that need a label (two or more forward predecessors), by rising position. */
  readonly mergeChildren: readonly number[][];
  readonly isMerge: Uint8Array;
  readonly isLoop: Uint8Array;
  /** Successors after cutting: same shape as the input, -1 where an edge was cut. */
  readonly successors: readonly number[][];
}

export function analyseFlow(count: number, edges: readonly (readonly number[])[]): Flow {
  const successors = edges.map((list) => [...list]);
  for (;;) {
    const { order, rpo } = reversePostorder(count, successors);
    const idom = dominators(count, successors, order, rpo);
    const cut = findIrreducible(successors, order, rpo, idom);
    if (cut === null) return finishFlow(count, successors, order, rpo, idom);
    successors[cut.from][cut.slot] = -1;
  }
}

function reversePostorder(count: number, successors: readonly number[][]): { order: number[]; rpo: Int32Array } {
  const state = new Uint8Array(count);
  const post: number[] = [];
  const stack: number[] = [0];
  const nextSlot = new Int32Array(count);
  state[0] = 1;
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
  count: number,
  successors: readonly number[][],
  order: readonly number[],
  rpo: Int32Array,
): Int32Array {
  const preds: number[][] = Array.from({ length: count }, () => []);
  for (const n of order) for (const s of successors[n]) if (s >= 0) preds[s].push(n);
  const idom = new Int32Array(count).fill(-1);
  idom[0] = 0;
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
      if (n === 0) continue;
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
    if (n === 0) return false;
  }
}

function findIrreducible(
  successors: readonly number[][],
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

function finishFlow(count: number, successors: number[][], order: number[], rpo: Int32Array, idom: Int32Array): Flow {
  const forward = new Int32Array(count);
  const isLoop = new Uint8Array(count);
  for (const n of order) {
    for (const s of successors[n]) {
      if (s < 0) continue;
      if (rpo[s] <= rpo[n]) isLoop[s] = 1;
      else forward[s]++;
    }
  }
  const isMerge = new Uint8Array(count);
  const mergeChildren: number[][] = Array.from({ length: count }, () => []);
  for (const n of order) {
    if (n === 0 || forward[n] < 2) continue;
    isMerge[n] = 1;
    mergeChildren[idom[n]].push(n); // `order` is rising, so each list is too
  }
  return { order, rpo, idom, mergeChildren, isMerge, isLoop, successors };
}
