/** Between the errors of storages and the numbers on the wire. NBD protocol, "Error values". */
import { BlockError, isBlockError, type BlockErrorKind } from '@emkit/storage';
import {
  NBD_EINVAL,
  NBD_EIO,
  NBD_ENOMEM,
  NBD_ENOSPC,
  NBD_ENOTSUP,
  NBD_EOVERFLOW,
  NBD_EPERM,
  NBD_ESHUTDOWN,
} from './protocol.ts';

const OF_KIND: Readonly<Record<BlockErrorKind, number>> = {
  io: NBD_EIO,
  'no-space': NBD_ENOSPC,
  'invalid-format': NBD_EIO,
  'unsupported-feature': NBD_ENOTSUP,
  'corrupt-image': NBD_EIO,
  'out-of-bounds': NBD_EINVAL,
  'read-only': NBD_EPERM,
  'invalid-option': NBD_EINVAL,
  refused: NBD_EPERM,
  'not-found': NBD_EIO,
  exists: NBD_EIO,
  locked: NBD_EPERM,
  key: NBD_EPERM,
  aborted: NBD_EIO,
  closed: NBD_ESHUTDOWN,
};

/** The number that tells a client what a storage said. */
export function errnoOf(error: unknown): number {
  if (isBlockError(error)) return OF_KIND[error.kind] ?? NBD_EIO;
  // what the engine throws when it has no memory for a buffer
  if (error instanceof RangeError) return NBD_ENOMEM;
  return NBD_EIO;
}

const MEANINGS = new Map<number, readonly [BlockErrorKind, string]>([
  [NBD_EPERM, ['refused', 'Operation not permitted']],
  [NBD_EIO, ['io', 'Input/output error']],
  [NBD_ENOMEM, ['io', 'Cannot allocate memory']],
  [NBD_EINVAL, ['io', 'Invalid argument']],
  [NBD_ENOSPC, ['no-space', 'No space left on device']],
  [NBD_EOVERFLOW, ['io', 'Value too large']],
  [NBD_ENOTSUP, ['unsupported-feature', 'Operation not supported']],
  [NBD_ESHUTDOWN, ['io', 'Server is being shut down']],
]);

/** The error of a request that a server refused with `errno`; `detail` is the server's own text. */
export function errorOf(errno: number, request: string, detail: string | undefined): BlockError {
  // unknown numbers count as EINVAL: "Error values"
  const [kind, meaning] = MEANINGS.get(errno) ?? (['io', `error ${errno}`] as const);
  return new BlockError(
    kind,
    `${request}: the server says: ${meaning}${detail === undefined ? '' : ` (${printable(detail)})`}`,
  );
}

/** A peer's text as it may stand in our messages: one line, no control characters, not long. */
export function printable(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 200)}...` : line;
}
