/**
 * Copies into a node what its backing files down to above `base` hold, so that they are not needed any more; then `base` (or nothing) is its backing file.
 *
 * Crash safety: the header names the old backing file until everything is copied and flushed. A part is copied with no write to it in flight and
 * only if the node still does not have it, so old data never covers new.
 */
import { BlockError, zeroRange, writable, type BlockImage } from '@emkit/storage';
import { BitmapCopy } from './bitmap-copy.ts';
import { closeDropped, relativeName } from './chain-edit.ts';
import { chainStatus } from './chain-status.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import type { JobRequest } from './job.ts';
import { ALL, imagesAbove, Undo, type PreparedJob } from './job-parts.ts';

const GRANULARITY = 65536;

export function prepareStream(request: JobRequest & { type: 'stream' }): PreparedJob {
  const { node, base } = request;
  const dropped = imagesAbove(node, base).slice(1);
  if (node.write === undefined) throw new BlockError('read-only', `Block node '${node.name}' is read-only`);
  if (node.image.setBackingReference === undefined || node.image.setBacking === undefined)
    throw new BlockError('invalid-option', `The driver '${node.driver}' cannot exchange a backing file`);
  const undo = new Undo();
  undo.attach(node, 'stream job', ['read', 'write'], ALL);
  for (const image of dropped) undo.attach(image, 'stream job', ['read'], ['read']);
  return {
    cleanUp: () => undo.run(),
    async body(run) {
      if (dropped.length === 0) return;
      undo.add(await node.serializeWrites());
      const todo = new DirtyBitmap(node.size, Math.max(GRANULARITY, node.clusterSize ?? 0));
      todo.set(0, node.size);
      const image = (): BlockImage => node.image;
      const copy = new BitmapCopy(run, todo, {
        size: node.size,
        look: async (offset, length) => {
          const own = await image().status(offset, length);
          if (own.allocated) return { length: own.length, kind: 'skip' };
          const status = await chainStatus(image(), offset, own.length, { base });
          if (status.zero) return { length: status.length, kind: base === undefined ? 'skip' : 'zero' };
          return { length: status.length, kind: status.allocated ? 'data' : 'skip' };
        },
        data: (offset, buffer) => node.serialized(offset, buffer.length, () => fetch(image(), offset, buffer)),
        zero: (offset, length) =>
          node.serialized(offset, length, async () => {
            const own = await image().status(offset, length);
            if (!own.allocated && own.length === length) await zeroRange(writable(image()), offset, length);
          }),
      });
      await copy.drain();
      await image().flush?.({ signal: run.signal });
      await run.finish(async () => {
        const name = request.backingName ?? (base === undefined ? undefined : relativeName(node, base));
        await image().setBackingReference?.(name === undefined ? undefined : { name, format: base?.driver });
        await image().flush?.();
        await undo.run();
        await node.replaceBacking(base);
        await closeDropped(dropped);
      });
    },
  };
}

/** Brings a range from below, but for what has been written meanwhile. */
async function fetch(image: BlockImage, offset: number, buffer: Uint8Array): Promise<void> {
  for (let done = 0; done < buffer.length;) {
    const own = await image.status(offset + done, buffer.length - done);
    if (!own.allocated) {
      const part = buffer.subarray(done, done + own.length);
      await image.read(offset + done, part);
      await writable(image).write(offset + done, part);
    }
    done += own.length;
  }
}
