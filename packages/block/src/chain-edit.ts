/** Taking images out of a chain: names for the header, and closing what nobody uses any more. */
import type { BlockNode } from './block-node.ts';

/** How `node`'s header should call `base`: as whoever refers to it now does, if that is in the same folder; else by its own name. */
export function relativeName(node: BlockNode, base: BlockNode): string {
  const name = base.filename ?? base.name;
  const folder = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);
  const own = node.filename;
  if (own !== undefined && folder(own) === folder(name) && !name.includes(':')) return name.slice(folder(name).length);
  return name;
}

/** Closes images that were taken out of a chain and have no other user, top first; each closes what only it used. */
export async function closeDropped(dropped: readonly BlockNode[]): Promise<void> {
  for (const node of dropped) if (node.edges.size === 0) await node.close();
}
