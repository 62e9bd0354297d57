/**
 * Makes a fresh clone usable: installs the npm dependencies when node_modules does not match package-lock.json.
 * Plain Node, no dependency. Imported by the tools that start from nothing; run alone by `npm test`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const LOCK = join(ROOT, 'package-lock.json');
const INSTALLED = join(ROOT, 'node_modules/.package-lock.json');
const STAMP = join(ROOT, 'node_modules/.cache/emkit-lock-hash');
const MIN_NODE = [20, 19];

/** Installs the dependencies if needed; returns whether it did. Ends the process with a message when it cannot. */
export function bootstrap() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    console.error(`emkit needs Node ${MIN_NODE.join('.')} or newer; this is ${process.version} (${process.execPath})`);
    process.exit(1);
  }
  const hash = createHash('sha256').update(readFileSync(LOCK)).digest('hex');
  if (isInstalled(hash)) return false;

  console.error('Installing dependencies (npm install): about a minute, only the first time ...');
  const started = Date.now();
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // Not `npm ci`: it refuses a lock file that lacks the optional binaries of platforms a registry mirror does not carry.
  // With --no-save the locked versions are installed and no file of the clone changes.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
  const { status } = spawnSync(npm, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    console.error(`npm install failed (exit ${status}). Is the npm registry reachable? Try: npm ping`);
    process.exit(1);
  }
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, hash);
  console.error(`Dependencies installed in ${Math.round((Date.now() - started) / 1000)} s.`);
  return true;
}

/** The stamp is ours; without one (a person ran npm install) an install tree not older than the lock file is believed. */
function isInstalled(hash) {
  if (!existsSync(INSTALLED)) return false;
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === hash) return true;
  const SLACK_MS = 10_000; // npm install writes the lock file last
  return statSync(INSTALLED).mtimeMs + SLACK_MS >= statSync(LOCK).mtimeMs;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) bootstrap();
