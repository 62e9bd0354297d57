/** Bundles apps/emkit into its dist folder when a source is newer than the bundle. About a second; nothing when up to date. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const APP = join(ROOT, 'apps/emkit');
export const BUNDLE = join(APP, 'dist/emkit.cjs');
/** Its `run(BUNDLE)` starts the command from V8's code cache, as the file in bin/ does. */
export const LAUNCH = join(APP, 'dist/launch.cjs');

/** Newest modification time of what goes into the bundle. */
function newestSource() {
  let newest = 0;
  const look = (file) => {
    newest = Math.max(newest, statSync(file).mtimeMs);
  };
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts')) look(path);
    }
  };
  for (const folder of [APP, ...readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name))]) {
    if (existsSync(join(folder, 'package.json'))) look(join(folder, 'package.json'));
    if (existsSync(join(folder, 'src'))) walk(join(folder, 'src'));
  }
  for (const config of [join(APP, 'rolldown.config.ts'), join(ROOT, 'bundle.shared.ts')]) look(config);
  return newest;
}

/** Throws an Error with the bundler's own output when the sources cannot be bundled. */
export function ensureBundle(progress) {
  if (existsSync(BUNDLE) && statSync(BUNDLE).mtimeMs > newestSource()) return false;
  progress.show('Bundling emkit');
  const rolldown = join(ROOT, 'node_modules/rolldown/bin/cli.mjs');
  const run = spawnSync(process.execPath, [rolldown, '--config', 'rolldown.config.ts', '--logLevel', 'silent'], {
    cwd: APP,
    encoding: 'utf8',
  });
  progress.done();
  if (run.status !== 0) throw new Error(`emkit could not be bundled:\n${run.stdout}${run.stderr}`);
  return true;
}
