/** From words to options; every mistake is reported before anything is opened. Commander splits the words, the rest is QEMU's. */
import { basename, isAbsolute } from 'node:path';
import { NBD_DEFAULT_PORT } from '@emkit/nbd';
import { Command, CommanderError, Option } from 'commander';
import { OPTION_ROWS, type OptionRow } from './option-table.ts';
import type { Address, ImageOptions, Options, ServeOptions } from './options.ts';
import { ToolError, UsageError } from './tool-error.ts';

/** By long name. */
type Values = ReadonlyMap<string, string | true | readonly string[]>;

/** Longest path of a UNIX socket: Linux, unix(7). */
const MAX_SOCKET_PATH = 107;

export function parseCommandLine(words: readonly string[]): Options {
  const { values, images } = split(words);
  if (values.has('help')) return { action: 'help' };
  if (values.has('version')) return { action: 'version' };
  for (const { long, refused } of OPTION_ROWS)
    if (refused !== undefined && values.has(long)) throw new ToolError(`--${long} is not supported`, refused);
  if (values.has('list')) {
    if (images.length > 0) throw new ToolError('List mode is incompatible with a file name');
    const odd = ['export-name', 'description', 'offset', 'bitmap', 'allocation-depth'].find((name) => values.has(name));
    if (odd !== undefined) throw new ToolError(`List mode is incompatible with per-device settings: --${odd}`);
    return { action: 'list', address: address(values) };
  }
  if (images.length === 0) throw new UsageError('Invalid number of arguments');
  return serveOptions(values, images);
}

function split(words: readonly string[]): { values: Values; images: readonly string[] } {
  const command = new Command()
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .argument('[images...]');
  for (const row of OPTION_ROWS) command.addOption(toOption(row));
  try {
    command.parse(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) throw usageError(error);
    throw error;
  }
  const values = new Map<string, string | true | readonly string[]>();
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value !== undefined) values.set(option.name(), value as string | true | string[]);
  }
  return { values, images: command.args };
}

function toOption({ short, long, value, isList }: OptionRow): Option {
  const flags = `${short === undefined ? '' : `-${short}, `}--${long}${value === undefined ? '' : ` <${value}>`}`;
  const option = new Option(flags);
  if (isList === true) option.argParser((text: string, before?: string[]) => [...(before ?? []), text]);
  return option;
}

/** Commander's mistake in getopt's words. */
function usageError({ code, message }: CommanderError): UsageError {
  const name = /'([^']*)'/.exec(message)?.[1] ?? '';
  const meant = /\(Did you mean (.*)\?\)/.exec(message)?.[1];
  if (code === 'commander.unknownOption')
    return new UsageError(
      /^-[^-]/.test(name) ? `invalid option -- '${name.slice(1)}'` : `unrecognized option '${name}'`,
      meant === undefined ? undefined : `did you mean ${meant}?`,
    );
  if (code === 'commander.optionMissingArgument')
    return new UsageError(`option '${/--[a-z-]+/.exec(name)?.[0] ?? name}' requires an argument`);
  return new UsageError(message.replace(/^error: /, ''));
}

function serveOptions(values: Values, images: readonly string[]): ServeOptions {
  const imageOpts = values.has('image-opts');
  const format = text(values, 'format');
  if (imageOpts && format !== undefined) throw new ToolError('--image-opts and -f are mutually exclusive');
  if (values.has('snapshot') && values.has('load-snapshot')) throw new ToolError('-s and -l are mutually exclusive');
  const discard = text(values, 'discard') ?? 'ignore';
  if (!['ignore', 'off', 'unmap', 'on'].includes(discard))
    throw new ToolError(`Invalid discard mode \`${discard}'`, 'one of ignore, unmap');
  const detectZeroes = text(values, 'detect-zeroes') ?? 'off';
  if (detectZeroes !== 'off' && detectZeroes !== 'on' && detectZeroes !== 'unmap')
    throw new ToolError(
      `Failed to parse detect_zeroes mode: invalid parameter value: ${detectZeroes}`,
      'one of off, on, unmap',
    );
  const aio = text(values, 'aio');
  if (aio !== undefined && !['threads', 'native', 'io_uring'].includes(aio))
    throw new ToolError(`Invalid aio mode '${aio}'`, 'threads, or leave it out');
  const loadSnapshot = text(values, 'load-snapshot');
  return {
    action: 'serve',
    images: imageOptions(values, images, imageOpts),
    address: address(values),
    format,
    imageOpts,
    objects: list(values, 'object'),
    readOnly: values.has('read-only') || loadSnapshot !== undefined,
    snapshot: values.has('snapshot'),
    loadSnapshot,
    offset: wholeNumber(text(values, 'offset') ?? '0', 'Invalid offset', Number.MAX_SAFE_INTEGER),
    allocationDepth: values.has('allocation-depth'),
    bitmaps: list(values, 'bitmap'),
    shared: wholeNumber(text(values, 'shared') ?? '1', 'Invalid shared device number', 0x7fffffff) || Infinity,
    persistent: values.has('persistent'),
    verbose: values.has('verbose'),
    pidFile: text(values, 'pid-file'),
    cache: cacheMode(values.has('nocache') ? 'none' : (text(values, 'cache') ?? 'writeback')),
    discard: discard === 'unmap' || discard === 'on' ? 'unmap' : 'ignore',
    detectZeroes,
    threads: aio !== undefined,
  };
}

/** One image is taken as it is; of several each needs a name: from -x in their order, NAME=IMAGE, or the file's own. */
function imageOptions(values: Values, images: readonly string[], imageOpts: boolean): ImageOptions[] {
  const names = list(values, 'export-name');
  const descriptions = list(values, 'description');
  if (names.length > images.length || (names.length > 0 && names.length < images.length))
    throw new ToolError(
      `${names.length} export names for ${images.length} images`,
      images.length === 1 ? 'give -x once' : 'give -x once for each image, or name them: NAME=IMAGE',
    );
  if (descriptions.length > images.length)
    throw new ToolError(`${descriptions.length} descriptions for ${images.length} images`);
  const all = images.map((word, index) => {
    const description = descriptions[index];
    const given = names[index];
    if (given !== undefined || images.length === 1) return { image: word, exportName: given ?? '', description };
    const equals = word.indexOf('=');
    if (imageOpts && equals >= 0)
      throw new ToolError('several images with --image-opts need -x NAME for each', 'give -x once for each image');
    if (equals < 0) return { image: word, exportName: basename(word), description };
    return { image: word.slice(equals + 1), exportName: word.slice(0, equals), description };
  });
  const seen = new Set<string>();
  for (const { exportName } of all) {
    if (seen.has(exportName))
      throw new ToolError(`two exports have the name '${exportName}'`, 'name the images: NAME=IMAGE NAME=IMAGE');
    seen.add(exportName);
  }
  return all;
}

function address(values: Values): Address {
  const path = text(values, 'socket');
  if (path !== undefined) {
    if (!isAbsolute(path)) throw new ToolError('socket path must be absolute', `-k ${process.cwd()}/${path}`);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
      throw new ToolError(
        `UNIX socket path '${path}' is too long`,
        `Path must be less than ${MAX_SOCKET_PATH + 1} bytes`,
      );
    return { type: 'unix', path };
  }
  const port = text(values, 'port');
  return {
    type: 'tcp',
    host: text(values, 'bind'),
    port: port === undefined ? NBD_DEFAULT_PORT : wholeNumber(port, 'Invalid port', 65535),
  };
}

function cacheMode(mode: string): ServeOptions['cache'] {
  switch (mode) {
    case 'writeback':
      return {};
    case 'none':
    case 'off':
      return { direct: true };
    case 'writethrough':
      return { writeThrough: true };
    case 'directsync':
      return { direct: true, writeThrough: true };
    case 'unsafe':
      return { noFlush: true };
    default:
      throw new ToolError(`Invalid cache mode \`${mode}'`, 'one of none, writeback, writethrough, directsync, unsafe');
  }
}

function wholeNumber(word: string, message: string, most: number): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : NaN;
  if (!(value <= most)) throw new ToolError(`${message} '${word}'`, `a number from 0 to ${most}`);
  return value;
}

function text(values: Values, name: string): string | undefined {
  const value = values.get(name);
  return typeof value === 'string' ? value : undefined;
}

function list(values: Values, name: string): readonly string[] {
  const value = values.get(name);
  return Array.isArray(value) ? (value as string[]) : [];
}
