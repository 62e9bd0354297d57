/**
 * `npm run conformance -- disk-images DIR [--filter GLOB]`: the recorded disk images of DIR against the libraries. A line for each thing in which
 * an image disagrees; passed and failed count images.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadManifest, OPTIONAL_FORMATS } from './disk-images-manifest.ts';
import type { RecordedImage } from './disk-images-manifest.ts';

/** For all that is asked about one image. */
const DEADLINE_MS = 20_000;
const START_MS = 60_000;
/** Typed arrays are not counted by it: their allocations are watched one by one. */
const HEAP_MIB = 512;

export interface DiskImagesResult {
  readonly passed: number;
  readonly failed: number;
  /** Per format, the lines of images that disagree. */
  readonly disagreements: ReadonlyMap<string, readonly string[]>;
}

export async function runDiskImages(
  dir: string,
  filter: RegExp,
  print: (line: string) => void,
): Promise<DiskImagesResult> {
  if (!existsSync(`${dir}/manifest.json`)) throw new Error(`${dir}/manifest.json: no such file`);
  const { images } = loadManifest(dir);
  const disagreements = new Map<string, string[]>();
  const judges = new JudgeProcess(dir);
  let passed = 0;
  let failed = 0;
  for (const [index, image] of images.entries()) {
    if (!filter.test(image.name)) continue;
    if (OPTIONAL_FORMATS.includes(image.format)) {
      print(`${image.name}: ${image.format} is not supported, not counted`);
      continue;
    }
    const lines = await judges.judge(index);
    if (lines.length === 0) passed++;
    else failed++;
    for (const line of lines) {
      const text = `${image.name} (${describe(image)}): ${line}`;
      print(text);
      disagreements.set(image.format, [...(disagreements.get(image.format) ?? []), text]);
    }
  }
  await judges.end();
  return { passed, failed, disagreements };
}

function describe(image: RecordedImage): string {
  return image.kind === 'good' ? image.what : `${image.kind}: ${image.what}`;
}

class JudgeProcess {
  readonly #dir: string;
  #worker: ChildProcess | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async judge(index: number): Promise<string[]> {
    const { value: worker, problem: start } = await this.#ready();
    if (worker === undefined) return [start ?? 'the process did not start'];
    const answer = this.#answer(worker, DEADLINE_MS);
    worker.send(index);
    const { value, problem } = await answer;
    if (problem === undefined) return (value as { readonly lines: string[] }).lines;
    await this.end();
    return [problem];
  }

  async end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    if (worker === undefined || worker.exitCode !== null || worker.signalCode !== null) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.kill('SIGKILL');
    await ended;
  }

  async #ready(): Promise<{ value?: ChildProcess; problem?: string }> {
    if (this.#worker !== undefined) return { value: this.#worker };
    const worker = fork(fileURLToPath(new URL('./disk-images-worker.ts', import.meta.url)), [this.#dir], {
      execArgv: [...process.execArgv, `--max-old-space-size=${HEAP_MIB}`],
    });
    this.#worker = worker;
    const { problem } = await this.#answer(worker, START_MS);
    if (problem === undefined) return { value: worker };
    await this.end();
    return { problem };
  }

  #answer(worker: ChildProcess, ms: number): Promise<{ value?: unknown; problem?: string }> {
    return new Promise((resolve) => {
      const settle = (result: { value?: unknown; problem?: string }): void => {
        clearTimeout(timer);
        worker.off('message', onMessage).off('exit', onExit);
        resolve(result);
      };
      const onMessage = (value: unknown): void => settle({ value });
      const onExit = (code: number | null): void => settle({ problem: `crashed: the process ended with ${code}` });
      const timer = setTimeout(() => settle({ problem: `no answer after ${ms / 1000} s` }), ms);
      worker.on('message', onMessage).on('exit', onExit);
    });
  }
}
