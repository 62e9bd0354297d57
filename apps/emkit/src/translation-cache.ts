/**
 * `-accel tcg,translation-cache=on|DIR`: files of translations in a folder, one for each guest, build and processor.
 *
 * What they hold decides what the guest's code does, so the folder must be the user's own and writable by nobody else. A file is written beside
 * its place and renamed, so a reader sees a whole one; the folder is kept below a size by removing what was used longest ago.
 */
import { createHash } from 'node:crypto';
import { constants, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { isOwnFolder, userCacheHome } from '@emkit/launch-node';
import type { TranslationCacheOptions, TranslationStore } from '@emkit/pc';
import type { MachineConfig } from './machine-config.ts';
import { OptionError } from './option-error.ts';

export const CACHE_LIMITS = {
  /** Larger files are none of ours. */
  FILE_BYTES: 100 * 2 ** 20,
  /** Of all files of a folder. */
  FOLDER_BYTES: 512 * 2 ** 20,
  /** A file whose writing was broken off is removed after this time. */
  UNFINISHED_MS: 24 * 3600 * 1000,
} as const;

const SUFFIX = '.translations';
const UNFINISHED = '.unfinished';

/** As the machine wants it; undefined: translations are not kept. `code`: the file that runs. */
export function translationCache(config: MachineConfig, code: string): TranslationCacheOptions | undefined {
  const { translationCache: where } = config;
  if (where === false) return undefined;
  const home = userCacheHome();
  if (where === true && home === undefined)
    throw new OptionError('translation-cache=on: there is no cache folder', 'translation-cache=DIR');
  const folder = where === true ? join(home!, 'emkit', 'translations') : resolve(where);
  return { store: folderStore(folder), build: buildOf(code), guest: guestOf(config) };
}

/** The guest's files and how it is started, not what is in them: other code in them is found out when translations are used. */
function guestOf({ kernel, initrd, bios, append, demo }: MachineConfig): string {
  const file = (name: string | undefined): string | undefined => (name === undefined ? undefined : resolve(name));
  return JSON.stringify([demo, file(kernel), initrd, file(bios), append]);
}

/** A hash of all code beside the file that runs: another build translates otherwise. */
function buildOf(code: string): string {
  const type = extname(code);
  if (type === '.ts')
    throw new OptionError('translation-cache: only the built command has one', 'npm run build, then bin/emkit.cjs');
  const hash = createHash('sha256');
  const folder = dirname(code);
  for (const name of readdirSync(folder).sort())
    if (name.endsWith(type)) hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

/** Files in a folder, which is made where it is missing. Rejects when the folder is not the user's own. */
export function folderStore(
  folder: string,
  limits: Readonly<Record<keyof typeof CACHE_LIMITS, number>> = CACHE_LIMITS,
): TranslationStore {
  const fileOf = (key: string): string => join(folder, `${createHash('sha256').update(key).digest('hex')}${SUFFIX}`);
  const check = (): void => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isOwnFolder(folder)) throw new Error(`${folder} is not yours alone (chmod go-w)`);
  };
  return {
    load: async (key) => {
      check();
      const file = fileOf(key);
      const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch(unlessMissing);
      if (handle === undefined) return undefined;
      try {
        const { size } = await handle.stat();
        if (size > limits.FILE_BYTES) return undefined;
        const bytes = await handle.readFile();
        const now = new Date();
        await utimes(file, now, now);
        return bytes;
      } finally {
        await handle.close();
      }
    },
    save: async (key, bytes) => {
      if (bytes.length > limits.FILE_BYTES) return;
      check();
      const file = fileOf(key);
      const unfinished = `${file}.${process.pid}${UNFINISHED}`;
      try {
        await writeFile(unfinished, bytes, { mode: 0o600, flag: 'wx' });
        await rename(unfinished, file);
      } catch (error) {
        await rm(unfinished, { force: true });
        throw error;
      }
      await trim(folder, file, limits);
    },
  };
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** Removes what was used longest ago until the rest is small enough; never the file just written. */
async function trim(
  folder: string,
  written: string,
  limits: Readonly<Record<keyof typeof CACHE_LIMITS, number>>,
): Promise<void> {
  const files: { file: string; bytes: number; usedMs: number }[] = [];
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const info = await stat(file).catch(unlessMissing);
    if (info === undefined) continue;
    if (name.endsWith(SUFFIX)) files.push({ file, bytes: info.size, usedMs: info.mtimeMs });
    else if (name.endsWith(UNFINISHED) && Date.now() - info.mtimeMs > limits.UNFINISHED_MS)
      await rm(file, { force: true });
  }
  files.sort((a, b) => b.usedMs - a.usedMs);
  let sum = files.find(({ file }) => file === written)?.bytes ?? 0;
  for (const { file, bytes } of files) {
    if (file === written) continue;
    sum += bytes;
    if (sum > limits.FOLDER_BYTES) await rm(file, { force: true });
  }
}
