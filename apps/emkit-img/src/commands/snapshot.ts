/** `snapshot`: internal snapshots of a disk that nobody runs from. */
import type { AbortSignal, BlockImage, SnapshotStore } from '@emkit/storage';
import { isBlockError } from '@emkit/storage';
import type { CommandBody, Values } from '../command.ts';
import { imageRequest } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { snapshotLines } from '../info-text.ts';
import { ToolError, UsageError } from '../tool-error.ts';

const NOT_FOUND = {
  apply: 'Failed to load snapshot: No such file or directory',
  create: 'No such file or directory',
  delete: 'snapshot not found',
} as const;

const ACTIONS = ['list', 'apply', 'create', 'delete'] as const;

export const snapshot: CommandBody = async (tool, { values, operands }) => {
  const [filename] = operands;
  const actions = ACTIONS.filter((action) => values.has(action));
  if (actions.length > 1) throw new UsageError("Cannot mix '-l', '-a', '-c', '-d'");
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  const action = actions[0] ?? 'list';
  const opened = await openImage(tool, imageRequest(values, filename, { writable: action !== 'list' }));
  try {
    const { image } = opened;
    if (action === 'list') {
      const list = image.snapshots?.list() ?? [];
      if (list.length > 0) tool.print(`${snapshotLines(list).join('\n')}\n`);
      return 0;
    }
    await change(storeOf(image, action, values), action, values, tool.signal);
    return 0;
  } finally {
    await opened.close();
  }
};

function storeOf(image: BlockImage, action: string, values: Values): SnapshotStore {
  if (image.snapshots !== undefined) return image.snapshots;
  throw new ToolError(`Could not ${action} snapshot '${values.text(action) ?? ''}': -95 (Operation not supported)`, {
    hint: `${image.driver} has no internal snapshots: convert the image to qcow2, or make an overlay: create -b IMAGE -F FORMAT -f qcow2 OVERLAY`,
  });
}

async function change(
  store: SnapshotStore,
  action: 'apply' | 'create' | 'delete',
  values: Values,
  signal: AbortSignal,
): Promise<void> {
  const name = values.text(action) as string;
  try {
    if (action === 'create') await store.create({ name, date: Date.now(), icount: 0 }, { signal });
    else await store[action](name, { signal });
  } catch (error) {
    if (!isBlockError(error) || error.kind === 'aborted') throw error;
    const why = error.kind === 'not-found' ? NOT_FOUND[action] : error.message;
    throw new ToolError(`Could not ${action} snapshot '${name}': ${why}`, { hint: error.hint, cause: error });
  }
}
