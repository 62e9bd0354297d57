/**
 * `npm run gen`: runs the `gen` script of every package that has one (generated files are in `src/gen`, committed).
 * `--check` fails, after putting nothing back, when that changes a file: then the committed one was stale.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspacePackages } from '../workspace.ts';

const before = snapshot();
execFileSync('npm', ['run', 'gen', '--workspaces', '--if-present', '--loglevel=error'], { stdio: 'inherit' });

if (process.argv.includes('--check')) {
  const after = snapshot();
  const stale = [...after.keys()].filter((file) => before.get(file) !== after.get(file));
  for (const file of stale) console.log(`stale: ${file} (npm run gen has rewritten it: commit the result)`);
  console.log(`${after.size - stale.length} passed, ${stale.length} failed`);
  process.exitCode = stale.length === 0 ? 0 : 1;
}

/** Path -> content of all generated files. */
function snapshot(): Map<string, string> {
  const files = new Map<string, string>();
  for (const { dir } of workspacePackages()) {
    const gen = join(dir, 'src/gen');
    if (!existsSync(gen)) continue;
    for (const name of readdirSync(gen, { recursive: true, encoding: 'utf8' })) {
      if (name.includes('.')) files.set(join(gen, name), readFileSync(join(gen, name), 'latin1'));
    }
  }
  return files;
}
