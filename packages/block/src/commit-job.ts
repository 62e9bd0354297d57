/**
 * Writes what the images from `top` down to above `base` hold into `base`. Below a running `node` the images are then dropped from the chain; when `top` is
 * `node` itself the job becomes ready, and completion lets the users of `node` go on with `base`.
 *
 * Crash safety: until the data is flushed in `base` everything reads through the images above it, which have it all; only then does a header change.
 * So a commit that ends anywhere can be begun again.
 */
import { BlockError } from '@emkit/storage';
import { BitmapCopy } from './bitmap-copy.ts';
import type { BlockNode } from './block-node.ts';
import { closeDropped, relativeName } from './chain-edit.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import type { JobRequest } from './job.ts';
import { ALL, chainCopier, imagesAbove, Undo, type PreparedJob } from './job-parts.ts';
import type { JobRun } from './job-run.ts';
import { keepEqual } from './mirror-job.ts';

const GRANULARITY = 65536;

export function prepareCommit(request: JobRequest & { type: 'commit' }): PreparedJob {
  const { node, keepChain = false } = request;
  const top = request.top ?? node;
  const base = request.base ?? top.children.get('backing');
  if (base === undefined) throw new BlockError('invalid-option', 'Image does not have a backing file');
  if (base === top) throw new BlockError('invalid-option', 'base and top are the same image');
  const images = imagesAbove(top, base);
  const lowest = images[images.length - 1] as BlockNode;
  const isActive = top === node;
  const overlay = isActive ? undefined : imagesAbove(node, top).pop();
  if (overlay !== undefined && !keepChain) {
    if (overlay.write === undefined) throw new BlockError('read-only', `Block node '${overlay.name}' is read-only`);
    if (overlay.image.setBackingReference === undefined || overlay.image.setBacking === undefined)
      throw new BlockError('invalid-option', `The driver '${overlay.driver}' cannot exchange a backing file`);
  }

  const undo = new Undo();
  try {
    for (const image of images)
      undo.attach(image, 'commit job', ['read'], image === node ? ['read', 'write'] : ['read']);
    if (overlay !== undefined) undo.attach(overlay, 'commit job', ['read'], ALL);
    // the image above reads the base while it changes: what changes is hidden by the images that are committed
    const edge = lowest.childEdge('backing');
    edge?.change(['read'], ALL);
    undo.add(() => {
      if (lowest.childEdge('backing') === edge) edge?.change(['read'], ['read']);
    });
    undo.attach(base, 'commit job', ALL, ['read']);
  } catch (error) {
    void undo.run();
    throw error;
  }
  return {
    cleanUp: () => undo.run(),
    async body(run) {
      const wasReadOnly = base.readOnly;
      if (wasReadOnly) await base.reopen(false);
      let isPivoted = false;
      undo.add(async () => {
        if (wasReadOnly && !isPivoted) await base.reopen(true);
      });
      await growBase(run, top, base);
      const todo = new DirtyBitmap(top.size, Math.max(GRANULARITY, base.clusterSize ?? 0));
      if (isActive && node.write !== undefined)
        await node.graph.drained([node], () => undo.add(node.trackWrites(todo)));
      todo.set(0, top.size);

      if (isActive) {
        await keepEqual(run, node, todo, {
          target: () => base,
          base,
          automatic: keepChain || request.automatic === true,
          pivot: async () => {
            await base.flush?.();
            if (keepChain) return;
            isPivoted = true;
            await undo.run();
            await node.graph.drained([base], () => {
              // so that the old images, which the name `base` stands for now, are a chain of their own
              lowest.setChild('backing', undefined);
              node.exchange(base);
            });
            await base.close();
          },
        });
        return;
      }
      const copier = chainCopier({ size: top.size, source: () => top.image, target: () => base, base });
      await new BitmapCopy(run, todo, copier).drain();
      await base.flush?.({ signal: run.signal });
      if (keepChain) return;
      await run.finish(async () => {
        const above = overlay as BlockNode;
        await above.image.setBackingReference?.({ name: relativeName(above, base), format: base.driver });
        await above.flush?.();
        await undo.run();
        await above.replaceBacking(base);
        await closeDropped(images);
      });
    },
  };
}

async function growBase(run: JobRun, top: BlockNode, base: BlockNode): Promise<void> {
  if (top.size <= base.size) return;
  await run.point(0);
  if (base.image.resize === undefined)
    throw new BlockError('invalid-option', `the base of ${base.size} bytes cannot be grown to ${top.size}`);
  await base.image.resize(top.size);
}
