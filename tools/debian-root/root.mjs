/**
 * A Debian root file system made by debootstrap, in .cache/debian-root, and initramfs images of it with a first program of one's own.
 * Needs root, network and some 700 MB; a few minutes the first time.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureAptPackage } from '../apt-program.mjs';
import { ROOT } from '../start/bundle.mjs';

export const WORK = join(ROOT, '.cache/debian-root');
export const GUEST = join(WORK, 'root');
const PACKAGES = 'python3-minimal,perl-base,gcc,libc6-dev,openssl,xz-utils,sqlite3';
/** What the root was made of: another list makes it anew. */
const STAMP = join(WORK, 'root.packages');
/** Not needed to run, and the initramfs lies in the guest's memory twice while it is unpacked. */
const LEFT_OUT = 'usr/share/doc usr/share/man usr/share/locale usr/share/info var/cache/apt var/lib/apt/lists'.split(
  ' ',
);

export function run(program, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${status}\n${stderr ?? ''}`);
  return stdout;
}

const has = (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** Makes the root unless it is there, and gives its folder. */
export function ensureRoot() {
  for (const program of ['debootstrap', 'cpio'])
    if (!ensureAptPackage(program, () => has(program)))
      throw new Error(`${program} is missing\n  try: apt-get install ${program}, as root`);
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === PACKAGES) return GUEST;
  rmSync(GUEST, { recursive: true, force: true });
  rmSync(STAMP, { force: true });
  mkdirSync(WORK, { recursive: true });
  console.error('debootstrap: a few minutes');
  run('debootstrap', ['--variant=minbase', `--include=${PACKAGES}`, 'bookworm', GUEST]);
  for (const path of LEFT_OUT) rmSync(join(GUEST, path), { recursive: true, force: true });
  writeFileSync(STAMP, PACKAGES);
  return GUEST;
}

/**
 * An initramfs of the root: `init` becomes its first program, `files` (path in the root to file here) come beside it; what matches
 * one of find's patterns in `without` stays out. Gives the image's path.
 */
export function makeImage(name, init, files = {}, without = []) {
  const image = join(WORK, `${name}.cpio`);
  for (const [path, from] of Object.entries({ init, ...files })) copyFileSync(from, join(GUEST, path));
  chmodSync(join(GUEST, 'init'), 0o755);
  const prune = without.length === 0 ? '' : `\\( ${without.map((w) => `-path '${w}'`).join(' -o ')} \\) -prune -o`;
  run('sh', ['-c', `find . -xdev ${prune} -print | cpio -o -H newc --quiet > ${image}`], { cwd: GUEST });
  console.error(`initramfs: ${Math.round(statSync(image).size / 2 ** 20)} MiB`);
  return image;
}
