/**
 * Runs the storage work: an operation after the other, each with emkit-img and qemu-img in turn, as whole processes with their start.
 *
 * An operation's rounds stand together, and a pair before them does not count: who writes first after another operation has memory to find that the other then finds ready
 * (a machine that is a guest gets it from its host), which in one round through all operations was always the same side. What the uncounted conversions wrote is compared
 * with its source, by qemu-img.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { StorageWork } from './storage-work.ts';
import { measuredEnvironment } from './environment.ts';

const MIB = 1 << 20;
const MEMORY_POLL_MS = 20;

export interface StorageSide {
  readonly name: 'emkit' | 'qemu-img';
  readonly command: readonly string[];
}

export interface StorageSample {
  readonly wallMs: number;
  /** Largest resident size seen, MiB. */
  readonly peakMib: number;
}

export interface StorageRun {
  /** By operation and side: a sample per round. */
  readonly samples: ReadonlyMap<string, Readonly<Record<StorageSide['name'], readonly StorageSample[]>>>;
  readonly errors: readonly string[];
}

export interface StorageBenchOptions {
  readonly sides: readonly [StorageSide, StorageSide];
  readonly work: readonly StorageWork[];
  readonly rounds: number;
  /** Work folder on a disk with some GiB of room; what is made there stays for the next run. */
  readonly folder: string;
  readonly mib: number;
  readonly note: (text: string) => void;
}

export async function runStorage(options: StorageBenchOptions): Promise<StorageRun> {
  const { sides, work, rounds, folder, note } = options;
  makeImages(folder, options.mib, note);
  const samples = new Map<string, Record<StorageSide['name'], StorageSample[]>>();
  const errors: string[] = [];
  for (const item of work) {
    const own: Record<StorageSide['name'], StorageSample[]> = { emkit: [], 'qemu-img': [] };
    samples.set(item.name, own);
    for (let round = 0; round <= rounds; round++) {
      const isWarmUp = round === 0;
      const wallMs: Partial<Record<StorageSide['name'], number>> = {};
      // who is first changes, so that neither side always finds the caches warm
      for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
        try {
          const sample = await runOnce(side, item, folder, isWarmUp);
          wallMs[side.name] = sample.wallMs;
          if (!isWarmUp) own[side.name].push(sample);
        } catch (error) {
          errors.push(`${item.name}, ${side.name}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      const told = (name: StorageSide['name']): string => `${wallMs[name]?.toFixed(0) ?? 'failed'} ms`;
      note(
        `${item.name}, ${isWarmUp ? 'not counted' : `round ${round}`}: emkit ${told('emkit')}, qemu-img ${told('qemu-img')}`,
      );
    }
  }
  return { samples, errors };
}

async function runOnce(
  side: StorageSide,
  item: StorageWork,
  folder: string,
  isChecked: boolean,
): Promise<StorageSample> {
  const out = `out-${side.name}.tmp`;
  rmSync(join(folder, out), { force: true });
  const named = (args: readonly string[]): string[] => args.map((arg) => (arg === 'OUT' ? out : arg));
  if (item.prepare !== undefined) qemuImg(folder, named(item.prepare));
  const [program, ...first] = side.command as [string, ...string[]];
  const sample = await timed(program, [...first, ...named(item.args)], folder);
  if (isChecked && item.args[0] === 'convert') {
    const source = item.args.at(-2) as string;
    const format = item.args[item.args.indexOf('-O') + 1] as string;
    qemuImg(folder, ['compare', '-q', '-F', format, source, out]);
  }
  rmSync(join(folder, out), { force: true });
  return sample;
}

function timed(program: string, args: readonly string[], cwd: string): Promise<StorageSample> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(program, args, { cwd, env: measuredEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    let peakMib = 0;
    child.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-500)));
    const poll = setInterval(() => (peakMib = Math.max(peakMib, residentPeak(child.pid))), MEMORY_POLL_MS);
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(poll);
      const wallMs = performance.now() - started;
      if (code === 0) resolve({ wallMs, peakMib });
      else reject(new Error(`exit code ${code ?? 'none'}: ${words.trim()}`));
    });
  });
}

function residentPeak(pid: number | undefined): number {
  try {
    const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid ?? 0}/status`, 'latin1'));
    return line === null ? 0 : Number(line[1]) / 1024;
  } catch {
    return 0; // it has just ended, or there is no /proc here
  }
}

/** The source images, as ../shared/bench makes them: MiBs of random bytes and of zeroes in turn. */
function makeImages(folder: string, mib: number, note: (text: string) => void): void {
  if (existsSync(join(folder, 'zlib.qcow2'))) return;
  note(`making the images in ${folder}`);
  const fd = openSync(join(folder, 'half.raw'), 'w');
  const random = new Uint8Array(MIB);
  const zero = new Uint8Array(MIB);
  for (let i = 0; i < mib / 2; i++) {
    writeSync(fd, randomFillSync(random));
    writeSync(fd, zero);
  }
  closeSync(fd);
  qemuImg(folder, ['convert', '-f', 'raw', '-O', 'qcow2', 'half.raw', 'half.qcow2']);
  qemuImg(folder, ['convert', '-c', '-f', 'raw', '-O', 'qcow2', 'half.raw', 'zlib.qcow2']);
}

function qemuImg(cwd: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync('qemu-img', args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`qemu-img ${args.join(' ')}: ${stderr.trim()}`);
}
