/** `convert --bitmaps`: persistent bitmaps of one image into another. */
import type { BlockImage } from '@emkit/storage';
import { ToolError } from './tool-error.ts';
import type { Tool } from './tool.ts';

export async function copyBitmaps(tool: Tool, from: BlockImage, to: BlockImage, skipsBroken: boolean): Promise<void> {
  const source = from.bitmaps;
  const target = to.bitmaps;
  if (source === undefined)
    throw new ToolError("This will only work on images that support bitmaps: the source's do not");
  if (target === undefined) throw new ToolError(`Format driver '${to.driver}' does not support bitmaps`);
  for (const { name, granularity, enabled, inUse } of source.list()) {
    if (inUse) {
      if (!skipsBroken)
        throw new ToolError(`Cannot copy inconsistent bitmap '${name}'`, {
          hint: '--skip-broken-bitmaps leaves it out, or delete it: bitmap --remove',
        });
      tool.say(`warning: Skipping inconsistent bitmap '${name}'`);
      continue;
    }
    await target.add({ name, granularity, enabled });
    await target.merge(name, await source.dirtyRanges(name));
  }
}
