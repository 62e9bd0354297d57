/**
 * The system calls that Node lacks, through the optional dependency koffi: lseek for holes, fallocate, byte-range locks. Without koffi, or on a system whose
 * numbers are not known here, there are none, and `FileStorage` does without.
 *
 * Numbers: Linux UAPI `fcntl.h`, `falloc.h`, `fs.h` of 64-bit systems; man lseek(2), fallocate(2), fcntl(2).
 */
import { nativeKoffi, type Koffi } from './native-koffi.ts';

export interface SystemCalls {
  /** The start of the next data (`data`) or hole at or after `offset`; undefined: none before the end; -1: the file system does not know. */
  seek(fd: number, offset: number, target: 'data' | 'hole'): number | undefined;
  /** Bytes up to the end, also of a block device; negative: failed. Moves the file position, which nothing else here uses. */
  end(fd: number): number;
  readonly fallocate?: Fallocate | undefined;
  readonly locks?: RangeLocks | undefined;
}

export interface Fallocate {
  /** Give 0 or an errno. */
  run(mode: number, fd: number, offset: number, length: number): number;
  runAsync(mode: number, fd: number, offset: number, length: number): Promise<number>;
  /** posix_fallocate(3). */
  reserve(fd: number, offset: number, length: number): number;
  reserveAsync(fd: number, offset: number, length: number): Promise<number>;
}

export interface RangeLocks {
  /** Gives 0 or an errno; EAGAIN (11): somebody holds it. */
  set(fd: number, type: number, start: number, length: number): number;
  /** Whether a lock of this type could be had: nobody else's is in the way. */
  isFree(fd: number, type: number, start: number, length: number): boolean;
}

export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const FALLOC_FL_ZERO_RANGE = 0x10;
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const ENXIO = 6;
const EINVAL = 22;
/** SEEK_DATA and SEEK_HOLE: the two systems that have them disagree. */
const SEEK = { linux: { data: 3, hole: 4 }, darwin: { data: 4, hole: 3 } } as const;
const WIDE = new Set(['x64', 'arm64', 'riscv64', 'loong64', 'ppc64']);

const loaded: { promise?: Promise<SystemCalls | undefined> } = {};

export function loadSystemCalls(): Promise<SystemCalls | undefined> {
  return (loaded.promise ??= load().catch(() => undefined));
}

async function load(): Promise<SystemCalls | undefined> {
  const platform = process.platform;
  if ((platform !== 'linux' && platform !== 'darwin') || !WIDE.has(process.arch)) return undefined;
  const koffi: Koffi = (platform === 'linux' ? nativeKoffi() : undefined) ?? (await import('koffi')).default;
  const lib = koffi.load(null);
  const lseek = lib.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const numbers = SEEK[platform];
  const base = {
    seek(fd: number, offset: number, target: 'data' | 'hole'): number | undefined {
      const found = Number(lseek(fd, offset, numbers[target]));
      if (found >= 0) return found;
      return koffi.errno() === ENXIO ? undefined : -1;
    },
    end: (fd: number): number => Number(lseek(fd, 0, 2)),
  };
  if (platform !== 'linux') return base;

  const fallocate = lib.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
  const reserve = lib.func('int posix_fallocate(int fd, int64_t offset, int64_t length)');
  const later = (start: (done: (error: unknown, result: number) => void) => void): Promise<number> =>
    new Promise((resolve) => start((error, result) => resolve(error === null || error === undefined ? result : -1)));
  const Flock = koffi.struct({
    type: 'int16_t',
    whence: 'int16_t',
    start: 'int64_t',
    length: 'int64_t',
    pid: 'int32_t',
  });
  const fcntl = lib.func('int fcntl(int fd, int command, ...)');
  const pointer = koffi.pointer(Flock);
  const inout = koffi.inout(pointer);
  return {
    ...base,
    fallocate: {
      run: (mode, fd, offset, length) => (fallocate(fd, mode, offset, length) === 0 ? 0 : koffi.errno()),
      // errno belongs to the thread that made the call, so a failure is asked again here, where it is known to be cheap
      runAsync: async (mode, fd, offset, length) =>
        (await later((done) => fallocate.async(fd, mode, offset, length, done))) === 0
          ? 0
          : fallocate(fd, mode, offset, length) === 0
            ? 0
            : koffi.errno() || EINVAL,
      reserve: (fd, offset, length) => reserve(fd, offset, length) as number,
      reserveAsync: (fd, offset, length) => later((done) => reserve.async(fd, offset, length, done)),
    },
    locks: {
      set: (fd, type, start, length) =>
        fcntl(fd, F_OFD_SETLK, pointer, { type, whence: 0, start, length, pid: 0 }) === 0 ? 0 : koffi.errno(),
      isFree(fd, type, start, length) {
        const lock = { type, whence: 0, start, length, pid: 0 };
        return fcntl(fd, F_OFD_GETLK, inout, lock) !== 0 || lock.type === F_UNLCK;
      },
    },
  };
}
