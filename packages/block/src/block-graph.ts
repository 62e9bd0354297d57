/** The nodes that can see each other: their names, and the order in which they are drained. One per program or machine. */
import { BlockError } from '@emkit/storage';
import type { BlockNode } from './block-node.ts';
import { LIMITS } from './limits.ts';

export class BlockGraph {
  readonly #nodes = new Map<string, BlockNode>();
  #generated = 0;

  get nodes(): readonly BlockNode[] {
    return [...this.#nodes.values()];
  }

  find(name: string): BlockNode | undefined {
    return this.#nodes.get(name);
  }

  /** Throws `not-found` in QEMU's words. */
  get(name: string): BlockNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new BlockError('not-found', `Cannot find device='' nor node-name='${name}'`);
    return node;
  }

  /** For `BlockNode` only. */
  add(node: BlockNode, name: string | undefined): string {
    if (this.#nodes.size >= LIMITS.NODES)
      throw new BlockError('invalid-option', `the graph has ${LIMITS.NODES} nodes, which is the most it takes`);
    if (name !== undefined && !/^[A-Za-z][A-Za-z0-9._-]{0,30}$/.test(name))
      throw new BlockError('invalid-option', `Invalid node-name: '${name}'`);
    if (name !== undefined && this.#nodes.has(name))
      throw new BlockError('exists', `Duplicate nodes with node-name='${name}'`);
    let own = name;
    while (own === undefined) {
      const candidate = `#block${String(this.#generated++).padStart(3, '0')}`;
      if (!this.#nodes.has(candidate)) own = candidate;
    }
    this.#nodes.set(own, node);
    return own;
  }

  /** For `BlockNode` only. */
  remove(node: BlockNode): void {
    if (this.#nodes.get(node.name) === node) this.#nodes.delete(node.name);
  }

  /**
   * Runs `body` while no request is in flight in `nodes`; new ones wait. Parents are stopped before what they use, since their requests
   * need it to end.
   */
  async drained<T>(nodes: readonly BlockNode[], body: () => Promise<T> | T): Promise<T> {
    const order = [...new Set(nodes)].sort((a, b) => (a.uses(b) ? -1 : b.uses(a) ? 1 : 0));
    const stopped: BlockNode[] = [];
    try {
      for (const node of order) {
        stopped.push(node);
        await node.drainBegin();
      }
      return await body();
    } finally {
      for (const node of stopped.reverse()) node.drainEnd();
    }
  }
}
