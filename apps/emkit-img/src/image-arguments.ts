/** What the options of a subcommand say about how to open an image: the same in all of them. */
import type { Values } from './command.ts';
import type { ImageRequest } from './images.ts';
import { ToolError } from './tool-error.ts';

const CACHE_MODES = ['none', 'writeback', 'writethrough', 'directsync', 'unsafe'];

/** `open(filename)` for the image that -f, --image-opts, --object, -U, -t and -T speak of. */
export function imageRequest(
  values: Values,
  filename: string,
  more: Partial<ImageRequest> & { cacheKey?: 'cache' | 'sourceCache'; defaultCache?: string } = {},
): ImageRequest {
  const { cacheKey = 'cache', defaultCache, ...rest } = more;
  const imageOpts = values.has('imageOpts');
  if (imageOpts && values.has('format')) throw new ToolError('--image-opts and --format are mutually exclusive');
  return {
    filename,
    format: values.text('format'),
    imageOpts,
    share: values.has('share'),
    objects: values.list('object'),
    unsafe: cacheMode(values, cacheKey, defaultCache) === 'unsafe',
    ...rest,
  };
}

export function cacheMode(values: Values, key: 'cache' | 'sourceCache', fallback = 'writeback'): string {
  const mode = values.text(key) ?? fallback;
  if (!CACHE_MODES.includes(mode)) {
    throw new ToolError(key === 'cache' ? `Invalid cache option: ${mode}` : `Invalid source cache option: ${mode}`, {
      hint: `one of ${CACHE_MODES.join(', ')}`,
    });
  }
  return mode;
}

/** `human` or `json`. */
export function outputFormat(values: Values): 'human' | 'json' {
  const output = values.text('output') ?? 'human';
  if (output === 'human' || output === 'json') return output;
  throw new ToolError('--output must be used with human or json as argument.');
}

export function progressMode(values: Values): 'shown' | 'auto' | 'none' {
  return values.has('quiet') ? 'none' : values.has('progress') ? 'shown' : 'auto';
}

/** A count or the like; `what` begins the message. */
export function wholeNumber(text: string, what: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new ToolError(`Invalid ${what} specified`, { hint: `a number from ${min} to ${max}, not '${text}'` });
}
