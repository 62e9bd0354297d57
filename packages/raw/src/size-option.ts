/** Sizes as options carry them: decimal bytes. */
import { BlockError } from '@emkit/storage';

/** Throws `invalid-option` unless `text` is a number of bytes below 2^53. */
export function parseSize(name: string, text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value))
    throw new BlockError('invalid-option', `Parameter '${name}' expects a non-negative number below 2^53`, {
      field: name,
    });
  return value;
}
