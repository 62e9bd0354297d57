/**
 * `npm run test:debian-root`: a Debian root file system, made by debootstrap, runs under emkit from an initramfs; python3, perl, gcc, openssl and programs
 * (zlib among them) compiled for x86-64-v3 print there what they print on the host's processor in a chroot. Needs root, network, some 700 MB and several minutes: not part of CI.
 * Ends with `N passed, N failed` (sections that agree).
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureKernel } from '../fetch-kernel/fetch-kernel.mjs';
import { createProgress } from '../fetch-kernel/progress.mjs';
import { BUNDLE, ensureBundle } from '../start/bundle.mjs';
import { ensureZlibProgram } from './zlib.mjs';
import { ensureRoot, GUEST, makeImage, run, WORK } from './root.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const GUEST_MIB = 2048;
const MINUTES = 20;

function makeRoot() {
  ensureRoot();
  copyFileSync(join(HERE, 'programs.c'), join(GUEST, 'root/programs.c'));
  const compile = 'gcc -O3 -march=x86-64-v3 -o /root/programs-v3 /root/programs.c -lm';
  run('chroot', [GUEST, '/bin/sh', '-c', compile]);
  ensureZlibProgram();
  return makeImage('root', join(HERE, 'guest-init.sh'));
}

/** Section name to its lines. */
function sections(text) {
  const found = new Map();
  let lines;
  for (const line of text.split(/\r?\n/)) {
    const name = /^@@ (.*)$/.exec(line)?.[1];
    if (name !== undefined) found.set(name, (lines = []));
    // the kernel's own lines come in between
    else if (!/^\[ *\d+\.\d+\]/.test(line) && line !== '') lines?.push(line);
  }
  return found;
}

async function main() {
  const progress = createProgress();
  ensureBundle(progress);
  const image = makeRoot();
  const native = sections(run('chroot', [GUEST, '/bin/sh', '/init', 'native']));
  const files = await ensureKernel({ arch: 'x86_64', refresh: false, full: false, progress });
  const begun = performance.now();
  const guest = spawnSync(
    process.execPath,
    [
      BUNDLE,
      ...['--arch', 'x86_64', '-cpu', 'max', '-m', String(GUEST_MIB), '-nographic', '-no-reboot'],
      ...['-kernel', files.kernel, '-initrd', image, '-append', 'console=ttyS0 rdinit=/init quiet'],
    ],
    { encoding: 'utf8', maxBuffer: 1 << 28, timeout: MINUTES * 60_000, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  writeFileSync(join(WORK, 'serial.log'), guest.stdout);
  const seen = sections(guest.stdout);
  let passed = 0;
  let failed = 0;
  for (const [name, lines] of native) {
    const got = seen.get(name);
    if (got?.join('\n') === lines.join('\n')) passed++;
    else {
      failed++;
      console.log(`${name}: the guest printed\n  ${got?.join('\n  ') ?? 'nothing'}\nthe host\n  ${lines.join('\n  ')}`);
    }
  }
  console.log(
    `guest: ${((performance.now() - begun) / 1000).toFixed(0)} s; its console is in ${join(WORK, 'serial.log')}`,
  );
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  console.error(`test:debian-root: ${error.message}`);
  process.exitCode = 1;
}
