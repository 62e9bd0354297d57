/** Makes sure that qemu-img, qemu-io and qemu-nbd, which the disk formats are compared with, are there. For tests and benches only. */
import { spawnSync } from 'node:child_process';
import { ensureAptPackage } from '../apt-program.mjs';

const PACKAGES = { 'qemu-utils': 'qemu-img', 'libnbd-bin': 'nbdinfo' };

for (const [name, program] of Object.entries(PACKAGES)) {
  if (!ensureAptPackage(name, () => spawnSync(program, ['--version']).status === 0)) {
    console.error(`${program} is missing\n    Install it: sudo apt-get install ${name}`);
    process.exit(1);
  }
}
