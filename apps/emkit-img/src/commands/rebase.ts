/**
 * `rebase`: another backing file. Safe (default): where old and new backing file differ, the image gets a copy of what it showed, so its
 * content stays. Unsafe (-u): only the name in the header changes.
 */
import { resolveName } from '@emkit/block';
import { isBlockError, type BlockImage } from '@emkit/storage';
import type { CommandBody } from '../command.ts';
import { imageRequest, progressMode } from '../image-arguments.ts';
import { openImage, type OpenedImage } from '../images.ts';
import type { Progress } from '../progress.ts';
import { ToolError, UsageError } from '../tool-error.ts';
import type { Tool } from '../tool.ts';

const CHUNK = 2 * 1024 * 1024;
/** Differences are found in pieces of this size, as long as the image's cluster is not larger. */
const PIECE = 65536;

export const rebase: CommandBody = async (tool, { values, operands }) => {
  const [filename] = operands;
  const isUnsafe = values.has('unsafe');
  const backing = values.text('backing');
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  if (backing === undefined && !isUnsafe)
    throw new UsageError('Must specify backing file (-b) or use unsafe mode (-u)');
  const opened = await openImage(
    tool,
    imageRequest(values, filename, { writable: true, backing: isUnsafe ? 'none' : 'resolve' }),
  );
  const progress = tool.progress(progressMode(values));
  let next: OpenedImage | undefined;
  try {
    const { image } = opened;
    if (image.setBackingReference === undefined)
      throw new ToolError(`Image format driver '${image.driver}' has no backing files`);
    const isNone = backing === undefined || backing === '';
    if (!isUnsafe) {
      if (!isNone)
        next = await openImage(tool, {
          filename: resolveName(filename, backing),
          format: values.text('backingFormat'),
          imageOpts: false,
          share: values.has('share'),
          objects: values.list('object'),
          backing: 'resolve',
        });
      await keepContent(tool, opened.node, next?.node, progress);
      await opened.node.flush?.();
    }
    const format = values.text('backingFormat') ?? next?.driver.name;
    await image
      .setBackingReference(isNone ? undefined : { name: backing, ...(format !== undefined ? { format } : {}) })
      .catch((error: unknown) => {
        if (!isBlockError(error)) throw error;
        throw new ToolError(`Could not change the backing file to '${backing ?? ''}': ${error.message}`, {
          hint: error.hint,
          cause: error,
        });
      });
    progress.end(true);
    return 0;
  } finally {
    await next?.close();
    await opened.close();
  }
};

/** Copies into the image what it shows of the old backing file and would not show of the new one. */
async function keepContent(
  tool: Tool,
  image: BlockImage,
  next: BlockImage | undefined,
  progress: Progress,
): Promise<void> {
  const old = image.backing;
  const [before, after] = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)];
  const piece = Math.max(PIECE, image.clusterSize ?? 0);
  for (let at = 0; at < image.size;) {
    const status = await image.status(at, Math.min(CHUNK, image.size - at), { signal: tool.signal });
    if (!status.allocated && old !== undefined) {
      const [left, right] = [before.subarray(0, status.length), after.subarray(0, status.length)];
      await old.read(at, left, { signal: tool.signal });
      if (next === undefined) right.fill(0);
      else await next.read(at, right, { signal: tool.signal });
      await writeDifferences(tool, image, at, left, right, piece);
    } else if (!status.allocated && next !== undefined) {
      // there was no backing file: zeroes were shown
      const right = after.subarray(0, status.length);
      await next.read(at, right, { signal: tool.signal });
      await writeDifferences(tool, image, at, before.subarray(0, status.length).fill(0), right, piece);
    }
    at += status.length;
    progress.update(at / image.size);
  }
}

async function writeDifferences(
  tool: Tool,
  image: BlockImage,
  start: number,
  left: Uint8Array,
  right: Uint8Array,
  piece: number,
): Promise<void> {
  for (let at = 0; at < left.length;) {
    const end = Math.min(left.length, at + piece - ((start + at) % piece));
    if (Buffer.compare(left.subarray(at, end), right.subarray(at, end)) !== 0)
      await image.write!(start + at, left.subarray(at, end), { signal: tool.signal });
    at = end;
  }
}
