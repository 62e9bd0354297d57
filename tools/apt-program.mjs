/**
 * Installs a Debian package that a test layer needs, where that can be done without asking: as root, with apt.
 * Plain Node, no dependency. Who lacks either gets a message from the caller.
 */
import { spawnSync } from 'node:child_process';

/** Installs `name` unless `isThere()`; returns whether it is there now. */
export function ensureAptPackage(name, isThere) {
  if (isThere()) return true;
  const isRoot = process.getuid?.() === 0;
  const hasApt = spawnSync('apt-get', ['--version']).status === 0;
  if (!isRoot || !hasApt) return false;
  console.error(`${name} is missing: installing Debian's`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 2, 2], env });
  apt('update');
  apt('install', '-y', '--no-install-recommends', name);
  return isThere();
}
