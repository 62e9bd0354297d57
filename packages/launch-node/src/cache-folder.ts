/**
 * Where compiled code is kept: below the user's cache folder, by command, version and runtime.
 *
 * What lies there is run, so the folder must be the user's own and writable by nobody else; else there is no cache.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import type * as Os from 'node:os';
import { isAbsolute, join } from 'node:path';
import { LIMITS } from './limits.ts';

const OTHERS_MAY_WRITE = 0o022;
const DAY = 24 * 3600 * 1000;

/** The user's cache folder as the platform has it. `env`: as process.env. */
export function cacheHome(env: NodeJS.ProcessEnv, platform: string, home: string): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = env;
  // the XDG specification has relative paths ignored
  if (xdg !== undefined && isAbsolute(xdg)) return xdg;
  if (platform === 'win32') return local ?? join(home, 'AppData', 'Local');
  return platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache');
}

/** The folder for this command under this runtime, made where it is missing; undefined: there can be none that is safe. */
export function openCacheFolder(name: string, version: string, home = userCacheHome()): string | undefined {
  if (home === undefined) return undefined;
  const parent = join(home, 'emkit', 'code', name);
  const folder = join(parent, `${version}-node${process.versions.node}-v8${process.versions.v8}-${process.arch}`);
  try {
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      removeOld(parent, folder);
    }
    return isOwnFolder(folder) ? folder : undefined;
  } catch {
    // read-only home, full disk: a cache is no reason to fail
    return undefined;
  }
}

/** The user's cache folder; undefined: nobody knows it. */
export function userCacheHome(): string | undefined {
  try {
    return cacheHome(process.env, process.platform, homeFolder());
  } catch {
    return undefined;
  }
}

/** As os.homedir() gives it, without Node's module for that where the environment says it: loading it takes most of a millisecond. */
function homeFolder(): string {
  const { HOME: home } = process.env;
  if (process.platform !== 'win32' && home !== undefined && home !== '') return home;
  const { homedir }: typeof Os = process.getBuiltinModule('node:os');
  return homedir();
}

/** Is it a folder of this user's that nobody else may write to? */
export function isOwnFolder(folder: string): boolean {
  const stat = lstatSync(folder);
  if (!stat.isDirectory()) return false;
  const user = process.getuid?.();
  return user === undefined || (stat.uid === user && (stat.mode & OTHERS_MAY_WRITE) === 0);
}

function removeOld(parent: string, current: string): void {
  for (const entry of readdirSync(parent)) {
    const folder = join(parent, entry);
    if (folder !== current && Date.now() - statSync(folder).mtimeMs > LIMITS.KEPT_DAYS * DAY)
      rmSync(folder, { recursive: true, force: true });
  }
}
