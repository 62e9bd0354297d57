/** Content identifiers: a disk gets a new one with the first write after an open, so that children of the old content are found out. */
import { BlockError } from '@emkit/storage';
import { CID_NOPARENT } from './descriptor.ts';

const host = globalThis as unknown as { readonly crypto?: { getRandomValues(bytes: Uint8Array): unknown } };

export type Random = (bytes: Uint8Array) => void;

export const platformRandom: Random = (bytes) => {
  if (host.crypto === undefined)
    throw new BlockError('invalid-option', 'this platform has no crypto.getRandomValues: pass `random`');
  host.crypto.getRandomValues(bytes);
};

/**
 * Another CID than `old`, of `digits` hexadecimal digits without a leading zero if that leaves enough of them (so that it fits into the
 * place of one that was written without padding), else of any value.
 */
export function newCid(random: Random, old: number, digits = 8): number {
  const bytes = new Uint8Array(4);
  for (let tries = 0; tries < 64; tries++) {
    random(bytes);
    let cid = new DataView(bytes.buffer).getUint32(0);
    if (digits < 8) cid = 16 ** (digits - 1) + (cid % (15 * 16 ** (digits - 1)));
    if (cid !== old && cid !== CID_NOPARENT) return cid;
  }
  throw new BlockError('invalid-option', '`random` gives always the same bytes');
}
