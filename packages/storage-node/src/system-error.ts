/** Failures of system calls as `BlockError`, in the C library's words, which QEMU prints and scripts look for. */
import { BlockError, type BlockErrorKind } from '@emkit/storage';

/** errno of Linux: name, kind, text of strerror(3). Others keep Node's own text. */
const ERRORS: Readonly<Record<string, readonly [kind: BlockErrorKind, text: string, number: number]>> = {
  EPERM: ['io', 'Operation not permitted', 1],
  ENOENT: ['not-found', 'No such file or directory', 2],
  EIO: ['io', 'Input/output error', 5],
  EAGAIN: ['locked', 'Resource temporarily unavailable', 11],
  EACCES: ['io', 'Permission denied', 13],
  EBUSY: ['locked', 'Device or resource busy', 16],
  EEXIST: ['exists', 'File exists', 17],
  ENOTDIR: ['not-found', 'Not a directory', 20],
  EISDIR: ['io', 'Is a directory', 21],
  EINVAL: ['io', 'Invalid argument', 22],
  EMFILE: ['io', 'Too many open files', 24],
  ETXTBSY: ['locked', 'Text file busy', 26],
  EFBIG: ['no-space', 'File too large', 27],
  ENOSPC: ['no-space', 'No space left on device', 28],
  EROFS: ['read-only', 'Read-only file system', 30],
  ENAMETOOLONG: ['not-found', 'File name too long', 36],
  ELOOP: ['io', 'Too many levels of symbolic links', 40],
  EDQUOT: ['no-space', 'Disk quota exceeded', 122],
  ECONNREFUSED: ['io', 'Connection refused', 111],
  ECONNRESET: ['io', 'Connection reset by peer', 104],
  EADDRINUSE: ['io', 'Address already in use', 98],
  ETIMEDOUT: ['io', 'Connection timed out', 110],
  EPIPE: ['io', 'Broken pipe', 32],
  EHOSTUNREACH: ['io', 'No route to host', 113],
};

/** `what`: what was tried, such as `Could not open 'a.img'`; the reason follows after a colon. */
export function systemError(error: unknown, what: string): BlockError {
  if (error instanceof BlockError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const known = typeof code === 'string' ? ERRORS[code] : undefined;
  const text = known?.[1] ?? (error instanceof Error ? error.message : String(error));
  return new BlockError(known?.[0] ?? 'io', `${what}: ${text}`, { cause: error });
}

/** Of a bare number. */
export function errnoError(errno: number, what: string): BlockError {
  for (const [kind, text, number] of Object.values(ERRORS))
    if (number === errno) return new BlockError(kind, `${what}: ${text}`);
  return new BlockError('io', `${what}: Unknown error ${errno}`);
}
