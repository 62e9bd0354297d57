/** `bitmap`: persistent dirty bitmaps. Several actions are done in the order typed. */
import { isBlockError, type BitmapStore } from '@emkit/storage';
import type { CommandBody, Values } from '../command.ts';
import { imageRequest } from '../image-arguments.ts';
import { openImage, type OpenedImage } from '../images.ts';
import { sizeArgument } from '../sizes.ts';
import { ToolError } from '../tool-error.ts';
import type { Tool } from '../tool.ts';

/** In the order in which they make sense together: a bitmap is made before it is changed, and removed last. */
const ACTIONS = ['add', 'clear', 'merge', 'enable', 'disable', 'remove'] as const;

export const bitmap: CommandBody = async (tool, { values, operands }) => {
  const actions = ACTIONS.filter((action) => values.has(action));
  if (actions.length === 0)
    throw new ToolError('Need at least one of --add, --remove, --clear, --enable, --disable, or --merge');
  if (values.has('granularity') && !values.has('add')) throw new ToolError('granularity only supported with --add');
  if (values.has('sourceFile') && !values.has('merge'))
    throw new ToolError('Merge bitmap source file only supported with --merge');
  if (values.has('sourceFormat') && !values.has('sourceFile')) throw new ToolError('-F only supported with -b');
  const [filename, name] = operands;
  if (filename === undefined || name === undefined || operands.length > 2)
    throw new ToolError('Expecting filename and bitmap name');
  const granularity = values.text('granularity');
  const opened = await openImage(tool, imageRequest(values, filename, { writable: true, backing: 'none' }));
  let source: OpenedImage | undefined;
  try {
    const store = storeOf(opened);
    const sourceFile = values.text('sourceFile');
    if (sourceFile !== undefined) source = await openSource(tool, values, sourceFile);
    for (const action of actions) {
      try {
        switch (action) {
          case 'add':
            await store.add({
              name,
              ...(granularity !== undefined ? { granularity: sizeArgument(granularity, 'granularity') } : {}),
            });
            break;
          case 'merge':
            for (const other of values.list('merge'))
              await store.merge(name, await (source === undefined ? store : storeOf(source)).dirtyRanges(other));
            break;
          case 'enable':
          case 'disable':
            await store.setEnabled(name, action === 'enable');
            break;
          default:
            await store[action](name);
        }
      } catch (error) {
        if (!isBlockError(error)) throw error;
        throw new ToolError(`Operation ${action} on bitmap ${name} failed: ${error.message}`, {
          hint: error.hint,
          cause: error,
        });
      }
    }
    return 0;
  } finally {
    await source?.close();
    await opened.close();
  }
};

function openSource(tool: Tool, values: Values, filename: string): Promise<OpenedImage> {
  return openImage(tool, {
    filename,
    format: values.text('sourceFormat'),
    imageOpts: false,
    share: false,
    objects: values.list('object'),
    backing: 'none',
  });
}

function storeOf({ image }: OpenedImage): BitmapStore {
  if (image.bitmaps !== undefined) return image.bitmaps;
  throw new ToolError(`Block driver '${image.driver}' does not support persistent bitmaps`, {
    hint: 'qcow2 images of compat level 1.1 have them',
  });
}
