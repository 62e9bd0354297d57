/**
 * Advisory locks on an image file that QEMU's programs honour and are honoured by: byte 100+n is held for reading by everyone who uses permission n, byte
 * 200+n by everyone who does not let others use it. The locks are those of the open file description, so two opens in one process conflict as well.
 *
 * Facts: QEMU's documentation, "System Emulation / QEMU block drivers / Disk image file locking"; the bytes as /proc/locks shows them for qemu-img 7.2
 * (test `e2e/locks.test.ts`). Locks vanish with the file descriptor, so a killed program leaves none.
 */
import { BlockError } from '@emkit/storage';
import { F_RDLCK, F_UNLCK, F_WRLCK, type RangeLocks } from './system-calls.ts';

/** `exclusive`: read and write, others may do neither than read with `-U`. `shared`: read, others may read too. `none`: as `force-share`. */
export type LockMode = 'exclusive' | 'shared' | 'none';

const USED = 100;
const UNSHARED = 200;
/** Bits of permissions that qemu-img takes for formats. */
const CONSISTENT_READ = 0;
const WRITE = 1;
const RESIZE = 3;
const NAMES: Readonly<Record<number, string>> = { 0: 'consistent read', 1: 'write', 3: 'resize' };

const RULES = {
  exclusive: { uses: [CONSISTENT_READ, WRITE, RESIZE], unshares: [WRITE, RESIZE] },
  shared: { uses: [CONSISTENT_READ], unshares: [WRITE, RESIZE] },
} as const;

/** Takes all locks or none; throws `locked` in QEMU's words when another program is in the way. Gives false where the file system has no locks. */
export function lockFile(locks: RangeLocks, fd: number, mode: Exclude<LockMode, 'none'>, name: string): boolean {
  const { uses, unshares } = RULES[mode];
  const bytes = [...uses.map((bit) => USED + bit), ...unshares.map((bit) => UNSHARED + bit)];
  const fail = (bit: number, shared: string): never => {
    for (const byte of bytes) locks.set(fd, F_UNLCK, byte, 1);
    throw new BlockError('locked', `Failed to get ${shared}"${NAMES[bit]}" lock`, {
      hint: `Is another process using the image [${name}]?`,
    });
  };
  // first say what we do, then look whether anyone minds: of two that do so at the same time at least one sees the other
  for (const byte of bytes) if (locks.set(fd, F_RDLCK, byte, 1) !== 0) return false;
  for (const bit of uses) if (!locks.isFree(fd, F_WRLCK, UNSHARED + bit, 1)) fail(bit, '');
  for (const bit of unshares) if (!locks.isFree(fd, F_WRLCK, USED + bit, 1)) fail(bit, 'shared ');
  return true;
}
