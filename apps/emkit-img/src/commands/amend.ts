/** `amend`: changes options of an existing image. */
import type { CommandBody } from '../command.ts';
import { optionHelp } from '../option-help.ts';
import { imageRequest, progressMode } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { optionRecord } from '@emkit/block-node';
import { driverByName } from '../formats.ts';
import { ToolError, UsageError } from '../tool-error.ts';

export const amend: CommandBody = async (tool, { values, operands }) => {
  const lists = values.list('options');
  if (lists.length === 0) throw new UsageError('Must specify options (-o)');
  const { values: options, help } = optionRecord(lists);
  const format = values.text('format');
  if (help && format !== undefined) {
    tool.print(optionHelp(driverByName(format), 'amend'));
    return 0;
  }
  const [filename] = operands;
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  const opened = await openImage(tool, imageRequest(values, filename, { writable: true, backing: 'resolve' }));
  const progress = tool.progress(progressMode(values));
  try {
    const { image } = opened;
    if (help) {
      tool.print(optionHelp(opened.driver, 'amend'));
      return 0;
    }
    if (image.amend === undefined)
      throw new ToolError(`Format driver '${image.driver}' does not support option amendment`);
    await image.amend(options, {
      signal: tool.signal,
      onProgress: (done) => progress.update(done),
      force: values.has('force'),
      secrets: (id) => opened.environment.secret(id),
    });
    progress.end(true);
    return 0;
  } finally {
    await opened.close();
  }
};
