/** Bundles run-emkit.ts as the command itself is bundled (apps/emkit): sources of all packages, one file, not minified. */
import { build } from 'esbuild';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Gives the path of the bundle. Throws what esbuild reports when the sources cannot be bundled. */
export async function bundleRunner(): Promise<string> {
  const outfile = join(ROOT, '.cache/bench/run-emkit.mjs');
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
