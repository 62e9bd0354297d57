/** The command line of `npm run bench`. */
import { PEER_NAMES } from './emulators.ts';
import type { PeerName } from './emulators.ts';
import { ALL_WORKLOADS } from './workloads.ts';

export const USAGE = `usage: npm run bench -- cpu  [--elf FILE] [--scale N] [--only a,b] [common options]
       npm run bench -- boot [--kernel FILE --initrd FILE] [--append TEXT] [common options]
       npm run bench -- storage [--only a,b] [--size MIB] [--folder DIR] [--rounds N] [--json FILE] [--markdown FILE]
       npm run bench -- profile FILE.cpuprofile ...

cpu      the benchmark guest: time per workload, speed ratios and their geometric means
boot     a Linux kernel to its shell prompt; by default Debian's, as npm start has it
storage  emkit-img beside qemu-img: conversions, checks, random reads and writes on an image of 1 GiB, half of it random
profile  where the time of a run with --cpu-prof went

common options
  --peers qemu,v86  compare with these, and fail where one is missing; none; default: those that are installed
  --rounds N        rounds; in each, every emulator runs once, in turn (default 3)
  --tier auto|cold|hot   emkit's tiers (default auto)
  --limit S         give a guest up that has said nothing for S seconds (default 120)
  --json FILE       all samples, and the results
  --markdown FILE   put the result tables into FILE, in place of those of the last run
  --cpu-prof DIR    let Node write a CPU profile of each emkit process into DIR

cpu options
  --elf FILE        the guest (default ../shared/bench/bench32.elf beside the repository); bench64.elf runs beside qemu-system-x86_64
  --scale N         percent of the guest's full work (default 50)
  --only a,b        these workloads only

storage options
  --only a,b        operations whose names contain one of these
  --size MIB        of the image (default 1024)
  --folder DIR      where the images are made and kept (default .cache/bench/storage)`;

/** A command line that is refused; the message says why. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface CommonOptions {
  readonly peers: readonly PeerName[] | undefined;
  readonly rounds: number;
  readonly tier: 'auto' | 'cold' | 'hot';
  readonly limitSeconds: number;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly cpuProf: string | undefined;
}

export interface CpuOptions extends CommonOptions {
  readonly command: 'cpu';
  readonly elf: string | undefined;
  readonly scale: number;
  readonly only: readonly string[] | undefined;
}

export interface BootOptions extends CommonOptions {
  readonly command: 'boot';
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly append: string;
}

export interface StorageOptions {
  readonly command: 'storage';
  readonly only: readonly string[] | undefined;
  readonly mib: number;
  readonly folder: string | undefined;
  readonly rounds: number;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
}

export interface ProfileOptions {
  readonly command: 'profile';
  readonly files: readonly string[];
}

const COMMON = ['--peers', '--rounds', '--tier', '--limit', '--json', '--markdown', '--cpu-prof'];
const OWN: Readonly<Record<string, readonly string[]>> = {
  cpu: ['--elf', '--scale', '--only'],
  boot: ['--kernel', '--initrd', '--append'],
};

export function parseOptions(words: readonly string[]): CpuOptions | BootOptions | StorageOptions | ProfileOptions {
  const [command, ...rest] = words;
  if (command === undefined) throw new UsageError('say what to run: cpu, boot, storage or profile');
  if (command === 'profile') {
    if (rest.length === 0) throw new UsageError('profile needs a file');
    return { command, files: rest };
  }
  if (command === 'storage') return storageOptions(rest);
  const own = OWN[command];
  if (own === undefined) throw new UsageError(`unknown benchmark '${command}'`);
  const given = collect(rest, [...COMMON, ...own]);
  const common: CommonOptions = {
    peers: peers(given.get('--peers')),
    rounds: count('--rounds', given.get('--rounds') ?? '3', 1000),
    tier: tier(given.get('--tier') ?? 'auto'),
    limitSeconds: count('--limit', given.get('--limit') ?? '120', 86_400),
    json: given.get('--json'),
    markdown: given.get('--markdown'),
    cpuProf: given.get('--cpu-prof'),
  };
  if (command === 'cpu') {
    const scale = count('--scale', given.get('--scale') ?? '50', 10_000);
    return { command, ...common, elf: given.get('--elf'), scale, only: workloads(given.get('--only')) };
  }
  const kernel = given.get('--kernel');
  const initrd = given.get('--initrd');
  if ((kernel === undefined) !== (initrd === undefined)) throw new UsageError('--kernel and --initrd go together');
  return { command: 'boot', ...common, kernel, initrd, append: given.get('--append') ?? 'console=ttyS0' };
}

function storageOptions(words: readonly string[]): StorageOptions {
  const given = collect(words, ['--only', '--size', '--folder', '--rounds', '--json', '--markdown']);
  return {
    command: 'storage',
    only: given.get('--only')?.split(','),
    mib: count('--size', given.get('--size') ?? '1024', 1 << 20),
    folder: given.get('--folder'),
    rounds: count('--rounds', given.get('--rounds') ?? '3', 1000),
    json: given.get('--json'),
    markdown: given.get('--markdown'),
  };
}

/** Every option has a value: `--name value` or `--name=value`. */
function collect(words: readonly string[], known: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let n = 0; n < words.length; n++) {
    const [, name, inline] = /^(--[a-z-]+)(?:=(.*))?$/s.exec(words[n]) ?? [];
    if (name === undefined || !known.includes(name)) throw new UsageError(`unknown option '${words[n]}'`);
    const value = inline ?? words[++n];
    if (value === undefined || value === '') throw new UsageError(`${name} needs a value`);
    given.set(name, value);
  }
  return given;
}

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UsageError(`${name} is a whole number from 1 to ${most}, not '${text}'`);
  return value;
}

function tier(text: string): CommonOptions['tier'] {
  if (text === 'auto' || text === 'cold' || text === 'hot') return text;
  throw new UsageError(`--tier is auto, cold or hot, not '${text}'`);
}

function peers(text: string | undefined): PeerName[] | undefined {
  if (text === undefined) return undefined;
  const wanted = text === 'none' ? [] : text.split(',');
  const unknown = wanted.find((name) => !PEER_NAMES.some((peer) => peer === name));
  if (unknown !== undefined) throw new UsageError(`unknown peer '${unknown}'; there are: ${PEER_NAMES.join(', ')}`);
  return PEER_NAMES.filter((peer) => wanted.includes(peer));
}

function workloads(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const wanted = text.split(',');
  const unknown = wanted.find((name) => !ALL_WORKLOADS.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`unknown workload '${unknown}'; there are: ${ALL_WORKLOADS.join(' ')}`);
  return wanted;
}
