/**
 * Runs every ```ts block of the packages' READMEs as it stands, against the sources, and checks its types.
 * `npm run readme [-- PACKAGE...]`. Ends with `N passed, N failed`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { inParallel, workspacePackages } from '../workspace.ts';

const OUT = '.cache/readme';
const LIMIT_MS = 60_000;
const BLOCK = /^```ts\n([\s\S]*?)^```$/gm;

const only = process.argv.slice(2);
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });

const examples: string[] = [];
const failures: string[] = [];
for (const pkg of workspacePackages().filter(({ id }) => only.length === 0 || only.includes(id))) {
  const blocks = existsSync(`${pkg.dir}/README.md`)
    ? [...readFileSync(`${pkg.dir}/README.md`, 'utf8').matchAll(BLOCK)]
    : [];
  if (blocks.length === 0) failures.push(`${pkg.id}: README.md has no runnable example (a \`\`\`ts block)`);
  blocks.forEach((block, index) => {
    const file = `${OUT}/${pkg.id}-${index + 1}.ts`;
    writeFileSync(file, `${block[1]}\nexport {};\n`);
    examples.push(file);
  });
}

const before = failures.length;
await inParallel(examples, Math.min(2, availableParallelism()), run);
const ran = examples.length - (failures.length - before);
checkTypes();

for (const failure of failures) console.log(failure);
console.log(`${ran} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;

function run(file: string): Promise<void> {
  const child = spawn(process.execPath, ['--conditions=@emkit/source', '--import', 'tsx', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  });
  let said = '';
  const keep = (data: Buffer): void => void (said += data.toString());
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      if (code !== 0)
        failures.push(`${file}: ${signal === null ? `exit ${code}` : `over ${LIMIT_MS / 1000} s`}\n${said}`);
      resolve();
    });
  });
}

/** One compiler run over all of them, with Node's types: examples may print. */
function checkTypes(): void {
  const compilerOptions = { types: ['node'], rootDir: '../..' };
  writeFileSync(
    `${OUT}/tsconfig.json`,
    JSON.stringify({ extends: '../../tsconfig.base.json', compilerOptions, include: ['*.ts'] }),
  );
  const { status, stdout } = spawnSync('node_modules/.bin/tsc', ['-p', OUT], { encoding: 'utf8' });
  if (status !== 0) failures.push(...stdout.split('\n').filter((line) => line.startsWith(`${OUT}/`)));
}
