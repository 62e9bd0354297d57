/**
 * `npm run fuzz -- NAME --seconds N --seed S`: runs the fuzz targets `packages/PACKAGE/fuzz/*.fuzz.ts` (NAME is a package,
 * a target or `all`) for N seconds each. The same seed gives the same inputs. A target exports
 * `target: { name, run(seed, iterations): { inputs, findings } }`. Ends with `N passed, N failed` (targets).
 */
import { readdirSync, existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

interface FuzzTarget {
  readonly name: string;
  run(seed: number, iterations: number): FuzzResult | Promise<FuzzResult>;
}

interface FuzzResult {
  readonly inputs: number;
  readonly findings: readonly string[];
}

/** Iterations are doubled until one call takes about this long, so the clock is seldom asked. */
const CALL_MS = 500;
const FIRST_ITERATIONS = 16;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) fail('--seconds wants a positive number, --seed an integer');

const targets = await loadTargets();
const wanted = targets.filter(({ id, target }) =>
  positionals.some((name) => name === 'all' || name === id || name === target.name),
);
if (wanted.length === 0) {
  const list = targets.map(({ id, target }) => `    ${id.padEnd(16)} ${target.name}`).join('\n');
  fail(`usage: npm run fuzz -- NAME [--seconds N] [--seed S]; NAME is all, a package or a target:\n${list}`);
}

let failed = 0;
for (const { target } of wanted) if (!(await fuzz(target))) failed++;
console.log(`${wanted.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function loadTargets(): Promise<{ id: string; target: FuzzTarget }[]> {
  const found: { id: string; target: FuzzTarget }[] = [];
  for (const area of ['packages', 'apps', 'tools']) {
    for (const id of readdirSync(area).sort()) {
      const dir = `${area}/${id}/fuzz`;
      if (!existsSync(dir)) continue;
      for (const file of readdirSync(dir)
        .filter((name) => name.endsWith('.fuzz.ts'))
        .sort()) {
        const module = (await import(pathToFileURL(resolve(dir, file)).href)) as { target: FuzzTarget };
        found.push({ id, target: module.target });
      }
    }
  }
  return found;
}

/** True when nothing was found. Call k runs with seed + k, so a finding is repeated by naming that seed alone. */
async function fuzz(target: FuzzTarget): Promise<boolean> {
  const end = Date.now() + seconds * 1000;
  let iterations = FIRST_ITERATIONS;
  let inputs = 0;
  for (let call = 0; Date.now() < end; call++) {
    const started = Date.now();
    const result = await target.run(seed + call, iterations);
    inputs += result.inputs;
    if (result.findings.length > 0) {
      console.log(`${target.name}: seed ${seed + call}, ${iterations} iterations: ${result.findings.length} findings`);
      for (const finding of result.findings.slice(0, 10)) console.log(`    ${finding.replaceAll('\n', '\n    ')}`);
      return false;
    }
    if (Date.now() - started < CALL_MS / 2) iterations *= 2;
  }
  console.log(`${target.name}: ${inputs} inputs from seed ${seed}, nothing found`);
  return true;
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
