/** Makes sure that the browser for `npm run test:browser` is there: installs Debian's as root, otherwise says what to do. */
import { existsSync } from 'node:fs';
import { ensureAptPackage } from '../apt-program.mjs';
import { CHROMIUM } from './chromium.mjs';

if (!ensureAptPackage('chromium', () => existsSync(CHROMIUM))) {
  console.error(`test:browser: ${CHROMIUM} is missing
    Install it:          sudo apt-get install chromium
    or name another one: CHROMIUM=/path/to/chrome npm run test:browser`);
  process.exit(1);
}
