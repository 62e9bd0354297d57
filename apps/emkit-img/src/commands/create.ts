/** `create`: an empty image, with or without a backing file. */
import type { CommandBody, Values } from '../command.ts';
import { createEnvironment, type Environment } from '../environment.ts';
import { driverByName } from '../formats.ts';
import { openImage } from '../images.ts';
import { optionRecord } from '@emkit/block-node';
import { resolveName } from '@emkit/block';
import { isBlockError } from '@emkit/storage';
import { checkOptionNames, createImage, formattingLine } from '../new-image.ts';
import { optionHelp } from '../option-help.ts';
import { parseSize, sizeArgument } from '../sizes.ts';
import { ToolError, UsageError } from '../tool-error.ts';
import type { Tool } from '../tool.ts';

export const create: CommandBody = async (tool, { values, operands }) => {
  const { values: given, help } = optionRecord(values.list('options'));
  const format = values.text('format') ?? 'raw';
  const [filename, sizeText] = operands;
  if (help) {
    tool.print(optionHelp(driverByName(format), 'create'));
    return 0;
  }
  if (filename === undefined) throw new UsageError('Expecting image file name');
  if (operands.length > 2) throw new ToolError(`Unexpected argument: ${operands[2] as string}`);
  const driver = driverByName(format, filename);
  const options = withBacking(values, given);
  const stated = sizeText ?? options['size'];
  let size = stated === undefined ? undefined : sizeArgument(stated, 'image size');
  delete options['size'];
  const backing = options['backing_file'];
  const environment = await createEnvironment(tool, values.list('object'));
  if (backing !== undefined && backing !== '') {
    const found = await backingSize(tool, environment, values, filename, backing, options, size !== undefined);
    size ??= found;
  }
  if (size === undefined) throw new ToolError(`${filename}: Image creation needs a size parameter`);
  const image = { driver, filename, size, options: sizesAsBytes(driver.createOptions ?? [], options) };
  checkOptionNames(image);
  if (!values.has('quiet')) tool.print(formattingLine(image));
  await createImage(environment, image);
  return 0;
};

function withBacking(values: Values, given: Readonly<Record<string, string>>): Record<string, string> {
  const options = { ...given };
  for (const [key, name] of [
    ['backing', 'backing_file'],
    ['backingFormat', 'backing_fmt'],
  ] as const) {
    const value = values.text(key);
    if (value !== undefined) options[name] = value;
  }
  return options;
}

/** Values of the format's size options in plain bytes. */
export function sizesAsBytes(
  rows: readonly { readonly name: string; readonly type: string }[],
  options: Readonly<Record<string, string>>,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, value] of Object.entries(options)) {
    const isSize = rows.some((row) => row.name === key && row.type === 'size');
    const bytes = isSize ? parseSize(value) : undefined;
    if (isSize && bytes === undefined)
      throw new ToolError(
        `Parameter '${key}' expects a non-negative number below 2^64\n` +
          'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.',
      );
    result[key] = isSize ? String(bytes) : value;
  }
  return result;
}

/** Looks at the backing file (unless -u): it must be there and of the format that is said. Its size, if one is wanted. */
async function backingSize(
  tool: Tool,
  environment: Environment,
  values: Values,
  filename: string,
  backing: string,
  options: Record<string, string>,
  isSizeKnown: boolean,
): Promise<number | undefined> {
  const format = options['backing_fmt'];
  if (values.has('unsafe') && isSizeKnown) return undefined;
  const request = {
    filename: resolveName(filename, backing),
    format,
    imageOpts: false,
    share: true,
    objects: values.list('object'),
  };
  try {
    const opened = await openImage(tool, request);
    try {
      if (format === undefined)
        throw new ToolError(`${filename}: Backing file specified without backing format`, {
          hint: `Detected format of ${opened.driver.name}: add -F ${opened.driver.name}`,
        });
      return opened.image.size;
    } finally {
      await opened.close();
    }
  } catch (error) {
    // opening wraps what the file layer says; here QEMU gives that alone
    if (error instanceof ToolError && isBlockError(error.cause))
      throw new ToolError(`${filename}: ${error.cause.message}\nCould not open backing image.`, {
        hint: error.hint ?? '-u makes the image without looking',
        cause: error,
      });
    throw error;
  }
}
