/**
 * One command line, two programs: emkit-img in one folder, qemu-img in another that holds the same files. What they print and answer is
 * compared after what must differ (program name, dates, disk usage) is taken out.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PROGRAM = join(ROOT, 'apps/emkit-img/bin/emkit-img.cjs');

/** Builds the command unless it is built and up to date. */
export function buildCommand(): void {
  const { status, stdout, stderr } = spawnSync(
    'npx',
    ['turbo', 'run', 'build', '--filter=emkit-img', '--output-logs=errors-only'],
    {
      cwd: ROOT,
      encoding: 'utf8',
    },
  );
  if (status !== 0 || !existsSync(PROGRAM)) throw new Error(`emkit-img does not build:\n${stdout}\n${stderr}`);
}

export interface Answer {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Pair {
  readonly folder = mkdtempSync(join(tmpdir(), 'emkit-img-'));
  readonly ours = join(this.folder, 'emkit');
  readonly theirs = join(this.folder, 'qemu');

  constructor() {
    mkdirSync(this.ours);
    mkdirSync(this.theirs);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The same file on both sides. */
  write(name: string, bytes: Uint8Array): void {
    for (const side of [this.ours, this.theirs]) writeFileSync(join(side, name), bytes);
  }

  /** Gives emkit's side the file that qemu-img's has made, or the other way round. */
  share(from: 'ours' | 'theirs', name: string): void {
    const to = from === 'ours' ? 'theirs' : 'ours';
    cpSync(join(this[from], name), join(this[to], name));
  }

  read(side: 'ours' | 'theirs', name: string): Uint8Array {
    return readFileSync(join(this[side], name));
  }

  emkit(...args: string[]): Answer {
    return answer(process.execPath, [PROGRAM, ...args], this.ours, 'emkit-img');
  }

  qemu(...args: string[]): Answer {
    return answer('qemu-img', args, this.theirs, 'qemu-img');
  }

  /** qemu-img on what emkit-img has made. */
  qemuOnOurs(...args: string[]): Answer {
    return answer('qemu-img', args, this.ours, 'qemu-img');
  }

  /** A tool of QEMU's for preparing, in both folders; must succeed. */
  both(program: string, ...args: string[]): void {
    for (const cwd of [this.ours, this.theirs]) {
      const { status, stderr, stdout } = spawnSync(program, args, { cwd, encoding: 'utf8' });
      if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`);
    }
  }
}

function answer(program: string, args: readonly string[], cwd: string, name: string): Answer {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 64 << 20,
  });
  return { exitCode: status, stdout: plain(stdout, name), stderr: plain(stderr, name) };
}

function plain(text: string, name: string): string {
  return (
    text
      .replaceAll(`${name}: `, 'PROG: ')
      .replaceAll(`'${name} `, "'PROG ")
      .replace(/^disk size: .*$/gm, 'disk size: N')
      .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE')
      .replace(/"actual-size": \d+/g, '"actual-size": 0')
      .replace(/"date-(n?sec)": \d+/g, '"date-$1": 0')
      // where the last cluster lies is each program's own affair
      .replace(/(Image end offset: |"image-end-offset": )\d+/g, '$1 0')
      .replace(/(Run completed in )[\d.]+/g, '$1N')
  );
}

/** JSON with its keys in order. */
export function sortedJson(text: string): unknown {
  const sort = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sort)
      : value !== null && typeof value === 'object'
        ? Object.fromEntries(
            Object.entries(value)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([k, v]) => [k, sort(v)]),
          )
        : value;
  return sort(JSON.parse(text));
}
