/** Copies a node to a target and keeps it equal, until it is told to complete; then users of the node go on with the target. */
import { BlockError } from '@emkit/storage';
import { BitmapCopy } from './bitmap-copy.ts';
import type { BlockNode } from './block-node.ts';
import { chainStatus } from './chain-status.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import type { JobRequest } from './job.ts';
import { chainCopier, Undo, type PreparedJob } from './job-parts.ts';
import type { JobRun } from './job-run.ts';

const GRANULARITY = 65536;

export function prepareMirror(request: JobRequest & { type: 'mirror' }): PreparedJob {
  const { node, target, sync, automatic = false, keepSource = false } = request;
  if (node === target || node.uses(target) || target.uses(node))
    throw new BlockError('invalid-option', 'source and target of a mirror are one chain');
  if (target.write === undefined) throw new BlockError('read-only', `Block node '${target.name}' is read-only`);
  if (target.size < node.size)
    throw new BlockError(
      'invalid-option',
      `the target of ${target.size} bytes is smaller than the source of ${node.size}`,
    );
  const undo = new Undo();
  undo.attach(node, 'mirror job', ['read'], ['read', 'write']);
  const targetEdge = undo.attach(target, 'mirror job', ['write', 'resize'], ['read']);
  return {
    cleanUp: () => undo.run(),
    async body(run) {
      const todo = new DirtyBitmap(node.size, Math.max(GRANULARITY, target.clusterSize ?? 0));
      await node.graph.drained([node], () => undo.add(node.trackWrites(todo)));
      if (sync === 'full') todo.set(0, node.size);
      if (sync === 'top') await markTop(run, node, todo);
      await keepEqual(run, node, todo, {
        target: () => target,
        targetIsZero: request.targetIsZero,
        automatic,
        pivot: async () => {
          await target.flush?.();
          if (keepSource) return;
          targetEdge.detach();
          await node.graph.drained([target], () => node.exchange(target));
        },
      });
    },
  };
}

interface Mirroring {
  readonly target: () => BlockNode;
  readonly targetIsZero?: boolean | undefined;
  readonly automatic: boolean;
  /** With the node drained and equal to the target. */
  readonly pivot: () => Promise<void>;
  readonly base?: BlockNode | undefined;
}

/** Copies until nothing is dirty, is ready, and copies what becomes dirty, until completion. Also the end of an active commit. */
export async function keepEqual(run: JobRun, node: BlockNode, todo: DirtyBitmap, how: Mirroring): Promise<void> {
  // while everything is new the target's zeroes are; later a zero may cover data that was copied before
  let isFirst = true;
  const first = chainCopier({
    size: node.size,
    source: () => node.image,
    target: how.target,
    base: how.base,
    targetIsZero: how.targetIsZero,
  });
  const later = chainCopier({ size: node.size, source: () => node.image, target: how.target, base: how.base });
  const copied = new DirtyBitmap(node.size, todo.granularity);
  const copier = {
    ...later,
    data: (offset: number, buffer: Uint8Array) => {
      copied.set(offset, buffer.length);
      return later.data(offset, buffer);
    },
    zero: (offset: number, length: number) => {
      const touched = copied.next(offset);
      const isNew = isFirst && (touched === undefined || touched.offset >= offset + length);
      return isNew ? first.zero(offset, length) : later.zero(offset, length);
    },
  };
  const copy = new BitmapCopy(run, todo, copier);
  todo.onDirty = () => run.wake();
  try {
    await copy.drain();
    isFirst = false;
    await how.target().flush?.({ signal: run.signal });
    while (!how.automatic && !run.isCompleting) {
      run.becomeReady();
      // what became dirty since the last look has called nobody
      if (todo.isEmpty && !run.isCompleting) await run.standBy();
      await copy.drain();
    }
    await node.graph.drained([node], () =>
      run.finish(async () => {
        await copy.drain(true);
        await how.pivot();
      }),
    );
  } finally {
    todo.onDirty = undefined;
  }
}

/** Marks what the top image itself has. */
async function markTop(run: JobRun, node: BlockNode, todo: DirtyBitmap): Promise<void> {
  const base = node.children.get('backing');
  for (let at = 0; at < node.size;) {
    await run.point(0);
    const status = await chainStatus(node.image, at, node.size - at, { base });
    if (base === undefined || status.allocated) todo.set(at, status.length);
    at += status.length;
  }
}
