/** The options that every node takes, whatever its driver; what is left of a tree is the driver's. */
import { BlockError } from '@emkit/storage';
import { flatten, type OptionTree, type OptionValue } from './option-tree.ts';
import type { CacheMode } from './open-image.ts';

export interface CommonOptions {
  readonly driver: string | undefined;
  readonly name: string | undefined;
  readonly readOnly: boolean;
  readonly forceShare: boolean;
  readonly discard: 'unmap' | 'ignore';
  readonly detectZeroes: 'off' | 'on' | 'unmap';
  readonly cache: CacheMode;
  readonly snapshot: boolean;
  readonly copyOnRead: boolean;
  /** The rest, as a tree. */
  readonly own: OptionTree;
}

/** What comes from above when the tree itself says nothing. */
export interface InheritedOptions {
  readonly readOnly: boolean;
  readonly forceShare: boolean;
  readonly discard?: 'unmap' | 'ignore' | undefined;
  readonly detectZeroes?: 'off' | 'on' | 'unmap' | undefined;
  readonly cache?: CacheMode | undefined;
  readonly snapshot?: boolean | undefined;
}

export function takeCommon(tree: OptionTree, inherited: InheritedOptions): CommonOptions {
  const own: Record<string, OptionValue> = { ...tree };
  const take = (key: string): OptionValue | undefined => {
    const value = own[key];
    delete own[key];
    return value;
  };
  const cacheTree = take('cache');
  const cache = typeof cacheTree === 'object' && cacheTree !== null ? cacheTree : {};
  const above = inherited.cache ?? {};
  const writeback = bool('cache.writeback', cache['writeback'], above.writeThrough !== true);
  const discard = choice('discard', take('discard'), { off: 'ignore', ignore: 'ignore', on: 'unmap', unmap: 'unmap' });
  const detect = choice('detect-zeroes', take('detect-zeroes'), { off: 'off', on: 'on', unmap: 'unmap' });
  const common: CommonOptions = {
    driver: text('driver', take('driver')),
    name: text('node-name', take('node-name')),
    readOnly: bool('read-only', take('read-only'), inherited.readOnly),
    forceShare: bool('force-share', take('force-share'), inherited.forceShare),
    discard: discard ?? inherited.discard ?? 'ignore',
    detectZeroes: detect ?? inherited.detectZeroes ?? 'off',
    cache: {
      writeThrough: !writeback,
      direct: bool('cache.direct', cache['direct'], above.direct ?? false),
      noFlush: bool('cache.no-flush', cache['no-flush'], above.noFlush ?? false),
    },
    snapshot: bool('snapshot', take('snapshot'), inherited.snapshot ?? false),
    copyOnRead: bool('copy-on-read', take('copy-on-read'), false),
    own,
  };
  take('auto-read-only');
  if (common.forceShare && !common.readOnly)
    throw new BlockError('invalid-option', 'force-share=on can only be used with read-only images');
  if (common.detectZeroes === 'unmap' && common.discard !== 'unmap')
    throw new BlockError(
      'invalid-option',
      'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap',
    );
  return common;
}

export function text(key: string, value: OptionValue | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object') throw new BlockError('invalid-option', `Parameter '${key}' expects a string`);
  return String(value);
}

export function bool(key: string, value: OptionValue | undefined, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (value === true || value === 'on' || value === 'yes' || value === 'true' || value === 'y') return true;
  if (value === false || value === 'off' || value === 'no' || value === 'false' || value === 'n') return false;
  throw new BlockError('invalid-option', `Parameter '${key}' expects 'on' or 'off'`);
}

/** Bytes: a number, or one with a suffix k, M, G, T, P. */
export function bytes(key: string, value: OptionValue | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  const match = /^(\d+(?:\.\d+)?)([bkmgtpe]?)$/i.exec(text(key, value) ?? '');
  const power = match === null ? -1 : 'bkmgtpe'.indexOf((match[2] ?? '').toLowerCase() || 'b');
  const size = match === null ? NaN : Number(match[1]) * 1024 ** power;
  if (!Number.isSafeInteger(size)) throw new BlockError('invalid-option', `Parameter '${key}' expects a size`);
  return size;
}

export function number(key: string, value: OptionValue | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  const result = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof result !== 'number' || !Number.isSafeInteger(result) || result < 0)
    throw new BlockError('invalid-option', `Parameter '${key}' expects a number`);
  return result;
}

function choice<T extends string>(
  key: string,
  value: OptionValue | undefined,
  values: Readonly<Record<string, T>>,
): T | undefined {
  if (value === undefined) return undefined;
  const name = typeof value === 'boolean' ? (value ? 'on' : 'off') : (text(key, value) ?? '');
  if (Object.hasOwn(values, name)) return values[name];
  throw new BlockError('invalid-option', `Invalid ${key} option`);
}

/** Nothing may be left. */
export function expectEmpty(driver: string, own: OptionTree): void {
  const [key] = Object.keys(flatten(own));
  if (key !== undefined)
    throw new BlockError('invalid-option', `Block format '${driver}' does not support the option '${key}'`);
}
