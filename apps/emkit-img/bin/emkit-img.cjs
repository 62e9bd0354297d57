#!/usr/bin/env node
/**
 * The `emkit-img` command: runs the bundle. A file of its own, since npm links a command only if its file is there at the time of
 * the installation, and in a clone the bundle is built later.
 */
import { existsSync } from 'node:fs';

const bundle = new URL('../dist/emkit-img.js', import.meta.url);
if (existsSync(bundle)) await import(bundle.href);
else {
  process.stderr.write('emkit-img: not built yet\n  try: npm run build\n');
  process.exitCode = 1;
}
