/** Bundles run-emkit.ts as the command itself is bundled (apps/emkit): sources of all packages, in one file. */
import { rolldown } from 'rolldown';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LESS_TEXT, SOURCES } from '../../bundle.shared.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Gives the path of the bundle. It is this process's own and goes with it, so that every round runs the same code even
 * while someone edits the sources; in `keepIn`, beside the profiles that name its lines, it stays. Throws what the bundler
 * reports when the sources cannot be bundled.
 */
export async function bundleRunner(keepIn?: string): Promise<string> {
  const outfile =
    keepIn === undefined ? join(ROOT, `.cache/bench/run-emkit-${process.pid}.mjs`) : join(keepIn, 'run-emkit.mjs');
  if (keepIn === undefined) process.once('exit', () => rmSync(outfile, { force: true }));
  const bundle = await rolldown({
    input: join(dirname(fileURLToPath(import.meta.url)), 'run-emkit.ts'),
    platform: 'node',
    resolve: SOURCES,
  });
  await bundle.write({
    file: outfile,
    format: 'esm',
    minify: keepIn === undefined ? LESS_TEXT : false,
    codeSplitting: false,
  });
  return outfile;
}
