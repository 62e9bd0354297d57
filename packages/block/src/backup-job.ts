/**
 * Copies a node as it is at the start, while writes to it go on: what a write would overwrite is copied first. If that copy fails, the write goes on
 * and the job ends with the error: the guest's disk matters more than its backup.
 */
import { BlockError } from '@emkit/storage';
import { BitmapCopy } from './bitmap-copy.ts';
import { chainStatus } from './chain-status.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import type { JobRequest } from './job.ts';
import { chainCopier, Undo, type PreparedJob } from './job-parts.ts';
import type { JobRun } from './job-run.ts';
import type { BlockNode } from './block-node.ts';

const GRANULARITY = 65536;

export function prepareBackup(request: JobRequest & { type: 'backup' }): PreparedJob {
  const { node, target, sync, bitmap, compressed } = request;
  if (node === target || node.uses(target))
    throw new BlockError('invalid-option', 'Source and target cannot be the same');
  if (target.write === undefined) throw new BlockError('read-only', `Block node '${target.name}' is read-only`);
  if (target.size < node.size)
    throw new BlockError(
      'invalid-option',
      `the target of ${target.size} bytes is smaller than the source of ${node.size}`,
    );
  if ((sync === 'incremental') !== (bitmap !== undefined))
    throw new BlockError('invalid-option', 'a bitmap goes with sync=incremental, and only with it');
  if (bitmap !== undefined && bitmap.size !== node.size)
    throw new BlockError('invalid-option', `the bitmap is for ${bitmap.size} bytes, the disk has ${node.size}`);
  if (compressed === true && target.image.writeCompressed === undefined)
    throw new BlockError('invalid-option', 'Compression is not supported for this target');
  const undo = new Undo();
  undo.attach(node, 'backup job', ['read'], ['read', 'write']);
  // a target over the node (its overlay) reads what was not copied from the node
  undo.attach(target, 'backup job', ['write'], ['read']);
  const { size } = node;
  const todo = new DirtyBitmap(size, Math.max(GRANULARITY, target.clusterSize ?? 0));
  if (sync !== 'incremental') todo.set(0, size);
  else takeBitmap(bitmap as DirtyBitmap, todo, undo);
  let broken: { readonly error: unknown } | undefined;
  let begin!: (copy: BitmapCopy, run: JobRun) => void;
  const begun = new Promise<readonly [BitmapCopy, JobRun]>((resolve) => (begin = (...both) => resolve(both)));
  // from here on, and until the job ends, what is copied is what was
  const release = node.interceptWrites(async (offset, length) => {
    const [copy, run] = await begun;
    if (broken !== undefined || run.signal.aborted) return;
    try {
      await copy.ensure(offset, Math.min(length, size - offset));
    } catch (error) {
      broken = { error };
      run.wake();
    }
  });
  undo.add(release);
  return {
    cleanUp: () => undo.run(),
    async body(run) {
      const source = { size, source: () => node.image, target: () => targetOf(target, compressed), compressed };
      const copier = chainCopier(source);
      const copy = new BitmapCopy(run, todo, {
        ...copier,
        look(offset, length) {
          if (broken !== undefined) throw broken.error;
          return copier.look(offset, length);
        },
      });
      begin(copy, run);
      // writes that were in flight before belong to the disk as it was
      await node.graph.drained([node], () => undefined);
      if (sync === 'top') await dropShared(run, node, todo);
      if (sync === 'none') await untilCompletion(run, () => broken !== undefined);
      else await copy.drain();
      await copy.settled();
      if (broken !== undefined) throw broken.error;
      await target.flush?.({ signal: run.signal });
      await run.finish(() => Promise.resolve());
      if (sync === 'incremental') isCopied.add(todo);
    },
  };
}

/** Compressed clusters go to the driver; all else through the node. */
const targetOf = (target: BlockNode, compressed: boolean | undefined) => (compressed === true ? target.image : target);

/** Bitmaps of jobs that succeeded. */
const isCopied = new WeakSet<DirtyBitmap>();

/** The bitmap's content becomes the job's; what is written from now on is the bitmap's. If the job fails the bitmap has both. */
function takeBitmap(bitmap: DirtyBitmap, todo: DirtyBitmap, undo: Undo): void {
  const ranges = [...bitmap.ranges()];
  todo.setRanges(ranges);
  bitmap.clear(0, bitmap.size);
  undo.add(() => {
    if (!isCopied.has(todo)) bitmap.setRanges(ranges);
  });
}

/** `sync=top`: what the backing file has, the target's backing file has too. */
async function dropShared(run: JobRun, node: BlockNode, todo: DirtyBitmap): Promise<void> {
  const base = node.children.get('backing');
  if (base === undefined) return;
  for (let at = 0; at < node.size;) {
    await run.point(0);
    const part = await chainStatus(node.image, at, node.size - at, { base });
    const from = Math.ceil(at / todo.granularity) * todo.granularity;
    const end =
      at + part.length === node.size ? node.size : Math.floor((at + part.length) / todo.granularity) * todo.granularity;
    // a guest's write between the two looks was copied by `ensure`, which leaves nothing to clear
    if (!part.allocated && end > from) todo.clear(from, end - from);
    at += part.length;
  }
}

async function untilCompletion(run: JobRun, isBroken: () => boolean): Promise<void> {
  run.becomeReady();
  while (!run.isCompleting && !isBroken()) await run.standBy();
}
