/**
 * `convert`: copies one image, or several one after the other, into a new one.
 *
 * A conversion that does not end leaves no half image behind: the output is removed, unless it was there before (-n) or --keep-partial is given.
 */
import { copyImage } from '@emkit/block';
import { optimizeLater } from '@emkit/launch-node';
import { isBlockError, type BlockImage, type Storage } from '@emkit/storage';
import type { CommandBody, Values } from '../command.ts';
import { copyBitmaps } from '../copy-bitmaps.ts';
import { createEnvironment, type Environment } from '../environment.ts';
import { driverByName } from '../formats.ts';
import { cacheMode, imageRequest, progressMode } from '../image-arguments.ts';
import { openImage, type OpenedImage } from '../images.ts';
import { optionRecord } from '@emkit/block-node';
import { createImage } from '../new-image.ts';
import { optionHelp } from '../option-help.ts';
import type { Progress } from '../progress.ts';
import { sizeArgument } from '../sizes.ts';
import { openSnapshot } from '../snapshot-source.ts';
import { openSources } from '../source-images.ts';
import { ToolError, UsageError } from '../tool-error.ts';
import type { Tool } from '../tool.ts';
import { sizesAsBytes } from './create.ts';

const MAX_PARALLEL = 16;
const DEFAULT_PARALLEL = 8;
const SECTOR = 512;
/** QEMU takes `-S` in whole sectors, up to this. */
const MAX_SPARSE = 2 ** 31 - 1;
const INTERRUPTED_EXIT = 130;

interface Plan {
  readonly values: Values;
  readonly sources: readonly string[];
  readonly output: string;
  readonly options: Record<string, string>;
  readonly minZeroRun: number;
  readonly parallel: number;
  readonly isNew: boolean;
}

export const convert: CommandBody = async (tool, { values, operands }) => {
  const { values: given, help } = optionRecord(values.list('options'));
  if (help) {
    tool.print(optionHelp(driverByName(values.text('targetFormat') ?? 'raw'), 'create'));
    return 0;
  }
  const plan = makePlan(values, operands, given);
  const environment = await createEnvironment(tool, values.list('object'));
  const progress = tool.progress(progressMode(values));
  let made = false;
  let opened: readonly OpenedImage[] = [];
  try {
    opened = await openSources(tool, { values, sources: plan.sources, isPlainTarget: isPlainTarget(plan) });
    const sources = await Promise.all(opened.map((image) => sourceOf(image, values.text('snapshot'))));
    const size = sources.reduce((sum, source) => sum + source.size, 0);
    if (plan.isNew) {
      await createTarget(tool, environment, plan, size);
      made = true;
    }
    await copyAll(tool, plan, opened, sources, size, progress);
    progress.end(true);
    return 0;
  } catch (error) {
    const isInterrupted = isBlockError(error, 'aborted');
    if (made && !values.has('keepPartial')) environment.remove(plan.output);
    if (!isInterrupted) throw error;
    progress.end(false);
    const what = !made
      ? ''
      : values.has('keepPartial')
        ? ' is incomplete'
        : ' is incomplete and was removed (--keep-partial keeps it)';
    throw new ToolError(`interrupted at ${progress.percent}%; ${plan.output}${what}`, { exitCode: INTERRUPTED_EXIT });
  } finally {
    for (const image of opened) await image.close();
  }
};

function makePlan(values: Values, operands: readonly string[], given: Readonly<Record<string, string>>): Plan {
  const output = operands.at(-1);
  if (output === undefined || operands.length < 2) throw new ToolError('Must specify image file name');
  if (values.has('backingFormat') && !values.has('backing') && given['backing_file'] === undefined)
    throw new UsageError('-F requires -B');
  if (values.has('targetImageOpts') && !values.has('noCreate'))
    throw new ToolError('--target-image-opts requires use of -n flag');
  if (values.has('targetIsZero') && !values.has('noCreate'))
    throw new ToolError('--target-is-zero requires use of -n flag');
  if (values.has('snapshot') && operands.length > 2)
    throw new ToolError('No support for concatenating multiple snapshot');
  if (values.has('bitmaps') && operands.length > 2)
    throw new ToolError('Copying bitmaps only possible with single source');
  const options = { ...given };
  const backing = values.text('backing');
  if (backing !== undefined) options['backing_file'] = backing;
  const backingFormat = values.text('backingFormat');
  if (backingFormat !== undefined) options['backing_fmt'] = backingFormat;
  const sparse = sizeArgument(values.text('sparse') ?? '4096', 'buffer size for sparse output');
  if (sparse % SECTOR !== 0 || sparse > MAX_SPARSE)
    throw new ToolError(
      `Invalid buffer size for sparse output specified. Must be a multiple of ${SECTOR} up to ${MAX_SPARSE}.`,
    );
  const parallel = values.text('parallel');
  return {
    values,
    sources: operands.slice(0, -1),
    output,
    options,
    minZeroRun: sparse,
    parallel: parallel === undefined ? DEFAULT_PARALLEL : coroutines(parallel),
    isNew: !values.has('noCreate'),
  };
}

/** Writing it is no more than copying: with clusters to be mapped, compressed or encrypted this thread has enough to do without reading. */
function isPlainTarget({ values }: Plan): boolean {
  const format = values.text('targetFormat') ?? 'raw';
  const isCached = cacheMode(values, 'cache', 'unsafe') === 'unsafe';
  return format === 'raw' && isCached && !values.has('targetImageOpts');
}

function coroutines(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= 1 && value <= MAX_PARALLEL) return value;
  throw new ToolError(`Invalid number of coroutines. Allowed number of coroutines is between 1 and ${MAX_PARALLEL}`);
}

async function sourceOf(opened: OpenedImage, snapshot: string | undefined): Promise<Storage> {
  return snapshot === undefined ? opened.node : openSnapshot(opened.image, snapshot);
}

async function createTarget(tool: Tool, environment: Environment, plan: Plan, size: number): Promise<void> {
  const { values, output, options } = plan;
  const driver = driverByName(values.text('targetFormat') ?? 'raw');
  if (plan.sources.some((source) => environment.isSameFile(source, output)))
    throw new ToolError(`${output}: the output is one of the inputs`);
  const stated = options['size'];
  delete options['size'];
  if (options['backing_file'] !== undefined && options['backing_fmt'] === undefined) {
    const format = await detectFormat(tool, values, options['backing_file']);
    throw new ToolError('backing file specified without backing format', {
      hint: `Detected format of ${format}: add -F ${format}`,
    });
  }
  await createImage(environment, {
    driver,
    filename: output,
    size: stated === undefined ? Math.ceil(size / SECTOR) * SECTOR : sizeArgument(stated, 'image size'),
    options: sizesAsBytes(driver.createOptions ?? [], options),
    unsafe: cacheMode(values, 'cache', 'unsafe') === 'unsafe',
  });
}

async function detectFormat(tool: Tool, values: Values, filename: string): Promise<string> {
  const opened = await openImage(tool, { ...imageRequest(values, filename, { backing: 'none' }), format: undefined });
  try {
    return opened.driver.name;
  } finally {
    await opened.close();
  }
}

async function copyAll(
  tool: Tool,
  plan: Plan,
  opened: readonly OpenedImage[],
  sources: readonly Storage[],
  size: number,
  progress: Progress,
): Promise<void> {
  const { values, output } = plan;
  const target = await openImage(tool, {
    ...imageRequest(values, output, { defaultCache: 'unsafe' }),
    format: values.has('targetImageOpts') ? undefined : (values.text('targetFormat') ?? 'raw'),
    imageOpts: values.has('targetImageOpts'),
    writable: true,
    resize: true,
    files: 'threads',
  });
  try {
    const { node, image } = target;
    if (node.size < size)
      throw new ToolError(
        `The output file '${output}' is smaller than the input file${plan.sources.length > 1 ? 's' : ''}`,
      );
    const compressed = values.has('compress');
    if (compressed && image.writeCompressed === undefined)
      throw new ToolError('Compression not supported for this file format', {
        hint: 'qcow2, or vmdk with -o subformat=streamOptimized',
      });
    const hasBacking = plan.options['backing_file'] !== undefined && plan.options['backing_file'] !== '';
    // now, when all is loaded, and beside the first reads: Node's module for it takes some milliseconds
    setImmediate(optimizeLater);
    let start = 0;
    for (const source of sources) {
      const from = start;
      await copyImage(source, compressed ? image : node, {
        targetOffset: from,
        minZeroRun: plan.minZeroRun,
        targetIsZero: !hasBacking && (plan.isNew || values.has('targetIsZero')),
        ...(hasBacking ? { sharedBacking: 'all' as const } : {}),
        parallel: plan.parallel,
        outOfOrder: values.has('outOfOrder'),
        compressed,
        ...(values.has('rate') ? { speed: sizeArgument(values.text('rate') as string, 'rate limit') } : {}),
        ...(values.has('salvage')
          ? {
              salvage: (error: unknown, offset: number) =>
                tool.say(`warning: error while reading offset ${offset}: ${(error as Error).message}`),
            }
          : {}),
        signal: tool.signal,
        onProgress: (done) => progress.update(size === 0 ? 1 : (from + done) / size),
      });
      start += source.size;
    }
    if (values.has('bitmaps'))
      await copyBitmaps(tool, (opened[0] as OpenedImage).image, image, values.has('skipBrokenBitmaps'));
    if (cacheMode(values, 'cache', 'unsafe') !== 'unsafe') await (image as BlockImage).flush?.();
  } finally {
    await target.close();
  }
}
