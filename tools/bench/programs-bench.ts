/** `bench programs`: gzip, xz, openssl, python3, gcc and sqlite in a Debian guest (tools/debian-root), and natively in a chroot. */
import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureRoot, GUEST, makeImage } from '../debian-root/root.mjs';
import { GuestLog } from './guest-log.ts';
import type { Sample } from './guest-log.ts';

const HERE = join(dirname(fileURLToPath(import.meta.url)), 'guest');
const INIT = join(HERE, 'programs-init.sh');
/** Large, and no program here needs it. */
const WITHOUT = ['*/lto1', '*/lto-wrapper', '*/lib*san.a', '*/zoneinfo', '*/python3.11/test', '*/perl-base', './boot'];
export const PROGRAMS = ['gzip', 'xz', 'sha256', 'aes', 'python3', 'gcc', 'sqlite'] as const;

export interface ProgramsWords {
  readonly rounds: number;
  readonly scale: number;
  readonly only: readonly string[] | undefined;
}

/** What the guest is told, on the kernel's command line and natively as an argument. */
export const programWords = ({ rounds, scale, only }: ProgramsWords): string =>
  `rounds=${rounds} scale=${scale}${only === undefined ? '' : ` only=${only.join(',')}`}`;

/** Makes the initramfs. */
export function programsImage(): string {
  ensureRoot();
  return makeImage('programs', INIT, { 'root/pystone-like.py': join(HERE, 'pystone-like.py') }, WITHOUT);
}

/** One round natively, so that the outputs can be checked. */
export function runNative(words: ProgramsWords): ReadonlyMap<string, Sample> {
  copyFileSync(INIT, join(GUEST, 'init'));
  const log = new GuestLog();
  // no clock is heard through a pipe that is read at the end: each line is timed by the shell that reads it
  const { stdout, status, stderr } = spawnSync(
    'sh',
    [
      '-c',
      `chroot "$0" /bin/sh /init native "$1" | while read -r line; do echo "$(date +%s%N) $line"; done`,
      GUEST,
      programWords({ ...words, rounds: 1 }),
    ],
    { encoding: 'utf8', maxBuffer: 1 << 24 },
  );
  if (status !== 0) throw new Error(`the programs do not run natively (as root, in a chroot): ${stderr}`);
  for (const line of stdout.split('\n')) {
    const [, time, text] = /^(\d+) (.*)$/.exec(line) ?? [];
    if (text !== undefined) log.feed(`${text}\n`, Number(time) / 1e6, Number.NaN);
  }
  return log.samples;
}
