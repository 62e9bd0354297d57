/** Makes sure that the browser for `npm run test:browser` is there: installs Debian's as root, otherwise says what to do. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { CHROMIUM } from './chromium.mjs';

if (!existsSync(CHROMIUM)) {
  const isRoot = process.getuid?.() === 0;
  const hasApt = spawnSync('apt-get', ['--version']).status === 0;
  if (isRoot && hasApt) {
    console.error(`${CHROMIUM} is missing: installing Debian's chromium`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args) => spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 2, 2], env });
    apt('update');
    apt('install', '-y', '--no-install-recommends', 'chromium');
  }
  if (!existsSync(CHROMIUM)) {
    console.error(`test:browser: ${CHROMIUM} is missing
    Install it:          sudo apt-get install chromium
    or name another one: CHROMIUM=/path/to/chrome npm run test:browser`);
    process.exit(1);
  }
}
