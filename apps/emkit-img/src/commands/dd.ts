/** `dd`: copies blocks of one image into a new one. */
import { copyImage } from '@emkit/block';
import { offsetStorage } from '@emkit/raw';
import type { CommandBody } from '../command.ts';
import { createEnvironment } from '../environment.ts';
import { driverByName } from '../formats.ts';
import { imageRequest } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { createImage } from '../new-image.ts';
import { parseSize } from '../sizes.ts';
import { ToolError } from '../tool-error.ts';

const MAX_BLOCK = 2 ** 31 - 1;
/** Small blocks are copied many at a time: it makes no difference to the result. */
const MIN_BUFFER = 2 * 1024 * 1024;

interface Operands {
  input?: string;
  output?: string;
  blockSize: number;
  count?: number;
  skip: number;
}

export const dd: CommandBody = async (tool, { values, operands }) => {
  const { input, output, blockSize, count, skip } = parseOperands(operands);
  if (input === undefined || output === undefined) throw new ToolError('Must specify both input and output files');
  const driver = driverByName(values.text('targetFormat') ?? 'raw');
  const source = await openImage(tool, imageRequest(values, input));
  try {
    const start = skip * blockSize;
    const end = count === undefined ? source.image.size : Math.min(source.image.size, count * blockSize);
    // As QEMU counts: `count` blocks of the input from its start, of which the first `skip` are left out.
    const size = Math.max(0, end - start);
    if (start > source.image.size) tool.say(`${input}: cannot skip to specified offset`);
    const environment = await createEnvironment(tool, values.list('object'));
    if (environment.isSameFile(input, output)) throw new ToolError(`${output}: the output is the input`);
    await createImage(environment, { driver, filename: output, size, options: {}, unsafe: true });
    const target = await openImage(tool, {
      ...imageRequest(values, output, { unsafe: true }),
      format: driver.name,
      imageOpts: false,
      writable: true,
      resize: true,
    });
    try {
      const length = Math.min(size, target.image.size);
      if (length > 0)
        await copyImage(offsetStorage(source.node, { offset: start, size: length }), target.node, {
          targetIsZero: true,
          bufferSize: Math.max(MIN_BUFFER, blockSize),
          signal: tool.signal,
        });
    } finally {
      await target.close();
    }
    return 0;
  } finally {
    await source.close();
  }
};

function parseOperands(operands: readonly string[]): Operands {
  const result: Operands = { blockSize: 512, skip: 0 };
  for (const operand of operands) {
    const equals = operand.indexOf('=');
    const [name, value] = equals < 0 ? [operand, ''] : [operand.slice(0, equals), operand.slice(equals + 1)];
    switch (name) {
      case 'if':
        result.input = value;
        break;
      case 'of':
        result.output = value;
        break;
      case 'bs':
        result.blockSize = number(name, value, 1, MAX_BLOCK);
        break;
      case 'count':
        result.count = number(name, value, 0, Number.MAX_SAFE_INTEGER);
        break;
      case 'skip':
        result.skip = number(name, value, 0, Number.MAX_SAFE_INTEGER);
        break;
      default:
        throw new ToolError(`unrecognized operand ${name}`, { hint: 'operands are if= of= bs= count= skip=' });
    }
  }
  return result;
}

function number(name: string, text: string, min: number, max: number): number {
  const value = parseSize(text);
  if (value !== undefined && value >= min && value <= max) return value;
  throw new ToolError(`Invalid ${name} specified. Must be between ${min} and ${max}.`);
}
