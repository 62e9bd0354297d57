/**
 * Debian's installer kernel for i386 or amd64 and a small initramfs, in the user's cache: `ensureKernel()` fetches once and checks always.
 *
 *     node tools/fetch-kernel/fetch-kernel.mjs [--refresh] [--full] [--arch x86_64]      prints the paths as JSON
 *
 * The cache is $XDG_CACHE_HOME/emkit (else ~/.cache/emkit) and may be deleted at any time. A new copy is built aside and moved
 * into place in one rename, so that an interrupted run leaves nothing half done.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { downloadPackage, findProgram, unpackMembers } from './apt.mjs';
import { buildInitramfs } from './initramfs.mjs';
import { createProgress } from './progress.mjs';

/** Debian's name of each architecture that `--arch` knows. */
const DEBIAN = { i386: 'i386', x86_64: 'amd64' };
const packageOf = (debian) => `debian-installer-12-netboot-${debian}`;
const imagesOf = (debian) => `usr/lib/debian-installer/images/12/${debian}/text/debian-installer/${debian}`;
export const PACKAGE = packageOf(DEBIAN.i386);
/** Part of the cache folder's name: a changed initramfs makes a new folder. */
const RECIPE = 1;
/** Largest initrd that is unpacked (the real one has 80 MB). */
const MAX_INITRD = 512 * 1024 * 1024;

export const cacheRoot = (env = process.env) => join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'emkit');

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The folder's manifest when all files that will be used have the recorded size and hash; undefined otherwise. */
export function readCache(folder, names) {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
    for (const name of names) {
      const file = join(folder, name);
      const recorded = manifest.files[name];
      if (statSync(file).size !== recorded.size || digest(readFileSync(file)) !== recorded.sha256) return undefined;
    }
    return manifest;
  } catch {
    return undefined;
  }
}

/** Why a fetch cannot even be tried here, or undefined. */
export function missingTools() {
  const missing = ['apt-get', 'dpkg-deb', 'tar'].filter((name) => findProgram(name) === undefined);
  return missing.length === 0 ? undefined : `${missing.join(', ')} not found`;
}

/**
 * Gives `{ kernel, initramfs, initrd, version, fresh }` (paths). `full` also verifies the installer's own 30 MB initrd.
 * Throws an Error in plain words when it cannot be had.
 */
export async function ensureKernel({
  arch = 'i386',
  refresh = false,
  full = false,
  signal,
  progress = createProgress(),
  root = cacheRoot(),
} = {}) {
  const debian = DEBIAN[arch];
  if (debian === undefined) throw new Error(`--arch ${arch}: known are ${Object.keys(DEBIAN).join(' and ')}`);
  const package_ = packageOf(debian);
  const images = imagesOf(debian);
  const folder = join(root, `${package_}-${RECIPE}`);
  const paths = {
    kernel: join(folder, 'linux'),
    initramfs: join(folder, 'initramfs.cpio'),
    initrd: join(folder, 'initrd.gz'),
  };
  const names = full ? ['linux', 'initramfs.cpio', 'initrd.gz'] : ['linux', 'initramfs.cpio'];
  if (!refresh) {
    const manifest = readCache(folder, names);
    if (manifest !== undefined) return { ...paths, version: manifest.version, fresh: false };
  }
  const problem = missingTools();
  if (problem !== undefined) throw new Error(problem);
  const damaged = existsSync(folder) && !refresh;
  mkdirSync(root, { recursive: true, mode: 0o700 });
  removeLeftovers(root);
  const scratch = mkdtempSync(join(root, '.fetch-'));
  const tidy = () => rmSync(scratch, { recursive: true, force: true });
  process.once('exit', tidy);
  try {
    if (damaged) progress.done('The cached kernel is damaged or incomplete; fetching it again.');
    const deb = await downloadPackage(package_, scratch, {
      signal,
      onProgress: (step, percent) =>
        progress.show(step === 'lists' ? 'Reading package lists' : 'Fetching Debian kernel (105 MB)', percent),
    });
    progress.show('Unpacking');
    await unpackMembers(deb, scratch, [`./${images}/linux`, `./${images}/initrd.gz`], signal);
    progress.show('Preparing initramfs');
    const made = join(scratch, 'made');
    mkdirSync(made);
    for (const name of ['linux', 'initrd.gz']) renameSync(join(scratch, images, name), join(made, name));
    const archive = await promisify(gunzip)(readFileSync(join(made, 'initrd.gz')), { maxOutputLength: MAX_INITRD });
    writeFileSync(join(made, 'initramfs.cpio'), buildInitramfs(archive));
    const files = {};
    for (const name of ['linux', 'initrd.gz', 'initramfs.cpio']) {
      const bytes = readFileSync(join(made, name));
      files[name] = { size: bytes.length, sha256: digest(bytes) };
    }
    const version = decodeURIComponent(basename(deb, '.deb').split('_')[1]);
    writeFileSync(join(made, 'manifest.json'), `${JSON.stringify({ package: package_, version, files }, null, 2)}\n`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(made, folder);
    progress.done(`Debian kernel ${version} is ready in ${folder}`);
    return { ...paths, version, fresh: true };
  } catch (error) {
    progress.done();
    throw error;
  } finally {
    tidy();
    process.removeListener('exit', tidy);
  }
}

/** Folders of runs that were killed more than a day ago. */
function removeLeftovers(root) {
  for (const name of readdirSync(root)) {
    if (!name.startsWith('.fetch-')) continue;
    const folder = join(root, name);
    if (Date.now() - statSync(folder).mtimeMs > 86_400_000) rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const at = process.argv.indexOf('--arch');
    const result = await ensureKernel({
      ...(at < 0 ? {} : { arch: process.argv[at + 1] }),
      refresh: process.argv.includes('--refresh'),
      full: process.argv.includes('--full'),
    });
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  } catch (error) {
    process.stderr.write(`fetch-kernel: ${error.message}\n`);
    process.exit(1);
  }
}
