#!/usr/bin/env node
/**
 * The `emkit-img` command: runs the bundle. A file of its own, since npm links a command only if its file is there at the time of
 * the installation, and in a clone the bundle is built later. CommonJS, which starts some milliseconds sooner.
 */
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const dist = join(__dirname, '..', 'dist');
if (existsSync(join(dist, 'launch.cjs'))) require('../dist/launch.cjs').run(join(dist, 'emkit-img.cjs'), require);
else {
  process.stderr.write('emkit-img: not built yet\n  try: npm run build\n');
  process.exitCode = 1;
}
