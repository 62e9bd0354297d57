/** `bench`: a fixed number of requests of one size at a steady distance, some in flight at a time. */
import type { AbortSignal, BlockImage } from '@emkit/storage';
import type { CommandBody } from '../command.ts';
import { cacheMode, imageRequest, wholeNumber } from '../image-arguments.ts';
import { openImage } from '../images.ts';
import { sizeArgument } from '../sizes.ts';
import { ToolError, UsageError } from '../tool-error.ts';

const MAX = 2 ** 31 - 1;

interface Plan {
  readonly count: number;
  readonly depth: number;
  readonly size: number;
  readonly step: number;
  readonly offset: number;
  readonly isWrite: boolean;
  readonly flushInterval: number;
  /** Wait for what is in flight before a flush. */
  readonly drains: boolean;
  readonly pattern: number;
}

export const bench: CommandBody = async (tool, { values, operands }) => {
  const number = (key: string, what: string, fallback: number, min = 0): number =>
    values.has(key) ? wholeNumber(values.text(key) as string, what, min, MAX) : fallback;
  const size = values.has('size') ? sizeArgument(values.text('size') as string, 'buffer size') : 4096;
  const plan: Plan = {
    count: number('count', 'request count', 75_000),
    depth: number('depth', 'queue depth', 64, 1),
    size,
    step: values.has('step') ? sizeArgument(values.text('step') as string, 'step size') : size,
    offset: sizeArgument(values.text('offset') ?? '0', 'offset'),
    isWrite: values.has('write'),
    flushInterval: number('flushInterval', 'flush interval', 0),
    drains: !values.has('noDrain'),
    pattern: number('pattern', 'pattern byte', 0),
  };
  if (plan.pattern > 255) throw new ToolError('Invalid pattern byte specified');
  if (size === 0 || size > MAX) throw new ToolError('Invalid buffer size specified');
  if (!plan.isWrite && plan.flushInterval > 0) throw new ToolError('--flush-interval is only available in write tests');
  if (plan.flushInterval > 0 && plan.flushInterval < plan.depth && plan.drains)
    throw new ToolError("Flush interval can't be smaller than depth");
  const [filename] = operands;
  if (filename === undefined || operands.length > 1) throw new UsageError('Expecting one image file name');
  cacheMode(values, 'cache');
  const opened = await openImage(tool, imageRequest(values, filename, { writable: plan.isWrite }));
  try {
    const { image } = opened;
    if (plan.offset + size > image.size)
      throw new ToolError('The requests do not fit into the image', { hint: '-o and -s' });
    if (!values.has('quiet')) {
      tool.print(
        `Sending ${plan.count} ${plan.isWrite ? 'write' : 'read'} requests, ${size} bytes each, ${plan.depth} in parallel ` +
          `(starting at offset ${plan.offset}, step size ${plan.step})\n`,
      );
      if (plan.flushInterval > 0)
        tool.print(`Sending flush every ${plan.drains ? '' : 'asynchronously '}${plan.flushInterval} requests\n`);
    }
    const started = tool.now();
    await run(opened.node, plan, tool.signal);
    if (!values.has('quiet')) tool.print(`Run completed in ${((tool.now() - started) / 1000).toFixed(3)} seconds.\n`);
    return 0;
  } finally {
    await opened.close();
  }
};

async function run(image: BlockImage, plan: Plan, signal: AbortSignal): Promise<void> {
  const { count, size, step, isWrite } = plan;
  let next = 0;
  let offset = plan.offset;
  let sinceFlush = 0;
  const worker = async (): Promise<void> => {
    const buffer = new Uint8Array(size).fill(plan.pattern);
    while (next < count) {
      next++;
      const at = offset;
      offset += step;
      if (offset + size > image.size) offset = plan.offset;
      if (isWrite) await image.write!(at, buffer);
      else await image.read(at, buffer);
      if (signal.aborted) throw new ToolError('interrupted', { exitCode: 130 });
      if (plan.flushInterval > 0 && ++sinceFlush >= plan.flushInterval) {
        sinceFlush = 0;
        await image.flush!();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(plan.depth, Math.max(1, count)) }, worker));
}
