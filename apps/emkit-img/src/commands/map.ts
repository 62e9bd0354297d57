/** `map`: for people the parts that hold data and where, for programs every part. */
import type { CommandBody } from '../command.ts';
import { mapChain, type MapEntry } from '../chain-map.ts';
import { imageRequest, outputFormat } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { printable } from '../info-text.ts';
import { sizeArgument } from '../sizes.ts';
import { ToolError, UsageError } from '../tool-error.ts';

export const map: CommandBody = async (tool, { values, operands }) => {
  const output = outputFormat(values);
  const [filename] = operands;
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  const opened = await openImage(tool, imageRequest(values, filename));
  try {
    const { image } = opened;
    const start = Math.min(sizeArgument(values.text('start') ?? '0', 'start offset'), image.size);
    const length = Math.min(
      sizeArgument(values.text('length') ?? String(image.size), 'max length'),
      image.size - start,
    );
    if (output === 'human') tool.print('Offset          Length          Mapped to       File\n');
    let isFirst = true;
    for await (const entry of mapChain(image, start, length)) {
      if (output === 'json') tool.print(`${isFirst ? '[' : ',\n'}${jsonLine(entry)}`);
      else printHuman(entry, (text) => tool.print(text));
      isFirst = false;
    }
    if (output === 'json') tool.print(isFirst ? '[]\n' : ']\n');
    return 0;
  } finally {
    await opened.close();
  }
};

function jsonLine({ start, length, depth, present, zero, data, offset }: MapEntry): string {
  return (
    `{ "start": ${start}, "length": ${length}, "depth": ${depth}, "present": ${present}, "zero": ${zero}, "data": ${data}` +
    `${offset === undefined ? '' : `, "offset": ${offset}`}}`
  );
}

function printHuman({ start, length, zero, data, offset, filename }: MapEntry, print: (text: string) => void): void {
  if (!data || zero) return;
  if (offset === undefined)
    throw new ToolError('File contains external, encrypted or compressed clusters.', { hint: 'use --output=json' });
  print(`${hex(start)}${hex(length)}${hex(offset)}${printable(filename ?? '')}\n`);
}

/** C's "%#-16x". */
const hex = (value: number): string => (value === 0 ? '0' : `0x${value.toString(16)}`).padEnd(16);
