/** `compare`: exit code 0 equal, 1 different, 2 an image could not be opened, 3 its allocation, 4 its data could not be read. */
import { chainStatus, type ChainStatus } from '@emkit/block';
import { isZero, type BlockImage } from '@emkit/storage';
import type { CommandBody } from '../command.ts';
import { imageRequest, progressMode } from '../image-arguments.ts';
import { openImage, type OpenedImage } from '../images.ts';
import type { Progress } from '../progress.ts';
import { ToolError, UsageError } from '../tool-error.ts';
import type { Tool } from '../tool.ts';

const OPEN_EXIT = 2;
const STATUS_EXIT = 3;
const READ_EXIT = 4;
const CHUNK = 2 * 1024 * 1024;
const SECTOR = 512;

export const compare: CommandBody = async (tool, { values, operands }) => {
  const [nameA, nameB] = operands;
  if (nameA === undefined || nameB === undefined || operands.length > 2)
    throw new UsageError('Expecting two image file names');
  const quiet = values.has('quiet');
  const request = imageRequest(values, nameA, { cacheKey: 'sourceCache' });
  const opened: OpenedImage[] = [];
  const progress = tool.progress(progressMode(values));
  try {
    for (const [filename, format] of [
      [nameA, request.format],
      [nameB, values.text('secondFormat') ?? request.format],
    ] as const) {
      const image = await exitWith(OPEN_EXIT, () => openImage(tool, { ...request, filename, format }));
      opened.push(image);
    }
    const [a, b] = opened.map(({ node }) => node) as unknown as [BlockImage, BlockImage];
    const verdict = await compareImages(tool, a, b, values.has('strict'), quiet, progress);
    progress.end(true);
    if (!quiet) tool.print(`${verdict.text}\n`);
    return verdict.isEqual ? 0 : 1;
  } finally {
    for (const image of opened) await image.close();
  }
};

interface Verdict {
  readonly isEqual: boolean;
  readonly text: string;
}
const EQUAL: Verdict = { isEqual: true, text: 'Images are identical.' };
const different = (text: string): Verdict => ({ isEqual: false, text });

async function compareImages(
  tool: Tool,
  a: BlockImage,
  b: BlockImage,
  isStrict: boolean,
  quiet: boolean,
  progress: Progress,
): Promise<Verdict> {
  const buffers: [Uint8Array, Uint8Array] = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)];
  if (a.size !== b.size) {
    if (isStrict) return different('Strict mode: Image size mismatch!');
  }
  const common = Math.min(a.size, b.size);
  const total = Math.max(a.size, b.size);
  for (let at = 0; at < common;) {
    const [sa, sb] = [await statusAt(a, at, common), await statusAt(b, at, common)];
    const length = Math.min(sa.length, sb.length);
    if (isStrict && kindOf(sa) !== kindOf(sb)) return different(`Strict mode: Offset ${at} block status mismatch!`);
    if (!(sa.zero && sb.zero)) {
      const found = await firstDifference(tool, a, b, at, length, buffers, (done) => progress.update(done / total));
      if (found !== undefined) return different(`Content mismatch at offset ${found}!`);
    }
    at += length;
    progress.update(at / total);
  }
  if (a.size !== b.size) {
    if (!quiet) tool.print('Warning: Image size mismatch!\n');
    const longer = a.size > b.size ? a : b;
    const found = await firstNonZero(tool, longer, common, buffers[0]);
    if (found !== undefined) return different(`Content mismatch at offset ${found}!`);
  }
  return EQUAL;
}

/** What -s compares besides the content: as QEMU's status, of which only the offset's value does not count. */
function kindOf({ allocated, zero, data, offset, compressed }: ChainStatus): string {
  return [allocated, zero, data, offset !== undefined, compressed === true].join();
}

function statusAt(image: BlockImage, at: number, end: number): Promise<ChainStatus> {
  return exitWith(STATUS_EXIT, () => chainStatus(image, at, end - at));
}

async function firstDifference(
  tool: Tool,
  a: BlockImage,
  b: BlockImage,
  start: number,
  length: number,
  buffers: readonly [Uint8Array, Uint8Array],
  onProgress: (done: number) => void,
): Promise<number | undefined> {
  for (let done = 0; done < length; done += CHUNK) {
    const count = Math.min(CHUNK, length - done);
    const [left, right] = [buffers[0].subarray(0, count), buffers[1].subarray(0, count)];
    await exitWith(READ_EXIT, () => a.read(start + done, left, { signal: tool.signal }));
    await exitWith(READ_EXIT, () => b.read(start + done, right, { signal: tool.signal }));
    if (Buffer.compare(left, right) !== 0) {
      const at = left.findIndex((byte, i) => byte !== right[i]);
      return start + done + at - (at % SECTOR);
    }
    onProgress(start + done + count);
  }
  return undefined;
}

async function firstNonZero(
  tool: Tool,
  image: BlockImage,
  start: number,
  buffer: Uint8Array,
): Promise<number | undefined> {
  for (let at = start; at < image.size;) {
    const status = await statusAt(image, at, image.size);
    for (let done = 0; !status.zero && done < status.length; done += CHUNK) {
      const part = buffer.subarray(0, Math.min(CHUNK, status.length - done));
      await exitWith(READ_EXIT, () => image.read(at + done, part, { signal: tool.signal }));
      if (!isZero(part)) {
        const first = part.findIndex((byte) => byte !== 0);
        return at + done + first - (first % SECTOR);
      }
    }
    at += status.length;
  }
  return undefined;
}

async function exitWith<T>(exitCode: number, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new ToolError(error.message, { exitCode, hint: (error as { hint?: string }).hint, cause: error });
  }
}
