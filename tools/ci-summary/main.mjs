/**
 * Prints one line per layer and, last and alone on a line, `N passed, N failed`, from the results that tools/ci/run.ts
 * left in .cache/ci. Exit code 1 when anything failed or nothing ran. Plain Node, so it works even where nothing could be installed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const RESULTS = join(dirname(fileURLToPath(import.meta.url)), '../../.cache/ci');

const files = existsSync(RESULTS) ? readdirSync(RESULTS).filter((name) => name.endsWith('.result.json')) : [];
const results = files.map((name) => JSON.parse(readFileSync(join(RESULTS, name), 'utf8')));
results.sort((a, b) => a.order - b.order);

for (const r of results) {
  const mark = r.failed === 0 ? 'ok    ' : 'FAILED';
  const counts = `${String(r.passed).padStart(7)} passed ${String(r.failed).padStart(5)} failed`;
  const known = r.known > 0 ? `   (and ${r.known} known failures)` : '';
  console.log(`${mark} ${r.layer.padEnd(14)} ${counts} ${String(r.seconds).padStart(5)} s${known}`);
}
const passed = results.reduce((sum, r) => sum + r.passed, 0);
const failed = results.length === 0 ? 1 : results.reduce((sum, r) => sum + r.failed, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
