/** `info`: opens nothing but the image; with --backing-chain each file of the chain by itself. */
import type { CommandBody, Values } from '../command.ts';
import { imageRequest, outputFormat } from '../image-arguments.ts';
import { openImage, type ImageRequest } from '../images.ts';
import { infoJson, infoText, type InfoReport } from '../info-text.ts';
import { jsonText } from '../json-text.ts';
import { ToolError, UsageError } from '../tool-error.ts';
import type { Tool } from '../tool.ts';

/** As the block graph's: deeper chains are refused there too. */
const MAX_CHAIN = 200;

export const info: CommandBody = async (tool, { values, operands }) => {
  const output = outputFormat(values);
  const [filename] = operands;
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  const reports = await collect(tool, values, filename);
  if (output === 'human') tool.print(reports.map(infoText).join('\n'));
  else if (values.has('chain')) tool.print(`${jsonText(reports.map(infoJson))}\n`);
  else tool.print(`${jsonText(infoJson(reports[0] as InfoReport))}\n`);
  return 0;
};

async function collect(tool: Tool, values: Values, filename: string): Promise<InfoReport[]> {
  const reports: InfoReport[] = [];
  const seen = new Set<string>();
  let request: ImageRequest | undefined = imageRequest(values, filename, { backing: 'none', metadataOnly: true });
  while (request !== undefined) {
    if (seen.has(request.filename) || reports.length >= MAX_CHAIN)
      throw new ToolError(`Backing file '${request.filename}' creates an infinite loop.`);
    seen.add(request.filename);
    const opened = await openImage(tool, request);
    let next: ImageRequest | undefined;
    try {
      const { image } = opened;
      const reference = image.backingReference;
      const fullName = reference === undefined ? undefined : opened.resolveName(reference.name);
      reports.push({
        filename: opened.displayName,
        info: await image.info(),
        actualSize: await opened.actualSize(),
        backing: reference === undefined ? undefined : { name: reference.name, format: reference.format, fullName },
      });
      if (values.has('chain') && fullName !== undefined)
        next = { ...request, filename: fullName, format: reference?.format, imageOpts: false };
    } finally {
      await opened.close();
    }
    request = next;
  }
  return reports;
}
