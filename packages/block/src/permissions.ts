/** Who does what with a node, and what it lets others do meanwhile; as QEMU's BLK_PERM. Checked when an edge is made or changed, never per request. */
import { BlockError } from '@emkit/storage';
import type { BlockNode } from './block-node.ts';

export type Permission = 'read' | 'write' | 'resize';

export interface EdgeRequest {
  /** The user, for messages: a node's name, `guest`, `mirror job`. */
  readonly user: string;
  readonly role: 'file' | 'backing' | 'data-file' | 'root' | 'job' | 'filtered';
  readonly uses: readonly Permission[];
  /** What others may do at the same time. */
  readonly shares: readonly Permission[];
  readonly parent?: BlockNode | undefined;
}

/** A use of a node. While it is there the node does not close. */
export interface BlockEdge extends EdgeRequest {
  readonly node: BlockNode;
  /** Throws `locked` when another user does not share it; then nothing has changed. */
  change(uses: readonly Permission[], shares: readonly Permission[]): void;
  detach(): void;
}

class Edge implements BlockEdge {
  readonly node: BlockNode;
  readonly user: string;
  readonly role: EdgeRequest['role'];
  parent: BlockNode | undefined;
  uses: readonly Permission[];
  shares: readonly Permission[];
  readonly #all: Set<BlockEdge>;

  constructor(node: BlockNode, all: Set<BlockEdge>, request: EdgeRequest) {
    this.node = node;
    this.user = request.user;
    this.role = request.role;
    this.parent = request.parent;
    this.uses = request.uses;
    this.shares = request.shares;
    this.#all = all;
  }

  change(uses: readonly Permission[], shares: readonly Permission[]): void {
    checkConflict(this.node, this.#all, this, uses, shares);
    this.uses = uses;
    this.shares = shares;
  }

  detach(): void {
    this.#all.delete(this);
  }
}

function checkConflict(
  node: BlockNode,
  all: ReadonlySet<BlockEdge>,
  own: BlockEdge | undefined,
  uses: readonly Permission[],
  shares: readonly Permission[],
): void {
  for (const other of all) {
    if (other === own) continue;
    const denied = uses.find((permission) => !other.shares.includes(permission));
    const needed = other.uses.find((permission) => !shares.includes(permission));
    const conflict = denied ?? needed;
    if (conflict === undefined) continue;
    const what = denied === undefined ? `uses '${conflict}'` : `does not allow '${conflict}'`;
    throw new BlockError(
      'locked',
      `Conflicts with use by ${other.user} as '${other.role}', which ${what} on ${node.name}`,
    );
  }
}

/** For `BlockNode` only. */
export function createEdge(node: BlockNode, all: Set<BlockEdge>, request: EdgeRequest): BlockEdge {
  checkConflict(node, all, undefined, request.uses, request.shares);
  const edge = new Edge(node, all, request);
  all.add(edge);
  return edge;
}

/** For `BlockNode` only: the user of the edge is another node now. */
export function adoptEdge(edge: BlockEdge, parent: BlockNode): void {
  if (edge instanceof Edge) edge.parent = parent;
}
