/**
 * The emulators and how each is started on a guest: a command whose standard output is the guest's first serial port.
 * Each run is a process of its own. Peers are used only where they are installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GuestBits } from './guest-bits.ts';

/** 'emkit-warm': emkit with the translations of an earlier run. */
export type EmulatorName = 'emkit' | 'emkit-warm' | 'qemu' | 'v86';
export const PEER_NAMES = ['qemu', 'v86'] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** What to run; paths are absolute. */
export type Guest =
  | { readonly kind: 'multiboot'; readonly elf: string; readonly commandLine: string }
  | {
      readonly kind: 'linux';
      readonly kernel: string;
      readonly initrd: string;
      readonly commandLine: string;
      /** Default: MEMORY_MIB, and QEMU's default processor. */
      readonly memoryMib?: number;
      readonly cpu?: string;
    };

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

export interface Emulator {
  readonly name: EmulatorName;
  readonly version: string;
  command(guest: Guest): Command;
}

/** The peer is not here; `hint` says how to get it. */
export class MissingPeer extends Error {
  override readonly name = 'MissingPeer';
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

const HERE = dirname(fileURLToPath(import.meta.url));
export const MEMORY_MIB = 256;
/** The benchmark guest may use every instruction an emulator has; a kernel boots on the default of QEMU's program for it. */
const cpuFor = (guest: Guest, bits: GuestBits): string =>
  guest.kind === 'multiboot' ? 'max' : (guest.cpu ?? `qemu${bits}`);
const memoryFor = (guest: Guest): number => (guest.kind === 'linux' ? guest.memoryMib : undefined) ?? MEMORY_MIB;

export function emkit(
  bundle: string,
  version: string,
  options: { tier: string; bits: GuestBits; profileDir?: string; translations?: string },
): Emulator {
  const { translations } = options;
  const profile = options.profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`];
  return {
    name: translations === undefined ? 'emkit' : 'emkit-warm',
    version,
    command: (guest) => ({
      program: process.execPath,
      args: [
        ...profile,
        bundle,
        JSON.stringify({
          guest,
          memoryMib: memoryFor(guest),
          cpu: cpuFor(guest, options.bits),
          tier: options.tier,
          translations,
        }),
      ],
    }),
  };
}

const QEMU: Readonly<Record<GuestBits, string>> = { 32: 'qemu-system-i386', 64: 'qemu-system-x86_64' };

function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}

/** QEMU's TCG with one vCPU on one thread: the same machine as the others have. */
export function qemu(bits: GuestBits): Emulator {
  const program = findProgram(QEMU[bits]);
  if (program === undefined)
    throw new MissingPeer(
      `${QEMU[bits]} is not installed`,
      'apt-get install qemu-system-x86, or: node tools/bench/install-peers.mjs',
    );
  const version = /version (\S+)/.exec(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? '?';
  const common = ['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-no-reboot', '-nic', 'none'];
  return {
    name: 'qemu',
    version,
    command: (guest) => ({
      program,
      args: [
        ...['-accel', 'tcg,thread=single', '-cpu', cpuFor(guest, bits), '-m', String(memoryFor(guest)), ...common],
        ...(guest.kind === 'multiboot' ? ['-kernel', guest.elf] : ['-kernel', guest.kernel, '-initrd', guest.initrd]),
        ...['-append', guest.commandLine],
      ],
    }),
  };
}

const FIRMWARE = ['/usr/share/seabios/bios.bin', '/usr/share/seabios/vgabios-stdvga.bin'];

/** v86 from npm, in Node. It boots a Linux kernel through SeaBIOS only. */
export function v86(bits: GuestBits): Emulator {
  if (bits === 64) throw new MissingPeer('v86 runs no 64-bit guest', '--peers qemu');
  let library: string;
  try {
    library = createRequire(import.meta.url).resolve('v86');
  } catch {
    throw new MissingPeer('the npm package v86 is not installed', 'npm install');
  }
  const manifest = JSON.parse(readFileSync(join(dirname(library), '../package.json'), 'utf8')) as { version: string };
  const firmware = FIRMWARE.every((file) => existsSync(file)) ? FIRMWARE : [];
  return {
    name: 'v86',
    version: manifest.version,
    command: (guest) => {
      if (guest.kind === 'linux' && firmware.length === 0)
        throw new MissingPeer(
          'v86 boots Linux through SeaBIOS, which is not installed',
          'apt-get install seabios, or --peers qemu',
        );
      return {
        program: process.execPath,
        args: [join(HERE, 'run-v86.mjs'), JSON.stringify({ guest, memoryMib: memoryFor(guest), firmware })],
      };
    },
  };
}

const PEERS: Readonly<Record<PeerName, (bits: GuestBits) => Emulator>> = { qemu, v86 };

/** The named peers, all of which must be there; or, with undefined, those that are. */
export function choosePeers(
  names: readonly PeerName[] | undefined,
  bits: GuestBits,
  note: (text: string) => void,
): Emulator[] {
  if (names !== undefined) return names.map((name) => PEERS[name](bits));
  return PEER_NAMES.flatMap((name) => {
    try {
      return [PEERS[name](bits)];
    } catch (error) {
      if (!(error instanceof MissingPeer)) throw error;
      note(`without ${name}: ${error.message} (${error.hint})`);
      return [];
    }
  });
}
