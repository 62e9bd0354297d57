/** The command line of `npm run bench`. */
import { PEER_NAMES } from './emulators.ts';
import type { PeerName } from './emulators.ts';
import { CURVES } from './growth-bench.ts';
import type { Curve } from './growth-bench.ts';
import { PROGRAMS } from './programs-bench.ts';
import { ALL_WORKLOADS } from './workloads.ts';

export const USAGE = `usage: npm run bench -- cpu  [--elf FILE] [--scale N] [--only a,b] [common options]
       npm run bench -- boot [--arch i386|x86_64] [--kernel FILE --initrd FILE] [--append TEXT] [--warm] [common options]
       npm run bench -- programs [--only a,b] [--scale N] [--cpu MODEL] [common options]
       npm run bench -- growth [--only a,b] [--scale N] [common options]
       npm run bench -- idle [--seconds N] [common options]
       npm run bench -- storage [--only a,b] [--size MIB] [--folder DIR] [--rounds N] [--json FILE] [--markdown FILE] [--keep]
       npm run bench -- report
       npm run bench -- profile FILE.cpuprofile ...

cpu      the benchmark guest: time per workload, speed ratios and their geometric means
boot     a Linux kernel to its shell prompt; by default Debian's, as npm start has it
programs gzip, xz, openssl, python3, gcc, sqlite in a Debian guest of 64 bits; the rounds are in one run of each emulator
growth   what more emulated RAM, a larger working set, more hot code, more processes cost
idle     processor time of guests that sleep
storage  emkit-img beside qemu-img: conversions, checks, random reads and writes on an image of 1 GiB, half of it random
report   tables and plots in docs/performance from the results that --keep stored there
profile  where the time of a run with --cpu-prof went

common options
  --peers qemu,v86  compare with these, and fail where one is missing; none; default: those that are installed
  --rounds N        rounds; in each, every emulator runs once, in turn (default 3)
  --tier auto|cold|hot   emkit's tiers (default auto)
  --limit S         give a guest up that has said nothing for S seconds (default 120)
  --json FILE       all samples, and the results
  --markdown FILE   put the result tables into FILE, in place of those of the last run
  --keep            store the results in docs/performance/results, and make tables and plots of all that is stored
  --cpu-prof DIR    let Node write a CPU profile of each emkit process into DIR

boot options
  --warm            emkit also with the translations of an earlier boot, which is not timed. A kernel that lies elsewhere in each boot
                    has none of them: --append 'console=ttyS0 nokaslr'

cpu options
  --elf FILE        the guest (default ../shared/bench/bench32.elf beside the repository); bench64.elf runs beside qemu-system-x86_64
  --scale N         percent of the guest's full work (default 50)
  --only a,b        these workloads only

programs and growth options
  --scale N         percent of the work (default 100)
  --only a,b        these programs; or these curves: ram, ws (working set), code, procs
  --cpu MODEL       processor of the programs' guest, in emkit and QEMU (default max)

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
  readonly keep: boolean;
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
  readonly arch: Arch;
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly append: string;
  readonly warm: boolean;
}

export type Arch = 'i386' | 'x86_64';

export interface ProgramsOptions extends CommonOptions {
  readonly command: 'programs';
  readonly scale: number;
  readonly only: readonly string[] | undefined;
  readonly cpu: string;
}

export interface GrowthOptions extends CommonOptions {
  readonly command: 'growth';
  readonly scale: number;
  readonly only: readonly Curve[];
}

export interface IdleOptions extends CommonOptions {
  readonly command: 'idle';
  readonly seconds: number;
}

export interface StorageOptions {
  readonly command: 'storage';
  readonly only: readonly string[] | undefined;
  readonly mib: number;
  readonly folder: string | undefined;
  readonly rounds: number;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly keep: boolean;
}

export interface ReportOptions {
  readonly command: 'report';
}

export interface ProfileOptions {
  readonly command: 'profile';
  readonly files: readonly string[];
}

const COMMON = ['--peers', '--rounds', '--tier', '--limit', '--json', '--markdown', '--keep', '--cpu-prof'];
/** Options without a value. */
const FLAGS = ['--keep', '--warm'];
const OWN: Readonly<Record<string, readonly string[]>> = {
  cpu: ['--elf', '--scale', '--only'],
  boot: ['--arch', '--kernel', '--initrd', '--append', '--warm'],
  programs: ['--scale', '--only', '--cpu'],
  growth: ['--scale', '--only'],
  idle: ['--seconds'],
};

export type Options =
  | CpuOptions
  | BootOptions
  | ProgramsOptions
  | GrowthOptions
  | IdleOptions
  | StorageOptions
  | ReportOptions
  | ProfileOptions;

export function parseOptions(words: readonly string[]): Options {
  const [command, ...rest] = words;
  if (command === undefined)
    throw new UsageError('say what to run: cpu, boot, programs, growth, idle, storage, report or profile');
  if (command === 'profile') {
    if (rest.length === 0) throw new UsageError('profile needs a file');
    return { command, files: rest };
  }
  if (command === 'report') {
    collect(rest, []);
    return { command };
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
    keep: given.has('--keep'),
    cpuProf: given.get('--cpu-prof'),
  };
  const scale = (usual: string): number => count('--scale', given.get('--scale') ?? usual, 10_000);
  const only = given.get('--only');
  switch (command) {
    case 'cpu':
      return { command, ...common, elf: given.get('--elf'), scale: scale('50'), only: workloads(only) };
    case 'programs': {
      const names = only === undefined ? undefined : some('--only', only, PROGRAMS);
      return { command, ...common, scale: scale('100'), only: names, cpu: given.get('--cpu') ?? 'max' };
    }
    case 'growth': {
      const known = Object.keys(CURVES) as Curve[];
      return {
        command,
        ...common,
        scale: scale('100'),
        only: only === undefined ? known : some('--only', only, known),
      };
    }
    case 'idle':
      return { command, ...common, seconds: count('--seconds', given.get('--seconds') ?? '5', 3600) };
    default:
      return bootOptions(common, given);
  }
}

function bootOptions(common: CommonOptions, given: ReadonlyMap<string, string>): BootOptions {
  const kernel = given.get('--kernel');
  const initrd = given.get('--initrd');
  const arch = given.get('--arch') ?? 'i386';
  if ((kernel === undefined) !== (initrd === undefined)) throw new UsageError('--kernel and --initrd go together');
  if (arch !== 'i386' && arch !== 'x86_64') throw new UsageError(`--arch is i386 or x86_64, not '${arch}'`);
  const append = given.get('--append') ?? 'console=ttyS0';
  return { command: 'boot', ...common, arch, kernel, initrd, append, warm: given.has('--warm') };
}

/** Names of a list separated by commas, each of which is known. */
function some<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((word) => {
    const found = known.find((k) => k === word);
    if (found === undefined) throw new UsageError(`${name}: unknown '${word}'; there are: ${known.join(', ')}`);
    return found;
  });
}

function storageOptions(words: readonly string[]): StorageOptions {
  const given = collect(words, ['--only', '--size', '--folder', '--rounds', '--json', '--markdown', '--keep']);
  return {
    command: 'storage',
    only: given.get('--only')?.split(','),
    mib: count('--size', given.get('--size') ?? '1024', 1 << 20),
    folder: given.get('--folder'),
    rounds: count('--rounds', given.get('--rounds') ?? '3', 1000),
    json: given.get('--json'),
    markdown: given.get('--markdown'),
    keep: given.has('--keep'),
  };
}

/** Options have a value, `--name value` or `--name=value`, unless they are in FLAGS. */
function collect(words: readonly string[], known: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let n = 0; n < words.length; n++) {
    const [, name, inline] = /^(--[a-z-]+)(?:=(.*))?$/s.exec(words[n]) ?? [];
    if (name === undefined || !known.includes(name)) throw new UsageError(`unknown option '${words[n]}'`);
    if (FLAGS.includes(name)) {
      if (inline !== undefined) throw new UsageError(`${name} takes no value`);
      given.set(name, '');
      continue;
    }
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
