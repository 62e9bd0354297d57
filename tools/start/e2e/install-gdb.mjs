/** Makes sure that gdb, which `npm run test:e2e` attaches to a guest, is there: installs it as root, otherwise says what to do. */
import { spawnSync } from 'node:child_process';
import { ensureAptPackage } from '../../apt-program.mjs';

if (!ensureAptPackage('gdb', () => spawnSync('gdb', ['--version']).status === 0)) {
  console.error('test:e2e: gdb is missing\n    Install it: sudo apt-get install gdb');
  process.exit(1);
}
