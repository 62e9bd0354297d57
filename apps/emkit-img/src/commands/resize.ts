/** `resize`: grows or, when told so, shrinks a disk. */
import type { Preallocation } from '@emkit/storage';
import type { CommandBody } from '../command.ts';
import { imageRequest } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { parseSize } from '../sizes.ts';
import { ToolError, UsageError } from '../tool-error.ts';

const PREALLOCATIONS: readonly string[] = ['off', 'metadata', 'falloc', 'full'];

export const resize: CommandBody = async (tool, { values, operands }) => {
  const [filename, sizeText] = operands;
  if (filename === undefined || sizeText === undefined) throw new UsageError('Not enough arguments');
  if (operands.length > 2) throw new UsageError('Expecting image file name and size');
  const preallocation = values.text('preallocation') ?? 'off';
  if (!PREALLOCATIONS.includes(preallocation))
    throw new ToolError(`Invalid preallocation mode '${preallocation}'`, {
      hint: `one of ${PREALLOCATIONS.join(', ')}`,
    });
  const sign = /^[+-]/.exec(sizeText)?.[0] ?? '';
  const amount = parseSize(sizeText.slice(sign.length));
  if (amount === undefined) {
    throw new ToolError(
      "Parameter 'size' expects a non-negative number below 2^64\n" +
        'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.',
    );
  }
  const opened = await openImage(tool, imageRequest(values, filename, { writable: true, resize: true }));
  try {
    const { image } = opened;
    const current = image.size;
    const size = sign === '+' ? current + amount : sign === '-' ? current - amount : amount;
    if (size <= 0) throw new ToolError('New image size must be positive');
    if (size < current) {
      if (preallocation !== 'off') throw new ToolError('Preallocation can only be used for growing images');
      if (!values.has('shrink')) {
        tool.say('Use the --shrink option to perform a shrink operation.');
        tool.say(
          "warning: Shrinking an image will delete all data beyond the shrunken image's end. " +
            'Before performing such an operation, make sure there is no important data there.',
        );
        return 1;
      }
    }
    if (image.resize === undefined)
      throw new ToolError('Image format driver does not support resize', {
        hint: `the format is ${image.driver}: convert the image to qcow2 or raw`,
      });
    await image.resize(size, {
      preallocation: preallocation as Preallocation,
      shrink: size < current,
      signal: tool.signal,
    });
    if (!values.has('quiet')) tool.print('Image resized.\n');
    return 0;
  } finally {
    await opened.close();
  }
};
