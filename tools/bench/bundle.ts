/** Bundles run-emkit.ts as the command itself is bundled (apps/emkit): sources of all packages, one file, not minified. */
import { build } from 'esbuild';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Gives the path of the bundle. It is this process's own and goes with it, so that every round runs the same code even
 * while someone edits the sources; in `keepIn`, beside the profiles that name its lines, it stays. Throws what esbuild
 * reports when the sources cannot be bundled.
 */
export async function bundleRunner(keepIn?: string): Promise<string> {
  const outfile =
    keepIn === undefined ? join(ROOT, `.cache/bench/run-emkit-${process.pid}.mjs`) : join(keepIn, 'run-emkit.mjs');
  if (keepIn === undefined) process.once('exit', () => rmSync(outfile, { force: true }));
  await build({
    entryPoints: [join(dirname(fileURLToPath(import.meta.url)), 'run-emkit.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    conditions: ['@emkit/source', 'import', 'module', 'default'],
    logLevel: 'error',
  });
  return outfile;
}
