/** What the bodies of jobs share: uses of nodes that end with the job, and the copier from a chain to a target. */
import { BlockError, writable, zeroRange, type BlockImage, type Storage, type WritableStorage } from '@emkit/storage';
import type { PartCopier } from './bitmap-copy.ts';
import type { BlockNode } from './block-node.ts';
import { chainStatus } from './chain-status.ts';
import type { JobBody } from './job-run.ts';
import type { BlockEdge, Permission } from './permissions.ts';

export interface PreparedJob {
  readonly body: JobBody;
  /** Runs when the body is through, however it ended. */
  readonly cleanUp: () => Promise<void>;
}

/** Things to undo, last first. */
export class Undo {
  readonly #steps: (() => void | Promise<void>)[] = [];
  readonly #edges: BlockEdge[] = [];

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse())
      await Promise.resolve()
        .then(step)
        .catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  /** Attaches to a node until then. Throws `locked`, and has then detached from all others. */
  attach(node: BlockNode, user: string, uses: readonly Permission[], shares: readonly Permission[]): BlockEdge {
    try {
      const edge = node.attach({ user, role: 'job', uses, shares });
      this.#edges.push(edge);
      this.add(() => edge.detach());
      return edge;
    } catch (error) {
      for (const edge of this.#edges) edge.detach();
      throw error;
    }
  }
}

export const ALL: readonly Permission[] = ['read', 'write', 'resize'];

/** Images from `top` down to above `base`. Throws `invalid-option` when `base` is not below `top`, or something of the chain is not a node. */
export function imagesAbove(top: BlockNode, base: BlockNode | undefined): BlockNode[] {
  const images: BlockNode[] = [];
  for (let node: BlockNode | undefined = top; node !== base; node = node.children.get('backing')) {
    if (node === undefined)
      throw new BlockError('invalid-option', `'${base?.name}' is not in the backing chain of '${top.name}'`);
    images.push(node);
    if (node.children.get('backing') === undefined && node.backing !== undefined)
      throw new BlockError('invalid-option', `the backing file of '${node.name}' is not a node of the graph`);
  }
  return images;
}

export interface CopierOptions {
  readonly size: number;
  /** The source as it is at that time: another image after a reopen. */
  readonly source: () => BlockImage;
  readonly target: () => Storage;
  /** What only this and what is below it has is skipped. */
  readonly base?: Storage | undefined;
  readonly targetIsZero?: boolean | undefined;
  readonly compressed?: boolean | undefined;
}

export function chainCopier(how: CopierOptions): PartCopier {
  const target = (): WritableStorage => writable(how.target());
  const unit = how.compressed === true ? ((how.target() as BlockImage).clusterSize ?? 1) : 1;
  return {
    size: how.size,
    unit,
    async look(offset, length) {
      const source = how.source();
      // what was grown or shrunk meanwhile
      if (offset >= source.size) return { length, kind: 'skip' };
      const most = Math.min(length, source.size - offset);
      const status = await chainStatus(source, offset, most, { base: how.base });
      if (status.length < most && status.length % unit !== 0) {
        // compressed writes are whole clusters of the target, the source's pieces need not be
        const whole = status.length - (status.length % unit);
        if (whole === 0) return { length: Math.min(unit, most), kind: 'data' };
        return { length: whole, kind: status.zero ? 'zero' : 'data' };
      }
      if (status.zero) return { length: status.length, kind: 'zero' };
      return { length: status.length, kind: status.allocated || how.base === undefined ? 'data' : 'skip' };
    },
    async data(offset, buffer) {
      await how.source().read(offset, buffer);
      if (how.compressed === true) await compress(how.target() as BlockImage, offset, buffer);
      else await target().write(offset, buffer);
    },
    async zero(offset, length) {
      if (how.targetIsZero !== true) await zeroRange(target(), offset, length);
    },
  };
}

async function compress(target: BlockImage, offset: number, buffer: Uint8Array): Promise<void> {
  const { clusterSize } = target;
  if (target.writeCompressed === undefined || clusterSize === undefined)
    throw new BlockError('invalid-option', 'Compression is not supported for this target');
  await target.writeCompressed(offset, buffer);
}
