/** `-l`: a snapshot as the source of a copy. */
import { isBlockError, type BlockImage, type BlockStatus, type Storage } from '@emkit/storage';
import { parseKeyValues } from '@emkit/block-node';
import { ToolError } from './tool-error.ts';

/** `snapshot.id=ID`, `snapshot.name=NAME`, both, or an ID or name. */
export async function openSnapshot(
  image: BlockImage,
  text: string,
): Promise<Storage & { status(offset: number, length: number): Promise<BlockStatus> }> {
  const store = image.snapshots;
  if (store === undefined) throw new ToolError(`Device '${image.driver}' does not support internal snapshots`);
  try {
    return await store.open(keyOf(image, text));
  } catch (error) {
    if (!isBlockError(error, 'not-found')) throw error;
    throw new ToolError(`Failed to load snapshot: Can't find snapshot`, {
      hint: 'snapshot -l IMAGE lists them',
      cause: error,
    });
  }
}

function keyOf(image: BlockImage, text: string): string {
  if (!text.startsWith('snapshot.')) return text;
  const wanted = new Map(parseKeyValues(text));
  const [id, name] = [wanted.get('snapshot.id'), wanted.get('snapshot.name')];
  const found = image.snapshots
    ?.list()
    .find((s) => (id === undefined || s.id === id) && (name === undefined || s.name === name));
  return found?.id ?? text;
}
