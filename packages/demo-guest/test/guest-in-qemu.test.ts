/// <reference types="node" />
/** The source of the image and (where QEMU is installed) its behaviour on a machine that is not ours. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { demoGuest } from '../src/index.ts';

const installed = (program: string): boolean =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;

/** Runs the guest in QEMU; `script` is a list of (text to wait for, text to type). */
async function inQemu(args: readonly string[], script: readonly (readonly [string, string])[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'emkit-guest-'));
  const kernel = join(folder, 'guest.bin');
  writeFileSync(kernel, demoGuest());
  const child = spawn('qemu-system-i386', [
    '-kernel',
    kernel,
    '-display',
    'none',
    '-monitor',
    'none',
    '-serial',
    'stdio',
    '-no-reboot',
    '-nic',
    'none',
    '-m',
    '16',
    ...args,
  ]);
  const timer = setTimeout(() => child.kill('SIGKILL'), 40_000);
  let text = '';
  let from = 0;
  let step = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    while (step < script.length) {
      const at = text.indexOf(script[step]![0], from);
      if (at < 0) return;
      from = at + script[step]![0].length;
      child.stdin.write(script[step++]![1]);
    }
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  rmSync(folder, { recursive: true });
  return `${text}[exit ${code}]`;
}

describe('demo guest on a foreign machine', () => {
  it('is what nasm makes of guest.asm', () => {
    const run = spawnSync(
      process.execPath,
      [fileURLToPath(new URL('../tools/generate.mjs', import.meta.url)), '--check'],
      {
        encoding: 'utf8',
      },
    );
    expect(run.stderr + run.stdout).toContain('up to date');
  });

  it.runIf(installed('qemu-system-i386'))(
    'passes its self-check, answers at the prompt and powers off under QEMU',
    async () => {
      const text = await inQemu(
        [],
        [
          ['demo> ', 'echo hello  there\r'],
          ['demo> ', 'frobnicate now\r'],
          ['demo> ', 'ecxho\b\b\b\bcho edited\r'],
          ['demo> ', 'mem\r'],
          ['demo> ', 'poweroff\r'],
        ],
      );
      expect(text).toContain(
        'self-check  arithmetic flags strings self-modifying exceptions fpu sse2 paging timer\r\n             9 of 9 ok\r\n',
      );
      expect(text).toContain('\r\nhello  there\r\n');
      expect(text).toContain('frobnicate: unknown command; help lists them');
      expect(text).toContain('\r\nedited\r\n');
      expect(text).toContain('power off\r\n[exit 0]');
    },
  );

  it.runIf(installed('qemu-system-i386'))(
    'skips what the CPU lacks, and powers off by itself when told so',
    async () => {
      const text = await inQemu(['-cpu', '486', '-append', 'once'], []);
      expect(text).toContain('exceptions fpu paging timer');
      expect(text).toContain('8 of 8 ok');
      expect(text).toContain('power off\r\n[exit 0]');
    },
  );
});
