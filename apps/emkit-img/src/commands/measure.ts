/** `measure`: how large a new image would be, without making it. */
import { chainStatus } from '@emkit/block';
import { isBlockError, type BitmapInfo, type BlockImage } from '@emkit/storage';
import type { CommandBody } from '../command.ts';
import { sizesAsBytes } from './create.ts';
import { driverByName } from '../formats.ts';
import { imageRequest, outputFormat } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { jsonText } from '../json-text.ts';
import { optionRecord } from '@emkit/block-node';
import { parseSize, sizeArgument } from '../sizes.ts';
import { openSnapshot } from '../snapshot-source.ts';
import { ToolError } from '../tool-error.ts';

export const measure: CommandBody = async (tool, { values, operands }) => {
  const output = outputFormat(values);
  const sizeText = values.text('size');
  const [filename] = operands;
  if (operands.length > 1) throw new ToolError('At most one filename argument is allowed.');
  if ((sizeText === undefined) === (filename === undefined))
    throw new ToolError('Either --size N or one filename must be specified.');
  if (sizeText !== undefined && (values.has('imageOpts') || values.has('format') || values.has('snapshot')))
    throw new ToolError('--image-opts, -f, and -l can only be used with a filename argument.');
  const driver = driverByName(values.text('targetFormat') ?? 'raw');
  const { values: options } = optionRecord(values.list('options'));
  if (driver.measure === undefined)
    throw new ToolError(`Block driver '${driver.name}' does not support size measurement`);
  const opened = filename === undefined ? undefined : await openImage(tool, imageRequest(values, filename));
  try {
    const snapshot = values.text('snapshot');
    const source =
      opened === undefined
        ? undefined
        : snapshot === undefined
          ? opened.node
          : await openSnapshot(opened.image, snapshot);
    const size = source?.size ?? sizeArgument(sizeText as string, 'image size');
    const result = await driver
      .measure(
        { size, options: sizesAsBytes(driver.createOptions ?? [], options), signal: tool.signal },
        (granularity) => (source === undefined ? Promise.resolve(0) : dataBytes(source, granularity)),
      )
      .catch((error: unknown) => {
        throw isBlockError(error) && error.kind !== 'aborted'
          ? new ToolError(error.message, { hint: error.hint, cause: error })
          : error;
      });
    // QEMU names them whenever both formats can have bitmaps
    const bitmaps =
      driver.name === 'qcow2' && opened?.image.bitmaps !== undefined
        ? bitmapBytes(
            opened.image.bitmaps.list(),
            size,
            Number(parseSize(options['cluster_size'] ?? '') ?? CLUSTER_SIZE),
          )
        : undefined;
    if (output === 'json')
      tool.print(
        `${jsonText({
          ...(bitmaps !== undefined ? { bitmaps } : {}),
          required: result.required,
          'fully-allocated': result.fullyAllocated,
        })}\n`,
      );
    else
      tool.print(
        `required size: ${result.required}\nfully allocated size: ${result.fullyAllocated}\n` +
          (bitmaps !== undefined ? `bitmaps size: ${bitmaps}\n` : ''),
      );
    return 0;
  } finally {
    await opened?.close();
  }
};

const CLUSTER_SIZE = 65536;
/** qcow2 spec, "Bitmaps": the fixed part of a directory entry. */
const DIRECTORY_ENTRY = 24;

/** Clusters for the bitmaps' bits and tables, and their directory. */
function bitmapBytes(bitmaps: readonly BitmapInfo[], size: number, clusterSize: number): number {
  const clusters = (bytes: number): number => Math.ceil(bytes / clusterSize);
  let total = 0;
  let directory = 0;
  for (const { name, granularity } of bitmaps) {
    const bits = clusters(Math.ceil(size / granularity / 8));
    total += bits + clusters(bits * 8);
    directory += Math.ceil((DIRECTORY_ENTRY + Buffer.byteLength(name)) / 8) * 8;
  }
  return (total + clusters(directory)) * clusterSize;
}

/** Bytes of the pieces that hold any data: each piece counts once. */
async function dataBytes(source: Pick<BlockImage, 'size' | 'status'>, granularity: number): Promise<number> {
  let bytes = 0;
  let counted = 0;
  for (let at = 0; at < source.size;) {
    const status = await statusOf(source, at);
    if (!status.zero && status.data) {
      const start = Math.max(counted, at - (at % granularity));
      const end = Math.min(source.size, Math.ceil((at + status.length) / granularity) * granularity);
      if (end > start) {
        bytes += end - start;
        counted = end;
      }
    }
    at += status.length;
  }
  return bytes;
}

function statusOf(
  source: Pick<BlockImage, 'size' | 'status'>,
  at: number,
): Promise<{ length: number; zero: boolean; data: boolean }> {
  const length = source.size - at;
  return 'driver' in source ? chainStatus(source as BlockImage, at, length) : source.status(at, length);
}
