/**
 * `npm test`: runs the layers of layers.ts, at most two at a time, prints a line for each with the tail of what a failed
 * one said, and ends with the total (tools/ci-summary). Logs and results are in .cache/ci.
 * `npm test -- NAME...` runs only the named layers.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { LAYERS, type Layer } from './layers.ts';

const OUT = '.cache/ci';
const TAIL_LINES = 60;
const MAX_PARALLEL = 2;

interface Result {
  readonly layer: string;
  readonly order: number;
  readonly passed: number;
  /** Beyond the known ones. */
  readonly failed: number;
  readonly known: number;
  readonly seconds: number;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !LAYERS.some((layer) => layer.name === name));
if (unknown.length > 0) {
  console.error(`no layer ${unknown.join(', ')}; there are: ${LAYERS.map((layer) => layer.name).join(' ')}`);
  process.exit(1);
}
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });

const waiting = LAYERS.filter((layer) => wanted.length === 0 || wanted.includes(layer.name));
const total = waiting.length;
const running = new Map<Layer, Promise<void>>();
const results: Result[] = [];

while (waiting.length > 0 || running.size > 0) {
  const next = waiting.find(canStart);
  if (next === undefined) {
    await Promise.race(running.values());
    continue;
  }
  waiting.splice(waiting.indexOf(next), 1);
  running.set(
    next,
    run(next).then((result) => {
      running.delete(next);
      report(next, result);
    }),
  );
}
process.exitCode = spawnSync(process.execPath, ['tools/ci-summary/main.mjs'], { stdio: 'inherit' }).status ?? 1;

/** Layers start in order; one that runs alone neither overtakes nor is overtaken. */
function canStart(layer: Layer, index: number): boolean {
  if (running.size >= MAX_PARALLEL || index > 0) return false;
  const busy = [...running.keys()];
  if (busy.length > 0 && (layer.alone === true || busy.some((other) => other.alone === true))) return false;
  return !busy.some((other) => other.name === layer.needs);
}

async function run(layer: Layer): Promise<Result> {
  const order = LAYERS.indexOf(layer);
  const needed = results.find((result) => result.layer === layer.needs);
  if (needed !== undefined && needed.failed > 0) {
    writeFileSync(logFile(layer), `not run: ${layer.needs} failed\n`);
    return { layer: layer.name, order, passed: 0, failed: 1, known: 0, seconds: 0 };
  }
  const report = `${OUT}/${layer.name}.vitest.json`;
  const command =
    layer.vitest === true
      ? `${layer.command} --reporter=default --reporter=json --outputFile.json=${report}`
      : layer.command;
  const started = Date.now();
  const code = await exec(layer, command);
  const seconds = Math.round((Date.now() - started) / 1000);
  const counted = (layer.vitest === true ? countVitest(report) : countLog(layer)) ?? {
    passed: code === 0 ? 1 : 0,
    failed: 0,
  };
  const known = Math.min(counted.failed, layer.known ?? 0);
  // A layer that ended badly without a failed test, or that ran no test at all, has failed.
  const silent = counted.failed === 0 && (code !== 0 || counted.passed === 0);
  const failed = silent ? 1 : counted.failed - known;
  return { layer: layer.name, order, passed: counted.passed, failed, known, seconds };
}

/** Runs in a process group of its own, so that a layer over its limit is ended with all its children. */
function exec(layer: Layer, command: string): Promise<number> {
  const log = openSync(logFile(layer), 'w');
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', NO_COLOR: '1', FORCE_COLOR: undefined };
  const child = spawn(command, { shell: true, detached: true, stdio: ['ignore', log, log], env });
  const timer = setTimeout(() => {
    writeFileSync(log, `\nended: over its limit of ${layer.limit} s\n`);
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, layer.limit * 1000);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code ?? 1);
    });
  });
}

function countVitest(file: string): { passed: number; failed: number } | undefined {
  if (!existsSync(file)) return undefined;
  const json = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  const brokenFiles = json.testResults.filter((f) => f.status === 'failed' && f.assertionResults.length === 0).length;
  return { passed: json.numPassedTests, failed: json.numFailedTests + brokenFiles };
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

function countLog(layer: Layer): { passed: number; failed: number } | undefined {
  const totals = [...readFileSync(logFile(layer), 'utf8').matchAll(/^(\d+) passed, (\d+) failed$/gm)];
  const last = totals.at(-1);
  return last && { passed: Number(last[1]), failed: Number(last[2]) };
}

function report(layer: Layer, result: Result): void {
  results.push(result);
  writeFileSync(`${OUT}/${layer.name}.result.json`, JSON.stringify(result));
  const mark = result.failed === 0 ? 'ok    ' : 'FAILED';
  console.log(`[${results.length}/${total}] ${mark} ${layer.name} (${result.passed} passed, ${result.seconds} s)`);
  if (result.failed > 0) {
    const lines = readFileSync(logFile(layer), 'utf8').trimEnd().split('\n');
    console.log(
      lines
        .slice(-TAIL_LINES)
        .map((line) => `    ${line}`)
        .join('\n'),
    );
    console.log(`    (whole log: ${logFile(layer)}; again: npm test -- ${layer.name})`);
  }
}

function logFile(layer: Layer): string {
  return `${OUT}/${layer.name}.log`;
}
