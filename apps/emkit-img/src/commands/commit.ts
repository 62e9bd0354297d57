/** `commit`: what an overlay holds goes into its backing file, or into one further down (-b); then the overlay is emptied. */
import { startJob, type BlockNode } from '@emkit/block';
import type { CommandBody } from '../command.ts';
import { cacheMode, imageRequest, progressMode } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { sizeArgument } from '../sizes.ts';
import { ToolError, UsageError } from '../tool-error.ts';

export const commit: CommandBody = async (tool, { values, operands }) => {
  const [filename] = operands;
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  const cache = cacheMode(values, 'cache');
  const opened = await openImage(tool, imageRequest(values, filename, { writable: true, backing: 'resolve' }));
  const progress = tool.progress(progressMode(values));
  try {
    const { node, image } = opened;
    const first = node.children.get('backing');
    if (first === undefined) throw new ToolError('Image does not have a backing file');
    const baseName = values.text('base');
    const base = baseName === undefined ? first : findBase(node, baseName);
    const job = startJob(
      { type: 'commit', node, base, automatic: true, keepChain: true },
      {
        signal: tool.signal,
        ...(values.has('rate') ? { speed: sizeArgument(values.text('rate') as string, 'rate limit') } : {}),
        onEvent: (event) => {
          if (event.type === 'progress' && event.total > 0) progress.update(event.current / event.total);
        },
      },
    );
    await job.done;
    // Emptied only when everything is in the base: a commit that is cut short loses nothing.
    if (!values.has('drop') && baseName === undefined) await image.makeEmpty?.({ signal: tool.signal });
    if (cache !== 'unsafe') await image.flush?.();
    progress.end(true);
    if (!values.has('quiet')) tool.print('Image committed.\n');
    return 0;
  } finally {
    await opened.close();
  }
};

function findBase(top: BlockNode, name: string): BlockNode {
  for (let node = top.children.get('backing'); node !== undefined; node = node.children.get('backing'))
    if (node.filename === name || node.name === name) return node;
  throw new ToolError(`Did not find '${name}' in the backing chain of '${top.filename ?? top.name}'`, {
    hint: `the chain: info --backing-chain ${top.filename ?? ''}`,
  });
}
