/** Opens a file or block device as a storage. What a name means is the caller's business: no `file:` prefix, no format. */
import * as fs from 'node:fs';
import { BlockError } from '@emkit/storage';
import { lockFile, type LockMode } from './file-lock.ts';
import { FileStorage, type Blocking, type LockState } from './file-storage.ts';
import { loadSystemCalls, type SystemCalls } from './system-calls.ts';
import { systemError } from './system-error.ts';

export interface OpenFileOptions {
  /** Default false. */
  readonly readOnly?: boolean | undefined;
  /** Calls block the thread (`Storage.mayBlock`): the fastest for a tool or a worker. `quick-reads`: only reads, while memory serves them. Default false. */
  readonly blocking?: Blocking | undefined;
  /** Make the file if it is not there, and empty it if it is (after its lock was taken). */
  readonly create?: boolean | undefined;
  /** With `create`: fail with `exists` when it is there. */
  readonly exclusive?: boolean | undefined;
  /** Default: `exclusive` for writing, `shared` for reading only. */
  readonly lock?: LockMode | undefined;
  /** In place of koffi's; null: do without. For tests. */
  readonly systemCalls?: SystemCalls | null | undefined;
}

/** Rejects with `not-found`, `exists`, `locked`, `read-only` or `io`; the message is QEMU's. `locks` of the result tells whether there is a lock. */
export async function openFile(path: string, options: OpenFileOptions = {}): Promise<FileStorage> {
  const { readOnly = false, blocking = false, create = false, exclusive = false } = options;
  if (create && readOnly) throw new BlockError('invalid-option', 'a new file cannot be read-only');
  const calls = options.systemCalls === undefined ? await loadSystemCalls() : (options.systemCalls ?? undefined);
  const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
  const flags = readOnly ? O_RDONLY : O_RDWR | (create ? O_CREAT : 0) | (exclusive ? O_EXCL : 0);
  const what = create ? `Could not create '${path}'` : `Could not open '${path}'`;
  let fd: number;
  try {
    // a FIFO without a writer would block the open for ever
    fd = fs.openSync(path, flags | fs.constants.O_NONBLOCK, 0o644);
  } catch (error) {
    throw systemError(error, what);
  }
  try {
    const stat = fs.fstatSync(fd);
    const isDevice = stat.isBlockDevice();
    if (stat.isDirectory()) throw new BlockError('io', `${what}: Is a directory`);
    if (!isDevice && !stat.isFile())
      throw new BlockError('io', `${what}: A regular file or block device was expected, but something else was given`);
    const locks = takeLock(calls, fd, options.lock ?? (readOnly ? 'shared' : 'exclusive'), path);
    if (create && !isDevice) fs.ftruncateSync(fd, 0);
    const size = create && !isDevice ? 0 : isDevice ? deviceSize(fd, calls) : stat.size;
    return new FileStorage({ fd, path, size, readOnly, blocking, isDevice, locks, calls });
  } catch (error) {
    fs.closeSync(fd);
    throw systemError(error, what);
  }
}

function takeLock(calls: SystemCalls | undefined, fd: number, mode: LockMode, path: string): LockState {
  if (mode === 'none') return 'off';
  if (calls?.locks === undefined) return 'unavailable';
  return lockFile(calls.locks, fd, mode, path) ? 'held' : 'unavailable';
}

/** stat gives 0 for block devices. Without lseek: the last byte that can be read, by halving. */
export function deviceSize(fd: number, calls: SystemCalls | undefined): number {
  const end = calls?.end(fd) ?? -1;
  if (end >= 0) return end;
  const one = new Uint8Array(1);
  const has = (offset: number): boolean => {
    try {
      return fs.readSync(fd, one, 0, 1, offset) === 1;
    } catch {
      return false;
    }
  };
  if (!has(0)) return 0;
  let low = 0;
  let high = 1;
  while (high < 2 ** 52 && has(high)) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (has(middle)) low = middle;
    else high = middle;
  }
  return low + 1;
}
