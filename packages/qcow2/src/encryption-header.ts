/** Where the LUKS header of an encrypted image stands. qcow2 spec, "Full disk encryption header pointer". */
import { BlockError } from '@emkit/storage';
import { Extension } from './constants.ts';
import type { Qcow2Header } from './header.ts';
import { findExtension } from './header-extensions.ts';
import { MAX_HOST_OFFSET } from './limits.ts';
import { getU64, setU64, viewOf } from './u64.ts';

export interface CryptoHeaderArea {
  readonly offset: number;
  readonly length: number;
}

const EXTENSION_BYTES = 16;
/** Bytes; what LUKS1 has before its payload is 2 MiB as a rule. */
export const MAX_CRYPTO_HEADER_BYTES = 64 * 1024 * 1024;

/** undefined: the image has none. */
export function cryptoHeaderArea(header: Qcow2Header): CryptoHeaderArea | undefined {
  const data = findExtension(header.extensions, Extension.CRYPTO_HEADER);
  if (data === undefined) return undefined;
  if (data.length !== EXTENSION_BYTES)
    throw new BlockError('invalid-format', `CRYPTO header extension size ${data.length}, but expected size 16`, {
      field: 'full disk encryption header pointer',
    });
  const offset = getU64(viewOf(data), 0);
  const length = getU64(viewOf(data), 8);
  if (offset % 2 ** header.clusterBits !== 0)
    throw new BlockError(
      'invalid-format',
      `Encryption header offset '${offset}' is not a multiple of cluster size '${2 ** header.clusterBits}'`,
      {
        field: 'full disk encryption header offset',
      },
    );
  if (offset > MAX_HOST_OFFSET || length > MAX_CRYPTO_HEADER_BYTES)
    throw new BlockError('invalid-format', 'Encryption header is too large', {
      field: 'full disk encryption header length',
    });
  return { offset, length };
}

export function encodeCryptoHeaderArea(area: CryptoHeaderArea): Uint8Array {
  const data = new Uint8Array(EXTENSION_BYTES);
  setU64(viewOf(data), 0, area.offset);
  setU64(viewOf(data), 8, area.length);
  return data;
}
