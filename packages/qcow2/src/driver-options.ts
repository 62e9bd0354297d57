/** Options of the opened image in QEMU's names (`-o`-less, as in `--image-opts driver=qcow2,lazy-refcounts=on`). Unknown ones are refused. */
import { BlockError } from '@emkit/storage';
import { DEFAULT_L2_CACHE_BYTES, DEFAULT_REFCOUNT_CACHE_BYTES } from './limits.ts';
import { overlapKinds, type MetadataKind } from './overlap-guard.ts';

export interface DriverOptions {
  /** Over the header's own setting. */
  readonly lazyRefcounts: boolean | undefined;
  /** Give the host back what the guest discards; what snapshots free; what overwriting frees. */
  readonly passDiscardRequest: boolean;
  readonly passDiscardSnapshot: boolean;
  readonly passDiscardOther: boolean;
  readonly overlapKinds: ReadonlySet<MetadataKind>;
  readonly l2CacheBytes: number;
  readonly refcountCacheBytes: number;
}

/** Bytes; a cache smaller than this works no better. */
const MIN_CACHE_BYTES = 64 * 1024;
const MAX_CACHE_BYTES = 1024 * 1024 * 1024;
/** QEMU has these too; they change nothing here: tables are cached in pieces of one size and given back by use, not by time. */
const WITHOUT_EFFECT = ['l2-cache-entry-size', 'cache-clean-interval', 'cache-size'];
/** The secret itself comes with the open options, and the format stands in the header. */
const ENCRYPTION = ['encrypt.format', 'encrypt.key-secret'];

export function parseDriverOptions(given: Readonly<Record<string, string>> = {}): DriverOptions {
  const options = new Map(Object.entries(given));
  const take = (name: string): string | undefined => {
    const value = options.get(name);
    options.delete(name);
    return value;
  };
  const bool = (name: string): boolean | undefined => {
    const value = take(name);
    if (value === undefined) return undefined;
    if (value !== 'on' && value !== 'off')
      throw new BlockError('invalid-option', `Parameter '${name}' expects 'on' or 'off'`);
    return value === 'on';
  };
  const bytes = (name: string, normal: number): number => {
    const value = take(name);
    if (value === undefined) return normal;
    if (!/^\d{1,15}$/.test(value)) throw new BlockError('invalid-option', `Parameter '${name}' expects a size`);
    return Math.min(Math.max(Number(value), MIN_CACHE_BYTES), MAX_CACHE_BYTES);
  };
  const parsed: DriverOptions = {
    lazyRefcounts: bool('lazy-refcounts'),
    passDiscardRequest: bool('pass-discard-request') ?? true,
    passDiscardSnapshot: bool('pass-discard-snapshot') ?? true,
    passDiscardOther: bool('pass-discard-other') ?? false,
    overlapKinds: overlapKinds(options),
    l2CacheBytes: bytes('l2-cache-size', DEFAULT_L2_CACHE_BYTES),
    refcountCacheBytes: bytes('refcount-cache-size', DEFAULT_REFCOUNT_CACHE_BYTES),
  };
  for (const name of [...WITHOUT_EFFECT, ...ENCRYPTION]) options.delete(name);
  const [unknown] = options.keys();
  if (unknown !== undefined)
    throw new BlockError('invalid-option', `Block format 'qcow2' does not support the option '${unknown}'`);
  return parsed;
}
